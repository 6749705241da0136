package offline

import (
	"strings"

	"github.com/mullion/mullion/winfs"
)

// powerPath is a path of PowerShell: of a file or of a key.
type powerPath struct {
	t   text
	key string // path of a key in the form of reg, "" for a file
}

// registryPath returns the path of a key in the form of reg, if a path names one.
func registryPath(s string) (string, bool) {
	for _, prefix := range []string{"Microsoft.PowerShell.Core\\Registry::", "Registry::"} {
		if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
			return strings.Trim(strings.ReplaceAll(s[len(prefix):], "/", `\`), `\`), true
		}
	}
	drive, rest, ok := strings.Cut(s, ":")
	if ok && (strings.EqualFold(drive, "HKLM") || strings.EqualFold(drive, "HKCU")) {
		return strings.TrimRight(strings.ToUpper(drive)+`\`+strings.Trim(strings.ReplaceAll(rest, "/", `\`), `\`), `\`), true
	}
	return "", false
}

// paths returns the paths of an argument. With patterns, those of files may have * and ? in
// the last name.
func (p *power) paths(v value, literal bool) ([]powerPath, error) {
	var out []powerPath
	for _, e := range v.items() {
		t := e.t
		switch {
		case e.kind == kindList || e.kind == kindBool:
			return nil, notOffline(t, "not a path")
		case t.s == "":
			return nil, syntax(v.t, "the path is empty")
		case strings.HasPrefix(t.s, "~"):
			return nil, notOffline(t, "write the whole path of the profile")
		case !literal && strings.ContainsAny(t.s, "[]`"):
			return nil, notOffline(t, "brackets are patterns; use -LiteralPath")
		case literal && hasPattern(t.s):
			return nil, notOffline(t, "")
		}
		q := powerPath{t: t}
		if k, ok := registryPath(t.s); ok {
			if hasPattern(k) {
				return nil, notOffline(t, "patterns of keys")
			}
			q.key = k
		} else if i := strings.IndexByte(t.s, ':'); i > 1 {
			return nil, notOffline(t, "the drive is neither C: nor HKLM: or HKCU:")
		}
		out = append(out, q)
	}
	if len(out) == 0 {
		return nil, syntax(v.t, "a path is missing")
	}
	return out, nil
}

// pathArgument returns the paths of -Path or -LiteralPath.
func (p *power) pathArgument(c *cmdletCall) ([]powerPath, error) {
	path, ok := c.args["path"]
	lit, literal := c.args["literalpath"]
	switch {
	case ok && literal:
		return nil, syntax(c.name, "-Path and -LiteralPath exclude each other")
	case literal:
		return p.paths(lit, true)
	case ok:
		return p.paths(path, false)
	}
	return nil, syntax(c.name, "-Path is missing")
}

// onePath returns the one path of a parameter that has no patterns.
func (p *power) onePath(v value) (powerPath, error) {
	list, err := p.paths(v, false)
	if err != nil {
		return powerPath{}, err
	}
	if len(list) != 1 || hasPattern(list[0].t.s) {
		return powerPath{}, notOffline(v.t, "one path without a pattern")
	}
	return list[0], nil
}

// file returns the path in the layer of a file, links in its directories resolved.
func (p *power) file(t text, last bool) (string, error) {
	pl, err := p.s.locate(t, last)
	if missing(err) {
		err = cannotFind(t)
	}
	if err != nil {
		return "", err
	}
	if pl.null {
		return "", notOffline(t, "")
	}
	return pl.layer, nil
}

func cannotFind(t text) error { return failf("Cannot find path '%s' because it does not exist.", t.s) }

// found returns the files and directories that a path names. A path without a pattern must
// exist; a pattern may name nothing. Hidden ones are not seen by a pattern without force.
func (p *power) found(q powerPath, force bool) (list []*item, wild bool, err error) {
	s := p.s
	pat, err := s.pattern(q.t)
	if missing(err) {
		return nil, false, cannotFind(q.t)
	}
	if err != nil {
		return nil, false, err
	}
	if pat.null {
		return nil, false, notOffline(q.t, "")
	}
	if !pat.wild {
		list, err = s.matches(pat)
		if err == nil && len(list) == 0 {
			err = cannotFind(q.t)
		}
		return list, false, placedFailure(q.t, err)
	}
	all, err := s.children(pat.dir)
	if err != nil {
		return nil, true, placedFailure(q.t, err)
	}
	for _, it := range all {
		if (force || !it.has(winfs.AttrHidden)) && matchGlob(pat.name, it.name()) {
			list = append(list, it)
		}
	}
	return list, true, nil
}

// placedFailure places an error that is not a failure of the command.
func placedFailure(t text, err error) error {
	switch err.(type) {
	case powerError, codeError:
		return err
	}
	return placed(t, err)
}

// matchGlob is the -like of PowerShell for * and ?: no dot is special.
func matchGlob(pattern, name string) bool {
	return matchUnits(winfs.AppendUTF16(nil, winfs.Fold(pattern)), winfs.AppendUTF16(nil, winfs.Fold(name)))
}

// key reads the path of a key.
func (p *power) key(q powerPath) (keyPath, error) {
	k, err := p.s.parseKey(q.key)
	return k, placed(q.t, err)
}
