package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/finding/report"
	"github.com/mullion/mullion/internal/openfile"
	"go.yaml.in/yaml/v3"
)

// configName is the file in the working directory that checks read.
const configName = ".mullion.yaml"

// maxConfig bounds the configuration file, in bytes.
const maxConfig = 1 << 20

// checkConfig is the content of a configuration file.
type checkConfig struct {
	failOn  finding.Severity // 0 if the file does not say
	ignores []*report.Ignore
}

// readConfig reads the file that the flags name, or the one in the working directory, if
// there is one.
func (f *checkFlags) readConfig() (checkConfig, error) {
	name := f.config
	switch {
	case f.noConfig && name != "":
		return checkConfig{}, usagef("--config and --no-config exclude each other")
	case f.noConfig:
		return checkConfig{}, nil
	case name == "":
		name = configName
	}
	file, err := openfile.Regular(name)
	if f.config == "" && errors.Is(err, fs.ErrNotExist) {
		return checkConfig{}, nil
	}
	if err != nil {
		return checkConfig{}, about(name, plain(err))
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err == nil && len(raw) > maxConfig {
		err = fmt.Errorf("the file has more than %d bytes", maxConfig)
	}
	if err != nil {
		return checkConfig{}, about(name, plain(err))
	}
	return parseConfig(name, raw)
}

// configParser walks over the nodes of a document instead of decoding it: aliases then
// cannot expand to more than the file has, and every error has a line.
type configParser struct{ name string }

func (p configParser) fail(n *yaml.Node, format string, a ...any) error {
	return about(fmt.Sprintf("%s:%d", p.name, n.Line), fmt.Errorf(format, a...))
}

func parseConfig(name string, raw []byte) (out checkConfig, err error) {
	p := configParser{name}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return out, about(name, err)
	}
	if len(doc.Content) == 0 {
		return out, nil // empty, or only comments
	}
	root, err := p.mapping(doc.Content[0], "fail-on", "ignore")
	if err != nil {
		return out, err
	}
	if n := root["fail-on"]; n != nil {
		s, err := p.text(n)
		if err != nil {
			return out, err
		}
		if out.failOn, err = parseFailOn(s); err != nil {
			return out, p.fail(n, "fail-on %w", err)
		}
	}
	if n := root["ignore"]; n != nil && n.Tag != "!!null" {
		if n.Kind != yaml.SequenceNode {
			return out, p.fail(n, "ignore is not a list")
		}
		for _, entry := range n.Content {
			x, err := p.ignore(entry)
			if err != nil {
				return out, err
			}
			out.ignores = append(out.ignores, x)
		}
	}
	return out, nil
}

// ignore parses one entry of the list.
func (p configParser) ignore(n *yaml.Node) (*report.Ignore, error) {
	fields, err := p.mapping(n, "rule", "path", "reason")
	if err != nil {
		return nil, err
	}
	text := map[string]string{}
	for _, key := range []string{"rule", "path", "reason"} {
		if f := fields[key]; f != nil {
			if text[key], err = p.text(f); err != nil {
				return nil, err
			}
		}
		if text[key] == "" && (key != "path" || fields[key] != nil) {
			return nil, p.fail(n, "the entry has no %s", key)
		}
	}
	if err := knownRule(text["rule"]); err != nil {
		return nil, p.fail(fields["rule"], "%w", err)
	}
	x, err := report.NewIgnore(text["rule"], text["path"], text["reason"], fmt.Sprintf("%s:%d", p.name, n.Line))
	if err != nil {
		return nil, p.fail(n, "%w", err)
	}
	return x, nil
}

// mapping returns the values of a mapping with these keys only.
func (p configParser) mapping(n *yaml.Node, keys ...string) (map[string]*yaml.Node, error) {
	if n.Kind != yaml.MappingNode {
		return nil, p.fail(n, "there is no mapping with the keys %s", strings.Join(keys, ", "))
	}
	out := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode || !slices.Contains(keys, key.Value):
			return nil, p.fail(key, "unknown key %q; the keys are %s", key.Value, strings.Join(keys, ", "))
		case out[key.Value] != nil:
			return nil, p.fail(key, "a second %q", key.Value)
		}
		out[key.Value] = n.Content[i+1]
	}
	return out, nil
}

func (p configParser) text(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode {
		return "", p.fail(n, "the value is not a text")
	}
	return n.Value, nil
}

// knownRules has the rules of all checks. A configuration can name thousands.
var knownRules = sync.OnceValue(func() map[string]bool {
	known := map[string]bool{}
	for _, r := range allRules() {
		known[r.ID] = true
	}
	return known
})

// knownRule returns an error if no check has the rule.
func knownRule(id string) error {
	if knownRules()[id] {
		return nil
	}
	return hintf(fmt.Errorf("unknown rule %q", id), "%s", rulesHint)
}
