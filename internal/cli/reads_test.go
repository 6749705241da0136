package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/imagetest"
	"github.com/mullion/mullion/image/layout"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// countedReads is the transport of counted:DIR:TAG, an OCI layout whose blobs are counted
// when they are read.
type countedReads struct {
	image.Transport // of oci:

	mu    sync.Mutex
	opens map[godigest.Digest]int
	read  map[godigest.Digest]int64
}

var readCount = &countedReads{Transport: layout.New()}

func init() { image.Register(readCount) }

func (*countedReads) Scheme() string { return "counted" }

func (t *countedReads) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.opens, t.read = map[godigest.Digest]int{}, map[godigest.Digest]int64{}
}

func (t *countedReads) OpenSource(ctx context.Context, ref image.Reference, l layer.Limits) (image.Source, error) {
	s, err := t.Transport.OpenSource(ctx, ref, l)
	return &countedSource{s, t}, err
}

type countedSource struct {
	image.Source
	t *countedReads
}

func (s *countedSource) Open(ctx context.Context, d image.Descriptor) (io.ReadCloser, error) {
	rc, err := s.Source.Open(ctx, d)
	return s.count(d, rc, err)
}

func (s *countedSource) OpenRange(ctx context.Context, d image.Descriptor, off, n int64) (io.ReadCloser, error) {
	rc, err := s.Source.(image.RangeOpener).OpenRange(ctx, d, off, n)
	return s.count(d, rc, err)
}

func (s *countedSource) count(d image.Descriptor, rc io.ReadCloser, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	s.t.opens[d.Digest]++
	return &countedBlob{rc, d.Digest, s.t}, nil
}

type countedBlob struct {
	io.ReadCloser
	d godigest.Digest
	t *countedReads
}

func (b *countedBlob) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.t.mu.Lock()
	defer b.t.mu.Unlock()
	b.t.read[b.d] += int64(n)
	return n, err
}

