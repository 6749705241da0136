package cimfs_test

import (
	"fmt"
	"io"
	"maps"
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
