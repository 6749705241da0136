package wclayer

import (
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/mullion/mullion/layer"
)

// The rules of Check about base layers.
const (
	RuleHive          = "base-hive-missing"       // a base layer lacks one of the five hives
	RuleHiveSignature = "base-hive-invalid"       // and one that is no hive
	RuleHiveLink      = "base-hive-not-processed" // Hives\*_BASE is not there
	RuleLayout        = "layout-missing"          // a base layer has no layout file
	hiveSignature     = "regf"
)

// Check looks at the layer in a directory of either shape and yields what is wrong
// with it. It goes on after whatever concerns one entry alone. It writes nothing.
// The contents of main streams are not read, there is nothing to compare them
// with; everything else is.
func Check(path string, opts ...Option) iter.Seq[layer.Finding] {
	return func(yield func(layer.Finding) bool) {
		if s, err := shapeAt(path); err == nil && s == shapeTransport {
			CheckTransport(path, opts...)(yield)
			return
		}
		c := &checker{path: path, yield: yield}
		checkFinal(c, newOptions(opts))
	}
}

func checkFinal(c *checker, o options) {
	o.tolerate = c.tolerate
	public, err := open(c.path, o)
	if err != nil {
		c.failed(err)
		return
	}
	defer public.Close()
	r := &public.r
	audit := layer.Audit{Report: c.report}
	base := false
	if r.index != nil {
		base = r.index.flags&indexBase != 0
		audit.Base, audit.HasParents = base, !base
	}
	c.entry = func() string { return r.entry.Path }
	c.entries(public, &audit, nil)
	if base && !c.done {
		checkBase(c)
	}
}

// checkBase looks for what base layer processing leaves.
func checkBase(c *checker) {
	root, err := openDirectory(c.path)
	if err != nil {
		c.failed(err)
		return
	}
	defer root.close()
	if _, err := root.stat(layoutName); err != nil {
		c.tell(layer.Warning, RuleLayout, layoutName, "a base layer has a file of that name: %v", err)
	}
	p := &parent{path: c.path}
	o := newOptions(nil)
	defer p.close()
	for _, h := range baseHives {
		source := hiveDirectory + `\` + h.source
		found, err := p.find(source, &o)
		if err != nil || found.dir == nil {
			c.tell(layer.SevereError, RuleHive, source, "a base layer must have this registry hive")
			continue
		}
		if err := signature(found.dir, found.name); err != nil {
			c.tell(layer.SevereError, RuleHiveSignature, source, "%v", err)
		}
		if made, err := p.find(hivesName+`\`+h.base, &o); err != nil || made.dir == nil {
			c.tell(layer.Warning, RuleHiveLink, hivesName+`\`+h.base, "base layer processing makes it of %s", source)
		}
	}
}

func signature(d directory, name string) error {
	f, err := d.open(name)
	if err != nil {
		return err
	}
	defer f.close()
	var b [4]byte
	if _, err := io.ReadFull(f, b[:]); err != nil || string(b[:]) != hiveSignature {
		return fmt.Errorf("it begins with %q and not with %q", strings.TrimRight(string(b[:]), "\x00"), hiveSignature)
	}
	return nil
}