// countedImage makes a layout with the image v1 of two layers, each a gzip blob of some
// MiB, and v2 with another upper layer. It returns the digests of the layers of v1.
func countedImage(t *testing.T, dir string) (layers []image.Descriptor) {
	t.Helper()
	noise := rand.NewChaCha8([32]byte{7})
	tar := func(base bool, write func(file func(path string, n int), dir func(path string))) []byte {
		var b bytes.Buffer
		var w layer.Writer = wintar.NewWriter(&b)
		if base {
			w = hives.Complete(w, hives.OSVersion{Major: 10, Build: 20348})
		}
		check := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		write(func(path string, n int) {
			check(w.Add(&layer.Entry{Path: path, Kind: layer.File, Size: int64(n), Attributes: winfs.AttrArchive}))
			check(w.AddStream(&layer.Stream{Size: int64(n)}))
			_, err := io.CopyN(w, noise, int64(n))
			check(err)
		}, func(path string) {
			check(w.Add(&layer.Entry{Path: path, Kind: layer.Dir, Attributes: winfs.AttrDirectory}))
		})
		check(w.Commit())
		return b.Bytes()
	}
	base := tar(true, func(file func(string, int), dir func(string)) {
		dir(`Files`)
		for n := range 160 {
			file(fmt.Sprintf(`Files\base%03d.bin`, n), 64<<10)
		}
	})
	upper := func(name string) []byte {
		return tar(false, func(file func(string, int), dir func(string)) {
			dir(`Files`)
			dir(`Hives`)
			for n := range 160 {
				file(fmt.Sprintf(`Files\%s%03d.bin`, name, n), 64<<10)
			}
		})
	}
	config := ocispec.Image{Platform: ocispec.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348"}}
	var images []imagetest.Image
	for n, name := range []string{"one", "two"} {
		images = append(images, imagetest.Image{Tag: fmt.Sprintf("v%d", n+1), Config: config,
			Layers: []imagetest.Layer{{Tar: base, Format: blob.Gzip}, {Tar: upper(name), Format: blob.Gzip}}})
	}
	if err := imagetest.WriteLayout(dir, images...); err != nil {
		t.Fatal(err)
	}
	img, err := image.Open(t.Context(), "oci:"+dir+":v1")
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	for _, l := range img.Layers() {
		layers = append(layers, l.Descriptor)
	}
	return layers
}

// No command reads a blob to its end twice, and after each of them that reads the layers,
// the layers have indexes, from which a question is answered without reading a blob.
func TestReads(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "layout")
	layers := countedImage(t, dir)
	const v1, v2 = "counted:DIR:v1", "counted:DIR:v2"
	const (
		nothing = iota // of the blobs
		parts          // what the question needs of them
		whole          // each blob once
		both           // each blob once, and then parts
	)
	for _, c := range []struct {
		command string
		first   int // what it reads of each blob without an index
		second  int // and with one
		status  int
	}{
		{"manifest " + v1, nothing, nothing, 0},
		{"config " + v1, nothing, nothing, 0},
		{"inspect " + v1, nothing, nothing, 0},
		{"inspect --layers " + v1, whole, parts, 0},
		{"inspect --waste " + v1, whole, nothing, 0},
		{"ls " + v1, whole, nothing, 0},
		{"ls -R --json " + v1, whole, nothing, 0},
		{"cat " + v1 + ` Files\one159.bin`, both, parts, 0},
		{"blame " + v1 + ` Files\one159.bin`, whole, parts, 0},
		{"os-version " + v1, whole, nothing, 0},
		{"env " + v1, whole, nothing, 0},
		{"sbom " + v1, whole, nothing, 0},
		{"updates " + v1, whole, nothing, 0},
		{"hive query " + v1 + ` SOFTWARE`, whole, parts, 0},
		{"check --quick --fail-on error " + v1, whole, nothing, 0},
		{"diff " + v1 + " " + v2, whole, parts, 1},
		{"extract " + v1 + ` Files\one001.bin OUT`, whole, parts, 0},
		{"extract " + v1 + ` \ OUT`, whole, whole, 0},
		{"check --fail-on error " + v1, whole, whole, 0},
		{"copy " + v1 + " oci:OUT:x", whole, whole, 0},
		{"copy " + v1 + " oci-archive:OUT:x", whole, whole, 0},
		{"copy " + v1 + " docker-archive:OUT:x:y", whole, whole, 0},
		{"unpack " + v1 + " OUT", whole, whole, 0},
		{"unpack --format wclayer " + v1 + " OUT", whole, whole, 0},
	} {
		t.Run(c.command, func(t *testing.T) {
			t.Setenv(cacheEnv, filepath.Join(t.TempDir(), "cache"))
			var first string
			for turn, want := range []int{c.first, c.second} {
				readCount.reset()
				replace := strings.NewReplacer("DIR", dir, "OUT", filepath.Join(t.TempDir(), "out"))
				var args []string
				for word := range strings.FieldsSeq(c.command) {
					args = append(args, replace.Replace(word))
				}
				status, out, errs := run1(args...)
				if status != c.status {
					t.Fatalf("status %d: %s", status, errs)
				}
				for n, l := range layers {
					read := readCount.read[l.Digest]
					t.Logf("%s: turn %d, layer %d: %d of %d bytes in %d readings", c.command, turn+1, n, read, l.Size, readCount.opens[l.Digest])
					switch bad := fmt.Sprintf("turn %d, layer %d: %d of %d bytes are read", turn+1, n, read, l.Size); {
					case want == nothing && read > 0:
						t.Error(bad)
					case want == parts && read > l.Size*3/4:
						t.Error(bad)
					case want == both && (read < l.Size || read > l.Size*7/4):
						t.Error(bad)
					case want == whole && (read < l.Size || read > l.Size*11/10):
						t.Error(bad)
					}
				}
				if turn == 0 {
					first = out
				} else if !strings.Contains(c.command, "OUT") && out != first {
					t.Errorf("another answer the second time:\n%s\n%s", first, out)
				}
			}
			if c.first < whole {
				return
			}
			readCount.reset()
			if status, _, errs := run1("ls", "-R", "counted:"+dir+":v1"); status != 0 {
				t.Fatal(errs)
			}
			for n, l := range layers {
				if read := readCount.read[l.Digest]; read > 0 {
					t.Errorf("layer %d has no index: %d bytes are read", n, read)
				}
			}
		})
	}
}

// What extract writes of an image without an index is what it writes of one that has it,
// and nothing else is left beside it.
func TestExtractKept(t *testing.T) {
	dir := t.TempDir()
	countedImage(t, filepath.Join(dir, "layout"))
	for _, path := range []string{`\`, `Files\one003.bin`} {
		where := t.TempDir()
		var first map[string]string
		for _, out := range []string{"a", "b"} {
			args := []string{"--cache", filepath.Join(where, "cache"), "extract", "oci:" + filepath.Join(dir, "layout") + ":v1", path, filepath.Join(where, out)}
			if status, _, errs := run1(args...); status != 0 {
				t.Fatal(errs)
			}
			files := map[string]string{}
			err := filepath.WalkDir(filepath.Join(where, out), func(name string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				b, err := os.ReadFile(name)
				rel, _ := filepath.Rel(filepath.Join(where, out), name)
				files[rel] = string(b)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = files
			} else if !maps.Equal(first, files) {
				t.Errorf("%s: other files the second time: %d and %d", path, len(first), len(files))
			}
		}
		if want := map[string]int{`\`: 325, `Files\one003.bin`: 1}[path]; len(first) != want {
			t.Errorf("%s: %d files, not %d", path, len(first), want)
		}
		if list, err := os.ReadDir(where); err != nil || len(list) != 3 {
			t.Errorf("%v, %v", list, err)
		}
	}
}
