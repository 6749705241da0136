package cimfs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"github.com/mullion/mullion/cimfs/internal/plaincim"
	"github.com/mullion/mullion/finding"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimfs/internal/goldencim"
)

// The golden corpus holds what Microsoft's library made of calls that are known.

// goldenTrees replays the calls of a case and returns the tree of each image that is
// in the folder at the end.
func goldenTrees(c *goldencim.Case) map[string]*goldenTree {
	done := map[string]*goldenTree{}
	for _, im := range c.Images {
		if !im.Committed() {
			continue
		}
		t := newGoldenTree()
		if im.From != "" {
			t = done[im.From].fork()
		}
		for _, call := range im.Calls {
			if call.Op == "commit" {
				break
			}
			// A refused attribute leaves an empty file; nothing else that fails leaves anything.
			if call.OK() || call.Op == "file" && call.EAs != nil && (call.Result == "800700ff" || call.Result == "80070057") {
				t.do(&call)
			}
		}
		t.finish()
		done[im.Name] = t
	}
	return done
}

// goldenEntry is everything that can be seen of one name.
func describeGolden(f *goldenFile) map[string]string {
	out := map[string]string{
		"attributes": f.attr.String(), "times": fmt.Sprint(f.times), "security": fmt.Sprintf("%x", f.security),
		"eas": fmt.Sprintf("%x", encodeGoldenEAs(f.eas)), "reparse": fmt.Sprintf("%x", f.reparse),
	}
	if !f.dir {
		out["data"] = showContent(f.hole > 0, int64(len(f.data))+f.hole, f.data)
	}
	for _, s := range f.streams {
		out["stream "+s.name] = fmt.Sprintf("%d %x", len(s.data), s.data)
	}
	return out
}

func describeImage(f *cimfs.File) (map[string]string, *cimfs.Stream, error) {
	sd, err := f.Security()
	if err != nil {
		return nil, nil, err
	}
	eas, err := f.EAs()
	if err != nil {
		return nil, nil, err
	}
	reparse, err := f.Reparse()
	if err != nil {
		return nil, nil, err
	}
	out := map[string]string{
		"attributes": f.Attributes().String(), "times": fmt.Sprint(f.Times()), "security": fmt.Sprintf("%x", sd),
		"eas": fmt.Sprintf("%x", eas), "reparse": fmt.Sprintf("%x", reparse),
	}
	var main *cimfs.Stream
	if !f.IsDir() {
		if main, err = f.Data(); err != nil {
			return nil, nil, err
		}
		b, err := io.ReadAll(io.NewSectionReader(main, 0, min(main.Size(), 1<<21)))
		if err != nil {
			return nil, nil, err
		}
		if main.Sparse() && !slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) {
			b = nil
		}
		out["data"] = showContent(main.Sparse(), main.Size(), b)
	}
	streams, err := f.Streams()
	if err != nil {
		return nil, nil, err
	}
	for _, s := range streams {
		b, err := io.ReadAll(s.Reader())
		if err != nil {
			return nil, nil, err
		}
		out["stream "+s.Name()] = fmt.Sprintf("%d %x", len(b), b)
	}
	return out, main, nil
}

func showContent(sparse bool, size int64, b []byte) string {
	return fmt.Sprintf("sparse %v, %d bytes %x", sparse, size, b)
}

func memoryOf(c *goldencim.Case) memory { return memory(c.Files) }

// imageNames are the images in the folder of a case.
func imageNames(c *goldencim.Case) (names []string) {
	for _, n := range slices.Sorted(maps.Keys(c.Files)) {
		if strings.HasSuffix(n, ".cim") {
			names = append(names, n)
		}
	}
	return names
}

// Every golden image lists right: names, links, content, streams and all metadata are
// those of the calls that made it.
func TestGoldenListing(t *testing.T) {
	images, entries := 0, 0
	for _, name := range goldencim.Names(t) {
		c := goldencim.Load(t, name)
		trees := goldenTrees(c)
		for _, image := range imageNames(c) {
			images++
			if name == "root-odd" && image == "as-file.cim" {
				continue // see TestGoldenRootFile
			}
			im, err := cimfs.OpenFiles(memoryOf(c), image, cimfs.Limits{})
			if err != nil {
				t.Errorf("%s/%s: %v", name, image, err)
				continue
			}
			im.ListOddNames()
			entries += sameTree(t, name+"/"+image, im, trees[image])
			im.Close()
		}
	}
	t.Logf("%d images, %d names", images, entries)
}

