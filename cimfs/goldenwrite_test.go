package cimfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimfs/internal/goldencim"
	"github.com/mullion/mullion/winfs"
)

// windowsPath is a path as cimfs.dll takes it as the writer does: the library allows one
// leading backslash, and doubled ones.
func windowsPath(s string) string {
	s = strings.TrimPrefix(s, `\`)
	for strings.Contains(s, `\\`) {
		s = strings.ReplaceAll(s, `\\`, `\`)
	}
	return s
}

// replayCall repeats a call that the library has accepted.
func replayCall(w *cimfs.Writer, c *goldencim.Call) error {
	path, data := windowsPath(c.Path), c.Data
	switch c.Op {
	case "file":
		m := &cimfs.Meta{Attributes: c.Attributes, Times: c.Times, Security: c.Security, EAs: c.EAs, Reparse: c.Reparse}
		m.Hole = c.Attributes&winfs.AttrSparse != 0 && c.Attributes&winfs.AttrDirectory == 0 && c.Size > 0 && len(data) == 0
		if err := w.CreateFile(path, m, c.Size); err != nil {
			return err
		}
		if c.Write != "00000000" {
			return nil
		}
		_, err := w.Write(data)
		if c.Attributes&winfs.AttrDirectory != 0 || len(data) == 0 {
			err = nil
		}
		return err
	case "stream":
		name, stream, _ := strings.Cut(path, ":")
		err := w.CreateStream(name, stream, c.Size)
		if err == nil && len(data) > 0 {
			_, err = w.Write(data)
		}
		return err
	case "link":
		return w.Link(path, windowsPath(c.Existing))
	case "delete":
		return w.Remove(path)
	}
	return fmt.Errorf("no call %q", c.Op)
}

// goldenExceptions are the images of the golden corpus that the writer does not repeat,
// each with the reason. docs/spec/cimfs.md has them too.
var goldenExceptions = map[string]string{
	"descriptors/a.cim":                "descriptors of one byte and one that is not self-relative: a substitute in place of Windows took them",
	"eas/a.cim":                        strayEAs,
	"fork-random-2/f2.cim":             strayEAs,
	"fork-empty-dir/last-of-one.cim":   emptied,
	"fork-empty-dir/both-of-two.cim":   emptied,
	"fork-empty-dir/new-then-gone.cim": emptied,
	"fork-empty-dir/last-dir.cim":      emptied,
	"fork-empty-dir/root-all.cim":      emptied,
	"fork-one/del-deep.cim":            emptied,
	"fork-one-b/del-d2-new.cim":        emptied,
	"fork-one-b/del-d2-root.cim":       emptied,
	"fork-one-b/stream-del.cim":        "a refused deletion of a stream copies the root",
	"names-odd/a.cim":                  noName,
	"root-odd/dot.cim":                 noName,
	"root-odd/backslash.cim":           noName,
	"root-odd/as-file.cim":             noName,
	"root-odd/by-link.cim":             noName,
	"streams-odd/a.cim":                noName,
	"partial/huge.cim":                 "2^48 bytes, of which the library keeps none",
	"overwrite-null/base.cim":          inPlace,
	"overwrite-same/base.cim":          inPlace,
}

const (
	strayEAs = "the library gives the extended attributes of an empty file to the next file, and keeps files that it refuses"
	emptied  = "the library leaves all names in a directory of the parent from which every name was deleted"
	noName   = `files and streams named "", "." or "..", which no path leads to`
	inPlace  = "an image is overwritten in place, which is not complete or absent at every moment"
)

// Replaying what was called makes the files that the library has made.
func TestGoldenReplay(t *testing.T) {
	defer cimfs.SetImageHashPad(leftover)()
	var bases, forks, sameBases, sameForks int
	for _, name := range goldencim.Names(t) {
		golden := goldencim.Load(t, name)
		for i := range golden.Images {
			image := &golden.Images[i]
			if !image.Committed() {
				continue
			}
			id := name + "/" + image.Name
			diff := replayGolden(t, golden, image)
			reason := goldenExceptions[id]
			switch {
			case diff != "" && reason == "":
				t.Errorf("%s: %s", id, diff)
			case diff == "" && reason != "":
				t.Errorf("%s is equal, but listed: %s", id, reason)
			}
			if image.From == "" {
				bases++
			} else {
				forks++
			}
			if diff == "" && image.From == "" {
				sameBases++
			} else if diff == "" {
				sameForks++
			}
		}
	}
	t.Logf("%d of %d bases and %d of %d forks are equal", sameBases, bases, sameForks, forks)
}

// replayGolden makes an image again beside its parent and says how it differs.
func replayGolden(t *testing.T, golden *goldencim.Case, image *goldencim.Image) string {
	t.Helper()
	g, err := winfs.ParseGUID(image.GUID)
	if err != nil {
		t.Fatal(err)
	}
	ours := func(name string) bool { return name == image.Name || strings.Contains(name, image.GUID) }
	dir := t.TempDir()
	for name, b := range golden.Files {
		if !ours(name) {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	w, err := cimfs.Create(dir, image.Name, &cimfs.Options{Version: cimfs.V1, GUID: g, Parent: image.From, ProvenOnly: true})
	if err != nil {
		return err.Error()
	}
	defer w.Close()
	var refused []error
	for i := range image.Calls {
		c := &image.Calls[i]
		if c.Op == "commit" {
			break
		}
		switch c.Result {
		case "00000000":
			refused = append(refused, replayCall(w, c))
		case "80070002", "80070003": // not there: in a fork, directories on the way are copied
			if image.From != "" && !strings.HasPrefix(c.Path, ":") && replayCall(w, c) == nil {
				refused = append(refused, fmt.Errorf("%s %q was accepted", c.Op, c.Path))
			}
		}
	}
	if err := errors.Join(append(refused, w.Commit())...); err != nil {
		return err.Error()
	}
	for name, want := range golden.Files {
		if !ours(name) {
			continue
		}
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err.Error()
		}
		if name == image.Name { // reserved fields, which the library does not set
			want = bytes.Clone(want)
			for _, b := range [][]byte{want, got} {
				clear(b[0x0D:0x10])
				clear(b[0x18:0x20])
				clear(b[0x32:0x38])
				clear(b[0x40:0x46])
			}
		}
		if !bytes.Equal(want, got) {
			n := 0
			for n < min(len(want), len(got)) && want[n] == got[n] {
				n++
			}
			return fmt.Sprintf("%s differs at %#x: %d and %d bytes", name, n, len(got), len(want))
		}
	}
	after, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != len(golden.Files) {
		return fmt.Sprintf("%d files, want %d", len(after), len(golden.Files))
	}
	return ""
}
