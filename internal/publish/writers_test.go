package publish_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/all"
	"github.com/mullion/mullion/image/imagetest"
	"github.com/mullion/mullion/internal/cache"
	"github.com/mullion/mullion/internal/cli"
	"github.com/mullion/mullion/internal/plaindir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/overlay"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/snapshotter"
	"github.com/mullion/mullion/wclayer"
	"github.com/mullion/mullion/wctransport"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
)

var times = winfs.Times{Creation: 132e15, LastAccess: 132e15, LastWrite: 132e15, Change: 132e15}

func directory(path string) layertest.Item {
	return layertest.Item{Entry: layer.Entry{Path: path, Kind: layer.Dir, Attributes: winfs.AttrDirectory, Times: times}}
}

func file(path, data string, more ...layertest.Stream) layertest.Item {
	return layertest.Item{
		Entry:   layer.Entry{Path: path, Kind: layer.File, Attributes: winfs.AttrArchive, Size: int64(len(data)), Times: times},
		Streams: append([]layertest.Stream{{Data: []byte(data)}}, more...),
	}
}

// baseLayer is a base layer with one of the hives, which has an alternate stream.
var baseLayer = sync.OnceValues(func() (*layertest.Layer, error) {
	system, err := hives.Minimal(hives.System, hives.OSVersion{Major: 10, Build: 20348})
	return &layertest.Layer{Items: []layertest.Item{
		directory(`Files`), directory(`Files\Windows`), directory(`Files\Windows\System32`), directory(`Files\Windows\System32\config`),
		file(hives.System.Path(hives.Config), string(system), layertest.Stream{Name: "s", Data: []byte("more")}),
		file(`Files\a`, "one"),
	}}, err
})

// upper is a layer over it.
var upper = &layertest.Layer{Items: []layertest.Item{directory(`Files`), file(`Files\b`, "two")}}

