package offline

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/mullion/mullion/build/internal/draft"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winsec"
)

// overDraft are the files of a draft.
type overDraft struct{ *draft.Draft }

func (f overDraft) meta(m Meta) draft.Meta {
	return draft.Meta{Attributes: m.Attributes, Times: m.Times, Security: m.Security}
}
func (f overDraft) Mkdir(p string, m Meta) error            { return f.Draft.Mkdir(p, f.meta(m)) }
func (f overDraft) Write(p string, c Content, m Meta) error { return f.Draft.Write(p, c, f.meta(m)) }
func (f overDraft) Copy(from, to string, m Meta) error      { return f.Draft.Copy(from, to, f.meta(m)) }
func (f overDraft) Reparse(p string, dir bool, b []byte, m Meta) error {
	return f.Draft.Reparse(p, dir, b, f.meta(m))
}

// listing shows a tree with what matters of its metadata.
func listing(t *testing.T, f Files) string {
	t.Helper()
	var b strings.Builder
	var walk func(string)
	walk = func(p string) {
		var dirs []string
		for it, err := range f.Children(p) {
			if err != nil {
				t.Fatal(err)
			}
			content := ""
			if it.Kind == layer.File && it.Reparse == nil {
				r, err := f.Open(it.Path)
				if err != nil {
					t.Fatal(err)
				}
				if _, err = r.Next(); err == nil {
					_, err = r.NextStream()
				}
				c, rerr := io.ReadAll(r)
				if err != nil || rerr != nil {
					t.Fatalf("%s: %v, %v", it.Path, err, rerr)
				}
				content = string(c)
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
			}
			d, err := winsec.Parse(it.Security)
			if err != nil {
				t.Fatalf("%s: %v", it.Path, err)
			}
			fmt.Fprintf(&b, "%s %s %s %x %d %q %s\n", it.Path, it.Kind, it.Attributes, it.Reparse, it.Times.LastWrite, content, d.SDDL())
			if it.Kind == layer.Dir && it.Reparse == nil {
				dirs = append(dirs, it.Path)
			}
		}
		for _, d := range dirs {
			walk(d)
		}
	}
	walk(root)
	return b.String()
}

// The plain tree of the tests and a draft over another one show the same after every line.
func TestDraft(t *testing.T) {
	cases := cmdCases()
	for _, line := range []string{`icacls d /grant Everyone:(OI)(CI)F`, `icacls d /inheritance:r /T & icacls d /reset /T`, `takeown /f d /r /d y & copy d\f g`, `icacls d /grant Users:F & xcopy d x /e /i & move x d`} {
		cases = append(cases, cmdCase{line: line, have: `d\f= d\e\g=`})
	}
	for _, c := range cases {
		plain, m := box(strings.Fields(c.have)...)
		low := draft.New(draft.NoLower, draft.Options{})
		list := append([]*memNode{m.nodes[`FILES`]}, m.below(root)...)
		for _, n := range list {
			meta := draft.Meta{Attributes: n.Attributes, Times: n.Times, Security: n.Security}
			var err error
			if n.Kind == layer.Dir {
				err = low.Mkdir(n.path, meta)
			} else {
				err = low.Write(n.path, bytesContent(n.data), meta)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		high := draft.New(low, draft.Options{Now: m.now})
		other, _ := box()
		other.Files = overDraft{high}
		a := Run(context.Background(), plain, nil, c.line)
		b := Run(context.Background(), other, nil, c.line)
		if fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%s: %v, and with a draft %v", c.line, a, b)
			continue
		}
		if x, y := listing(t, m), listing(t, other.Files); x != y {
			t.Errorf("%s:\n%s and with a draft\n%s", c.line, x, y)
		}
		if high.Empty() {
			continue
		}
		r, err := high.Layer()
		if err != nil {
			t.Fatalf("%s: %v", c.line, err)
		}
		for f, err := range layer.Check(context.Background(), r, layer.CheckOptions{}) {
			t.Errorf("%s: %v, %v", c.line, f, err)
		}
	}
}