// sameTree compares an image with a tree and returns how many names it has.
func sameTree(t *testing.T, what string, im *cimfs.Image, tree *goldenTree) int {
	t.Helper()
	want := map[string]*goldenFile{}
	tree.walk(func(path string, f *goldenFile) { want[path] = f })
	ids, n := map[*goldenFile]cimfs.FileID{}, 0
	files := map[cimfs.FileID]*goldenFile{}
	err := im.Walk(func(path string, f *cimfs.File) error {
		n++
		w := want[path]
		if w == nil {
			t.Errorf("%s: %q should not be there", what, path)
			return nil
		}
		delete(want, path)
		if id, ok := ids[w.identity()]; ok && id != f.ID() {
			t.Errorf("%s: %q is file %d, its other name file %d", what, path, f.ID(), id)
		}
		if o, ok := files[f.ID()]; ok && o != w.identity() {
			t.Errorf("%s: %q shares file %d with another file", what, path, f.ID())
		}
		ids[w.identity()], files[f.ID()] = f.ID(), w.identity()
		got, main, err := describeImage(f)
		if err != nil {
			return fmt.Errorf("%q: %w", path, err)
		}
		expanded := *w
		if main != nil && main.Type() == cimfs.ImageStream {
			expanded.eas = append(slices.Clone(w.eas), goldenHashes(w.data, leftover)...)
		}
		describe := describeGolden(&expanded)
		if !maps.Equal(got, describe) {
			for k := range describe {
				if got[k] != describe[k] {
					t.Errorf("%s: %q: %s is %.200s, want %.200s", what, path, k, got[k], describe[k])
				}
			}
			for k := range got {
				if _, ok := describe[k]; !ok {
					t.Errorf("%s: %q: has %s %.80s", what, path, k, got[k])
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	for path := range want {
		t.Errorf("%s: %q is missing", what, path)
	}
	return n
}

// goldenFindings are the images of the corpus of which Check has something to say, with
// the rules. None of it but what as-file.cim shows is an error.
var goldenFindings = map[string]string{
	"descriptors/a.cim":      "warning security warning security", // one byte, and one that is not self-relative, which Wine's RtlValidRelativeSecurityDescriptor takes
	"names-odd/a.cim":        "info odd-name info odd-name",
	"partial/huge.cim":       "info empty-stream", // a length of 2^48
	"root-odd/backslash.cim": "info odd-name",
	"root-odd/by-link.cim":   "info odd-name",
	"root-odd/dot.cim":       "info odd-name",
	"streams-odd/a.cim":      "info stream-name",
	"root-odd/as-file.cim":   "warning root error stream", // the root is a file whose content is a link table
}

// What Microsoft's library does is no fault, but for its defects.
func TestGoldenCheck(t *testing.T) {
	clean := 0
	for _, name := range goldencim.Names(t) {
		c := goldencim.Load(t, name)
		dir := t.TempDir()
		if err := c.Write(dir); err != nil {
			t.Fatal(err)
		}
		for _, image := range imageNames(c) {
			id := name + "/" + image
			found, err := finding.Collect(cimfs.Check(context.Background(), dir, image, cimfs.CheckOptions{}))
			if err != nil {
				t.Errorf("%s: %v", id, err)
			}
			var rules []string
			for _, f := range found {
				rules = append(rules, f.Severity.String()+" "+f.Rule)
			}
			slices.Sort(rules)
			want := strings.Fields(goldenFindings[id])
			var wanted []string
			for i := 0; i < len(want); i += 2 {
				wanted = append(wanted, want[i]+" "+want[i+1])
			}
			slices.Sort(wanted)
			if !slices.Equal(rules, wanted) {
				t.Errorf("%s: %v, want %v", id, found, wanted)
			}
			if len(found) == 0 {
				clean++
			}
			tree, err := plaincim.Read(filepath.Join(dir, image))
			if id == "root-odd/as-file.cim" {
				continue
			}
			if err != nil {
				t.Errorf("%s: the second reader: %v", id, err)
				continue
			}
			if wrong, _ := tree.Verify(dir); len(wrong) > 0 {
				t.Errorf("%s: the second reader: %v", id, wrong)
			}
		}
	}
	t.Logf("%d images without a finding", clean)
}

// An image whose root is a file opens, and nobody takes it for a directory.
func TestGoldenRootFile(t *testing.T) {
	c := goldencim.Load(t, "root-odd")
	im, err := cimfs.OpenFiles(memoryOf(c), "as-file.cim", cimfs.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	visited := 0
	walk := func(string, *cimfs.File) error { visited++; return nil }
	if err := im.Walk(walk); !errors.Is(err, cimfs.ErrNotDirectory) || visited != 0 {
		t.Errorf("%d files, %v", visited, err)
	}
	if err := cimfs.Rewrite(t.Context(), t.TempDir(), "a.cim", im, nil); !errors.Is(err, cimfs.ErrNotDirectory) {
		t.Errorf("rewrite: %v", err)
	}
	im.ListOddNames()
	if err := im.Walk(walk); err != nil || visited != 1 {
		t.Errorf("%d files, %v", visited, err)
	}
	if _, err := im.Lookup("x"); !errors.Is(err, cimfs.ErrNotDirectory) {
		t.Errorf("lookup: %v", err)
	}
}

// Names that no path leads to are an error for whoever does not ask for them.
func TestGoldenOddNames(t *testing.T) {
	for id, want := range map[string]int{"names-odd/a.cim": 2, "root-odd/dot.cim": 1, "root-odd/by-link.cim": 1, "root-odd/backslash.cim": 1} {
		name, image, _ := strings.Cut(id, "/")
		c := goldencim.Load(t, name)
		im, err := cimfs.OpenFiles(memoryOf(c), image, cimfs.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		defer im.Close()
		if err := im.Walk(func(string, *cimfs.File) error { return nil }); !errors.Is(err, cimfs.ErrName) {
			t.Errorf("%s: %v", id, err)
		}
		im.ListOddNames()
		odd := 0
		if err := im.Walk(func(path string, f *cimfs.File) error {
			if base := path[strings.LastIndexByte(path, '\\')+1:]; path != "" && strings.Trim(base, ".") == "" && len(base) < 3 {
				odd++
			}
			return nil
		}); err != nil || odd != want {
			t.Errorf("%s: %d odd names, want %d: %v", id, odd, want, err)
		}
	}
}

// leftOut reports whether an image has records that nothing names or objects that nothing
// refers to, which Rewrite leaves out, or regions of the same type, which it joins.
func leftOut(t *testing.T, c *goldencim.Case, image string) bool {
	t.Helper()
	dir := t.TempDir()
	if err := c.Write(dir); err != nil {
		t.Fatal(err)
	}
	tree, err := plaincim.Read(filepath.Join(dir, image))
	if err != nil {
		t.Fatal(err)
	}
	_, dead := tree.Verify(dir)
	return dead > 0 || slices.Contains(tree.Files[1:], nil) || tree.Own.Count > 3
}

// Rewrite repeats every base of which it leaves nothing out, and of all images, forks
// too, the result has the same tree and passes the check.
func TestGoldenRewrite(t *testing.T) {
	same, dropped, forks := 0, 0, 0
	for _, name := range goldencim.Names(t) {
		c := goldencim.Load(t, name)
		trees := goldenTrees(c)
		for _, image := range imageNames(c) {
			id := name + "/" + image
			if id == "root-odd/as-file.cim" {
				continue // see TestGoldenRootFile
			}
			im, err := cimfs.OpenFiles(memoryOf(c), image, cimfs.Limits{})
			if err != nil {
				t.Errorf("%s: %v", id, err)
				continue
			}
			out := t.TempDir()
			if err := cimfs.Rewrite(t.Context(), out, image, im, nil); err != nil {
				t.Errorf("%s: %v", id, err)
				continue
			}
			again, err := cimfs.Open(out, image)
			if err != nil {
				t.Errorf("%s: %v", id, err)
				continue
			}
			again.ListOddNames()
			sameTree(t, id+" rewritten", again, trees[image])
			again.Close()
			if len(im.Parents()) > 0 {
				forks++
				im.Close()
				continue
			}
			diff := ""
			for _, n := range im.FileNames() {
				got, err := os.ReadFile(filepath.Join(out, n))
				if want := c.Files[n]; n != image && (err != nil || !bytes.Equal(got, want)) {
					diff = fmt.Sprintf("%s: %d bytes, want %d, %v", n, len(got), len(want), err)
				}
			}
			im.Close()
			switch {
			case diff == "":
				same++
			case leftOut(t, c, image):
				dropped++
			case id == "pe-writes/a.cim":
				// A file that was replaced keeps its number, so that the number does not tell
				// when it was made. Its old content is still there, under other files.
			default:
				t.Errorf("%s: %s", id, diff)
			}
		}
	}
	t.Logf("%d bases the same, %d with something left out; %d forks", same, dropped, forks)
}