// fill copies a layer and publishes it.
func fill(w layer.Writer, l *layertest.Layer) (err error) {
	defer func() { err = errors.Join(err, w.Close()) }()
	r, err := l.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := layer.Copy(context.Background(), w, r); err != nil {
		return err
	}
	return w.Commit()
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// tarOf makes the tar of a layer.
func tarOf(t *testing.T, l *layertest.Layer) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := fill(wintar.NewWriter(&b), l); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// layout makes an OCI layout of an image whose layers are given.
func layout(t *testing.T, layers ...*layertest.Layer) string {
	t.Helper()
	dir := t.TempDir()
	img := imagetest.Image{Config: ocispec.Image{Platform: ocispec.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.1"}}}
	for _, l := range layers {
		img.Layers = append(img.Layers, imagetest.Layer{Tar: tarOf(t, l)})
	}
	if err := imagetest.WriteLayout(dir, img); err != nil {
		t.Fatal(err)
	}
	return dir
}

func hive(t *testing.T) *regf.Hive {
	t.Helper()
	b := must(hives.Minimal(hives.Software, hives.OSVersion{Major: 10, Build: 20348}))(t)
	h := must(regf.OpenBytes(b, nil))(t)
	t.Cleanup(func() { h.Close() })
	return h
}

// The writers of these tests leave nothing in the cache of the user.
func init() { os.Setenv("MULLION_CACHE", "off") }

// command runs the command line.
func command(args ...string) error { return commandWith("", args...) }

// commandWith runs the command line with a standard input.
func commandWith(in string, args ...string) error {
	var out bytes.Buffer
	if status := cli.Main(args, strings.NewReader(in), io.Discard, &out); status != 0 {
		return &failed{status, out.String()}
	}
	return nil
}

// openRegistry returns the host of a registry that asks for no credentials, so that all are
// good. It is the same one until the end of the process: the host is part of the result.
var openRegistry = sync.OnceValue(func() string {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return strings.TrimPrefix(server.URL, "http://")
})

// failed is an error of the command line, which has only its message to show.
type failed struct {
	status int
	text   string
}

func (f *failed) Error() string { return fmt.Sprintf("exit status %d: %s", f.status, f.text) }

func (f *failed) Is(target error) bool {
	return target == errInjected && bytes.Contains([]byte(f.text), []byte(errInjected.Error()))
}

// old puts a file of this name into the directory.
func old(name, text string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
}

func cimBuild(dir, name string, o *cimfs.Options, file, text string) error {
	w, err := cimfs.Create(dir, name, o)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.AddFile(file, nil, int64(len(text))); err != nil {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return w.Commit()
}

const big = 300 << 10

// writers are all that publish. A new one belongs here.
func writers() []*writer {
	text := string(bytes.Repeat([]byte("text"), big/4))
	location := func(dir, name string) cimlayer.Location {
		return cimlayer.Location{Images: dir, Name: name + ".cim", Files: filepath.Join(dir, name+".files")}
	}
	deleteImage := func(name string) func(string) error {
		return func(dir string) error { return cimfs.Delete(dir, name) }
	}
	leave := cimlayer.WithMissingHives(cimlayer.TreeMissing)
	chain := func(n int) string { return fmt.Sprintf("sha256:%064x", n) }
	store := func(dir string, f func(s *cimlayer.Store) error) error {
		s, err := cimlayer.OpenStore(filepath.Join(dir, "store"))
		if err != nil {
			return err
		}
		return errors.Join(f(s), s.Close())
	}
	// In a store, what a run left is cleared away at the latest by Sweep.
	copyTo := func(w layer.Writer, l *layertest.Layer) error {
		r, err := l.Open()
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = layer.Copy(context.Background(), w, r)
		return err
	}
	withStore := func(t *testing.T, dir string) {
		if err := store(dir, func(*cimlayer.Store) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	copyImage := func(to string, opts ...image.Option) func(*testing.T, string) error {
		var once sync.Once
		var from string
		return func(t *testing.T, dir string) error {
			once.Do(func() { from = layout(t, upper) })
			scheme, name, _ := bytes.Cut([]byte(to), []byte(":"))
			_, err := image.Copy(t.Context(), "oci:"+from, string(scheme)+":"+filepath.Join(dir, string(name)), opts...)
			return err
		}
	}
	withImage := func(f func(t *testing.T, dir string, i *image.Image) error) func(*testing.T, string) error {
		var once sync.Once
		var from string
		return func(t *testing.T, dir string) error {
			once.Do(func() { from = layout(t, upper) })
			i, err := image.Open(t.Context(), "oci:"+from)
			if err != nil {
				return err
			}
			return errors.Join(f(t, dir, i), i.Close())
		}
	}
	return []*writer{
		{
			name: "compacted hive", result: []string{"h"}, least: 12,
			run: func(t *testing.T, dir string) error { return hive(t).WriteCompactFile(filepath.Join(dir, "h"), nil) },
		},
		{
			name: "hive over a file", result: []string{"h"}, least: 12, replaces: true,
			before: old("h", "old"),
			run: func(t *testing.T, dir string) error {
				return hive(t).WriteImageFile(filepath.Join(dir, "h"), &regf.WriteOptions{Overwrite: true})
			},
		},
		{
			name: "hive edit in place", result: []string{"h"}, least: 12, replaces: true, edits: true,
			before: func(t *testing.T, dir string) {
				b := must(hives.Minimal(hives.Software, hives.OSVersion{Major: 10, Build: 20348}))(t)
				if err := os.WriteFile(filepath.Join(dir, "h"), b, 0o600); err != nil {
					t.Fatal(err)
				}
			},
			run: func(t *testing.T, dir string) error {
				h, err := regf.Open(filepath.Join(dir, "h"), &regf.Options{Clock: func() winfs.Filetime { return 0 }})
				if err != nil {
					return err
				}
				defer h.Close()
				if _, _, err := h.Root().Create("new"); err != nil {
					return err
				}
				return h.WriteImageFile(filepath.Join(dir, "h"), &regf.WriteOptions{Overwrite: true})
			},
		},
		{
			name: "wintar", result: []string{"l.tar"}, least: 12,
			run: func(t *testing.T, dir string) error {
				w, err := wintar.Create(filepath.Join(dir, "l.tar"))
				if err != nil {
					return err
				}
				return fill(w, upper)
			},
		},
		{
			name: "wintar over a file", result: []string{"l.tar"}, least: 12, replaces: true,
			before: old("l.tar", "old"),
			run: func(t *testing.T, dir string) error {
				w, err := wintar.Create(filepath.Join(dir, "l.tar"), wintar.Overwrite())
				if err != nil {
					return err
				}
				return fill(w, &layertest.Layer{Items: []layertest.Item{directory(`Files`), file(`Files\big`, text)}})
			},
		},
		{
			name: "transport directory", result: []string{"l"}, least: 9, shared: true,
			run: func(t *testing.T, dir string) error {
				w, err := wctransport.Create(filepath.Join(dir, "l"))
				if err != nil {
					return err
				}
				return fill(w, upper)
			},
		},
		{
			name: "final directory", result: []string{"l"}, least: 9, shared: true,
			run: func(t *testing.T, dir string) error {
				w, err := wclayer.Create(filepath.Join(dir, "l"), nil, wclayer.WithSync(wclayer.SyncFiles))
				if err != nil {
					return err
				}
				return fill(w, upper)
			},
		},
		{
			name: "plain directory", result: []string{"l"}, least: 9, shared: true,
			run: func(t *testing.T, dir string) error {
				w, err := plaindir.Create(filepath.Join(dir, "l"))
				if err != nil {
					return err
				}
				return fill(w, upper)
			},
		},
		{
			name: "plain directory with attributes", result: []string{"l"}, least: 9, shared: true,
			run: func(t *testing.T, dir string) error {
				w, err := plaindir.CreateWith(filepath.Join(dir, "l"), plaindir.CreateOptions{Attributes: true, Rooted: true})
				if err != nil {
					return err
				}
				return fill(w, upper)
			},
		},
		{
			name: "cimfs create", remove: deleteImage("a.cim"), least: 40,
			run: func(_ *testing.T, dir string) error { return cimBuild(dir, "a.cim", nil, "f", text) },
		},
		{
			name: "cimfs fork", remove: deleteImage("b.cim"), least: 40,
			before: func(t *testing.T, dir string) {
				if err := cimBuild(dir, "a.cim", nil, "f", "one"); err != nil {
					t.Fatal(err)
				}
			},
			run: func(_ *testing.T, dir string) error {
				return cimBuild(dir, "b.cim", &cimfs.Options{Parent: "a.cim"}, "g", "two")
			},
		},
		{
			name: "cimfs rewrite", remove: deleteImage("b.cim"), least: 40,
			before: func(t *testing.T, dir string) {
				if err := os.Mkdir(filepath.Join(dir, "from"), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := cimBuild(filepath.Join(dir, "from"), "a.cim", nil, "f", text); err != nil {
					t.Fatal(err)
				}
			},
			run: func(t *testing.T, dir string) error {
				im, err := cimfs.Open(filepath.Join(dir, "from"), "a.cim")
				if err != nil {
					return err
				}
				return errors.Join(cimfs.Rewrite(t.Context(), dir, "b.cim", im, nil), im.Close())
			},
		},
		{
			name: "CIM layer", remove: func(dir string) error { return location(dir, "a").Remove() }, least: 60,
			run: func(t *testing.T, dir string) error {
				w, err := cimlayer.Create(location(dir, "a"), nil, cimlayer.WithMissingHives(cimlayer.LeaveMissing))
				if err != nil {
					return err
				}
				return fill(w, must(baseLayer())(t))
			},
		},
		{
			name: "CIM layer over a base", remove: func(dir string) error { return location(dir, "b").Remove() }, least: 40,
			before: func(t *testing.T, dir string) {
				w := must(cimlayer.Create(location(dir, "a"), nil, leave))(t)
				if err := fill(w, upper); err != nil {
					t.Fatal(err)
				}
			},
			run: func(t *testing.T, dir string) error {
				w, err := cimlayer.Create(location(dir, "b"), []cimlayer.Location{location(dir, "a")}, leave)
				if err != nil {
					return err
				}
				return fill(w, &layertest.Layer{Items: []layertest.Item{directory(`Files`), file(`Files\c`, "three")}})
			},
		},
		{
			name: "store", result: []string{"store"}, least: 50, replaces: true,
			before: withStore,
			run: func(t *testing.T, dir string) error {
				return store(dir, func(s *cimlayer.Store) error {
					_, err := s.Add(t.Context(), chain(1), nil, func(w layer.Writer) error { return copyTo(w, upper) }, leave)
					return err
				})
			},
		},
		{
			name: "store, named at the end", result: []string{"store"}, least: 50, replaces: true,
			before: withStore,
			run: func(t *testing.T, dir string) error {
				return store(dir, func(s *cimlayer.Store) error {
					_, _, err := s.AddComputed(t.Context(), nil, func(w layer.Writer) (string, error) { return chain(1), copyTo(w, upper) }, leave)
					return err
				})
			},
		},
		{
			name: "conversion to a base layer", several: true, least: 60, replaces: true,
			before: func(t *testing.T, dir string) {
				if err := os.MkdirAll(filepath.Join(dir, "l", "Files", "Windows", "System32", "config"), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Mkdir(filepath.Join(dir, "l", "Hives"), 0o755); err != nil {
					t.Fatal(err)
				}
			},
			run: func(_ *testing.T, dir string) error {
				return cimlayer.ConvertToBaseLayer(filepath.Join(dir, "l"), hives.OSVersion{Major: 10, Build: 20348})
			},
		},
		{name: "OCI layout", result: []string{"out"}, least: 20, run: copyImage("oci:out")},
		{
			name: "OCI layout with another image", several: true, least: 20, replaces: true,
			before: func(t *testing.T, dir string) {
				img := imagetest.Image{Config: ocispec.Image{Platform: ocispec.Platform{OS: "windows", Architecture: "amd64"}}, Layers: []imagetest.Layer{{Tar: []byte("another")}}}
				if err := imagetest.WriteLayout(filepath.Join(dir, "out"), img); err != nil {
					t.Fatal(err)
				}
			},
			run: copyImage("oci:out"),
		},
		{
			name: "document beside an image in an OCI layout", several: true, least: 20, replaces: true,
			before: func(t *testing.T, dir string) {
				img := imagetest.Image{Config: ocispec.Image{Platform: ocispec.Platform{OS: "windows", Architecture: "amd64"}}, Layers: []imagetest.Layer{{Tar: []byte("another")}}}
				if err := imagetest.WriteLayout(filepath.Join(dir, "out"), img); err != nil {
					t.Fatal(err)
				}
			},
			run: func(t *testing.T, dir string) error {
				img, err := image.Open(t.Context(), "oci:"+filepath.Join(dir, "out"))
				if err != nil {
					return err
				}
				defer img.Close()
				return img.Attach(t.Context(), &image.Referrer{Type: "application/spdx+json", Content: []byte("{}")})
			},
		},
		{name: "OCI archive", result: []string{"out.tar"}, least: 12, run: copyImage("oci-archive:out.tar")},
		{
			name: "OCI archive over a file", result: []string{"out.tar"}, least: 12, replaces: true,
			before: old("out.tar", "old"), run: copyImage("oci-archive:out.tar", image.WithForce()),
		},
		{name: "docker archive", result: []string{"out.tar"}, least: 12, run: copyImage("docker-archive:out.tar")},
		{
			name: "unpacked image", result: []string{"out"}, least: 20,
			run: withImage(func(t *testing.T, dir string, i *image.Image) error {
				_, err := i.Unpack(t.Context(), filepath.Join(dir, "out"), func(root *os.Root, name string, _ []string) (layer.Writer, error) {
					return wctransport.CreateIn(root, name)
				})
				return err
			}),
		},
		{
			name: "image in a store", several: true, least: 60, replaces: true,
			before: func(t *testing.T, dir string) {
				withStore(t, dir)
				if err := os.Mkdir(filepath.Join(dir, "store", "images"), 0o755); err != nil {
					t.Fatal(err)
				}
			},
			run: withImage(func(t *testing.T, dir string, i *image.Image) error {
				return store(dir, func(s *cimlayer.Store) error {
					_, err := i.UnpackStore(t.Context(), s, leave)
					return err
				})
			}),
		},
		{
			name: "cache", result: []string{"c"}, least: 12, replaces: true, shared: true,
			before: func(t *testing.T, dir string) {
				if err := os.Mkdir(filepath.Join(dir, "c"), 0o700); err != nil {
					t.Fatal(err)
				}
			},
			run: func(_ *testing.T, dir string) error {
				d, err := cache.Open(filepath.Join(dir, "c"), 1<<20)
				if err != nil {
					return err
				}
				defer d.Close()
				return d.Put(strings.Repeat("0", 64)+"-.index", func(w io.Writer) error { _, err := io.WriteString(w, text); return err })
			},
		},
		{
			name: "journal of a writable tree", result: []string{"tree"}, least: 9, replaces: true,
			before: func(t *testing.T, dir string) {
				if err := os.MkdirAll(filepath.Join(dir, "tree", "data"), 0o700); err != nil {
					t.Fatal(err)
				}
			},
			run: func(_ *testing.T, dir string) error {
				tree, err := overlay.Open(filepath.Join(dir, "tree"), overlay.NoLower(), nil)
				if err != nil {
					return err
				}
				return tree.Close()
			},
		},
		{
			name: "output of a command", result: []string{"out.tar"}, least: 12,
			before: func(t *testing.T, dir string) {
				w := must(wintar.Create(filepath.Join(dir, "in.tar")))(t)
				if err := fill(w, upper); err != nil {
					t.Fatal(err)
				}
			},
			run: func(_ *testing.T, dir string) error {
				return existing(command("convert", "tar:"+filepath.Join(dir, "in.tar"), "tar:"+filepath.Join(dir, "out.tar")))
			},
		},
		{
			name: "login", result: []string{"config.json"}, least: 9, replaces: true,
			before: old("config.json", `{"credsStore": "", "psFormat": "table"}`),
			run: func(t *testing.T, dir string) error {
				t.Setenv("DOCKER_CONFIG", dir)
				return commandWith("secret", "login", openRegistry(), "--username", "user", "--password-stdin")
			},
		},
		applied(false), applied(true),
	}
}

// existing makes an error of the command line about a name that is taken one that
// errors.Is knows.
func existing(err error) error {
	if f, ok := err.(*failed); ok && bytes.Contains([]byte(f.text), []byte("--force replaces it")) {
		return errors.Join(err, layer.ErrExists)
	}
	return err
}

// memoryLabels keeps labels of blobs.
type memoryLabels map[digest.Digest]map[string]string

func (l memoryLabels) Get(d digest.Digest) (map[string]string, error) { return l[d], nil }
func (l memoryLabels) Set(d digest.Digest, m map[string]string) error { l[d] = m; return nil }
func (l memoryLabels) Update(d digest.Digest, m map[string]string) (map[string]string, error) {
	l[d] = m
	return m, nil
}

var snapshotNumber = regexp.MustCompile(`^(root/snapshots/)[0-9]+`)

// applied is the snapshotter: a layer that is put into its store, or, since its parent is
// not known yet, kept as a tar.
func applied(spooled bool) *writer {
	name, least := "snapshotter", 50
	if spooled {
		name, least = "snapshotter, spooled", 8
	}
	const key = "key"
	var once sync.Once
	var blobs content.Store
	return &writer{
		name: name, several: true, owns: true, least: least, replaces: true,
		rename: func(p string) string { return snapshotNumber.ReplaceAllString(p, "${1}N") },
		before: func(t *testing.T, dir string) {
			s := must(snapshotter.New(snapshotter.Config{Root: filepath.Join(dir, "root")}))(t)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		},
		run: func(t *testing.T, dir string) (err error) {
			ctx := namespaces.WithNamespace(t.Context(), "test")
			layer := tarOf(t, upper)
			d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromBytes(layer), Size: int64(len(layer))}
			once.Do(func() {
				blobs = must(local.NewLabeledStore(t.TempDir(), memoryLabels{}))(t)
				if err := content.WriteBlob(ctx, blobs, "x", bytes.NewReader(layer), d); err != nil {
					t.Fatal(err)
				}
			})
			s, err := snapshotter.New(snapshotter.Config{Root: filepath.Join(dir, "root"), Content: blobs, MissingHives: cimlayer.TreeMissing})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			if err := s.Snapshotter().Remove(ctx, key); err != nil && !errdefs.IsNotFound(err) {
				return err
			}
			labels := map[string]string{snapshots.LabelSnapshotRef: d.Digest.String(), snapshots.LabelSnapshotDiffID: d.Digest.String()}
			if spooled {
				labels["containerd.io/snapshot/parent-chain-id"] = digest.FromString("unknown").String()
			}
			m, err := s.Snapshotter().Prepare(ctx, key, "", snapshots.WithLabels(labels))
			if err != nil {
				return err
			}
			_, err = s.Differ().Apply(ctx, d, m)
			return err
		},
	}
}
