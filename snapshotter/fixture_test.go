package snapshotter

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/errdefs"
	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/fusefs"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// countingStore is a content store that counts how often blobs are opened.
type countingStore struct {
	content.Store
	opened atomic.Int64
	gate   chan struct{} // if set, opening waits for it to be closed
}

func (c *countingStore) ReaderAt(ctx context.Context, desc ocispec.Descriptor) (content.ReaderAt, error) {
	if ns, ok := namespaces.Namespace(ctx); !ok || ns != "test" {
		return nil, fmt.Errorf("namespace %q: %w", ns, errdefs.ErrFailedPrecondition)
	}
	c.opened.Add(1)
	if c.gate != nil {
		<-c.gate
	}
	return c.Store.ReaderAt(ctx, desc)
}

// memoryLabels keeps labels of blobs.
type memoryLabels struct {
	mu sync.Mutex
	m  map[digest.Digest]map[string]string
}

func (l *memoryLabels) Get(d digest.Digest) (map[string]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.m[d], nil
}

func (l *memoryLabels) Set(d digest.Digest, m map[string]string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.m[d] = m
	return nil
}

func (l *memoryLabels) Update(d digest.Digest, m map[string]string) (map[string]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.m[d] == nil {
		l.m[d] = map[string]string{}
	}
	for k, v := range m {
		l.m[d][k] = v
	}
	return l.m[d], nil
}

// fixture is a service on a directory of its own.
type fixture struct {
	*testing.T
	ctx    context.Context
	dir    string
	store  *countingStore
	config Config
	viewer *fakeViewer
	*Service
	sn   *Snapshotter
	diff *Differ
	keys int

	contentRoots []string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t, ctx: namespaces.WithNamespace(context.Background(), "test"), dir: filepath.Join(t.TempDir(), "root")}
	root := t.TempDir()
	f.contentRoots = append(f.contentRoots, root)
	inner, err := local.NewLabeledStore(root, &memoryLabels{m: map[digest.Digest]map[string]string{}})
	if err != nil {
		t.Fatal(err)
	}
	f.store = &countingStore{Store: inner}
	f.config = Config{Root: f.dir, SameProcess: true, Content: f.store, MissingHives: cimlayer.LeaveMissing}
	f.viewer = &fakeViewer{shown: map[string]*fakeServer{}}
	f.start()
	t.Cleanup(func() {
		if err := f.Service.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// start opens the service, as a process does that was just started.
func (f *fixture) start() {
	f.Helper()
	s, err := open(f.config, f.dir, f.viewer)
	if err != nil {
		f.Fatal(err)
	}
	f.Service, f.sn, f.diff = s, s.Snapshotter(), s.Differ()
}

// kill leaves the directory as a process does that is killed.
func (f *fixture) kill() {
	f.Helper()
	if err := f.meta.Close(); err != nil {
		f.Fatal(err)
	}
	if err := f.unlock(); err != nil {
		f.Fatal(err)
	}
	f.meta, f.unlock = nil, nil
}

func (f *fixture) restart() {
	f.Helper()
	f.kill()
	f.start()
}

// tar makes the tar of a layer.
func (f *fixture) tar(items ...layertest.Item) []byte {
	f.Helper()
	r, err := (&layertest.Layer{Items: items}).Open()
	if err != nil {
		f.Fatal(err)
	}
	defer r.Close()
	var b bytes.Buffer
	w := wintar.NewWriter(&b)
	if _, err := layer.Copy(f.ctx, w, r); err != nil {
		f.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		f.Fatal(err)
	}
	return b.Bytes()
}

func dir(path string) layertest.Item {
	return layertest.Item{Entry: layer.Entry{Path: path, Kind: layer.Dir, Attributes: winfs.AttrDirectory, Times: someTimes}}
}

func file(path, data string) layertest.Item {
	return layertest.Item{
		Entry:   layer.Entry{Path: path, Kind: layer.File, Attributes: winfs.AttrArchive, Size: int64(len(data)), Times: someTimes},
		Streams: []layertest.Stream{{Data: []byte(data)}},
	}
}

func whiteout(path string) layertest.Item {
	return layertest.Item{Entry: layer.Entry{Path: path, Kind: layer.Whiteout}}
}

var someTimes = winfs.Times{Creation: 132e15, LastAccess: 132e15, LastWrite: 132e15, Change: 132e15}

// blob puts a layer into the content store, compressed.
func (f *fixture) blob(tar []byte) (ocispec.Descriptor, digest.Digest) {
	f.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(tar); err != nil {
		f.Fatal(err)
	}
	if err := z.Close(); err != nil {
		f.Fatal(err)
	}
	return f.put(b.Bytes()), digest.FromBytes(tar)
}

func (f *fixture) put(b []byte) ocispec.Descriptor {
	f.Helper()
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: digest.FromBytes(b), Size: int64(len(b))}
	if err := content.WriteBlob(f.ctx, f.store, d.Digest.String(), bytes.NewReader(b), d); err != nil {
		f.Fatal(err)
	}
	return d
}

func (f *fixture) key(what string) string { f.keys++; return fmt.Sprintf("%s-%d", what, f.keys) }

// unpackLabels are those that containerd's unpacker gives a snapshot.
func unpackLabels(chain, diffID, parent string) snapshots.Opt {
	l := map[string]string{snapshots.LabelSnapshotRef: chain}
	if diffID != "" {
		l[snapshots.LabelSnapshotDiffID] = diffID
	}
	if parent != "" {
		l[labelParentChain] = parent
	}
	return snapshots.WithLabels(l)
}

// unpack does what containerd's unpacker does with one layer, and returns the name of
// the snapshot.
func (f *fixture) unpack(parent string, desc ocispec.Descriptor, diffID digest.Digest) string {
	f.Helper()
	var tree []string
	if parent != "" {
		tree = []string{parent}
	}
	name, key := chainOver(tree, diffID), f.key("unpack")
	m, err := f.sn.Prepare(f.ctx, key, parent, unpackLabels(name, diffID.String(), parent))
	if err != nil {
		f.Fatal(err)
	}
	out, err := f.diff.Apply(f.ctx, desc, m)
	if err != nil {
		f.Fatal(err)
	}
	if out.Digest != diffID || out.MediaType != ocispec.MediaTypeImageLayer {
		f.Fatalf("applied %+v, want %v", out, diffID)
	}
	if err := f.sn.Commit(f.ctx, name, key); err != nil {
		f.Fatal(err)
	}
	return name
}

// image makes snapshots of layers, the lowest first.
func (f *fixture) image(layers ...[]byte) (names []string) {
	f.Helper()
	parent := ""
	for _, l := range layers {
		desc, diffID := f.blob(l)
		parent = f.unpack(parent, desc, diffID)
		names = append(names, parent)
	}
	return names
}

// content reads the files of a layer's image.
func (f *fixture) content(chain string) map[string]string {
	f.Helper()
	im, err := f.Service.store.Open(chain)
	if err != nil {
		f.Fatal(err)
	}
	defer im.Close()
	out := map[string]string{}
	err = im.Walk(func(path string, file *cimfs.File) error {
		if file.IsDir() {
			return nil
		}
		s, err := file.Data()
		if err != nil {
			return err
		}
		b := make([]byte, s.Size())
		if _, err := s.ReadAt(b, 0); err != nil && len(b) > 0 && err.Error() != "EOF" {
			return err
		}
		out[path] = string(b)
		return nil
	})
	if err != nil {
		f.Fatal(err)
	}
	return out
}

// disk lists what is in the directory of the service, but metadata and locks.
func (f *fixture) disk() (list []string) {
	f.Helper()
	err := filepath.WalkDir(f.dir, func(path string, _ fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(f.dir, path)
		if err == nil && rel != metadataName && rel != lockName && !strings.HasPrefix(rel, "locks") {
			list = append(list, rel)
		}
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	return list
}

// agree checks that disk and metadata say the same.
func (f *fixture) agree() {
	f.Helper()
	ids := map[string]snapshots.Info{}
	needed := map[string]bool{}
	err := f.sn.Walk(f.ctx, func(_ context.Context, i snapshots.Info) error {
		sn, err := f.lookup(f.ctx, i.Name)
		ids[sn.id] = i
		return err
	})
	if err != nil && !errdefs.IsNotFound(err) {
		f.Fatal(err)
	}
	for id, info := range ids {
		rec, err := f.readRecord(id)
		if err != nil || rec == nil && info.Kind == snapshots.KindCommitted {
			f.Errorf("snapshot %s: record %v, %v", info.Name, rec, err)
		}
		if rec != nil {
			for _, l := range rec.Layers {
				needed[l] = true
			}
		}
	}
	list, err := os.ReadDir(filepath.Join(f.dir, snapshotsName))
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range list {
		if _, ok := ids[e.Name()]; !ok {
			f.Errorf("directory %s belongs to no snapshot", e.Name())
		}
		delete(ids, e.Name())
	}
	if len(ids) > 0 {
		f.Errorf("snapshots without a directory: %v", ids)
	}
	layers, err := f.Service.store.Layers()
	if err != nil {
		f.Fatal(err)
	}
	for _, l := range layers {
		if !needed[l] {
			f.Errorf("nobody needs layer %s", l)
		}
		loc, err := f.Service.store.Location(l)
		if err != nil {
			f.Fatal(err)
		}
		if found, err := finding.Collect(cimfs.Check(context.Background(), loc.Images, loc.Name, cimfs.CheckOptions{})); err != nil || len(found) > 0 {
			f.Errorf("layer %s: %v, %v", l, found, err)
		}
		delete(needed, l)
	}
	if len(needed) > 0 {
		f.Errorf("missing layers: %v", needed)
	}
}

// fakeViewer shows trees to the test alone.
type fakeViewer struct {
	mu    sync.Mutex
	shown map[string]*fakeServer
	stale []string // mounted by a process that died
	fail  error
}

type fakeServer struct {
	tree  fusefs.Tree
	upper *fakeUpper
	gone  chan struct{}
}

func (s *fakeServer) Wait() { <-s.gone }

// fakeUpper takes whole layers for changes.
type fakeUpper struct {
	dir   string
	lower *cimfs.Image
}

func (u *fakeUpper) file() string { return filepath.Join(u.dir, "changes.tar") }
func (u *fakeUpper) Empty() bool  { _, err := os.Stat(u.file()); return err != nil }
func (u *fakeUpper) Changes() (layer.Reader, error) {
	return wintar.Open(context.Background(), u.file())
}
func (u *fakeUpper) Close() error { return nil }

func (v *fakeViewer) readOnly(dir string, t fusefs.Tree) (server, error) {
	return v.show(dir, &fakeServer{tree: t, gone: make(chan struct{})})
}

func (v *fakeViewer) open(dir string, im *cimfs.Image) (upper, error) {
	if v.fail != nil {
		return nil, v.fail
	}
	return &fakeUpper{dir, im}, os.MkdirAll(dir, 0o700)
}

func (v *fakeViewer) writable(dir string, u upper) (server, error) {
	return v.show(dir, &fakeServer{upper: u.(*fakeUpper), gone: make(chan struct{})})
}

func (v *fakeViewer) show(dir string, s *fakeServer) (server, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.fail != nil {
		return nil, v.fail
	}
	if v.shown[dir] != nil {
		return nil, fmt.Errorf("%s is shown already", dir)
	}
	v.shown[dir] = s
	return s, nil
}

func (v *fakeViewer) detach(dir string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stale = slices.DeleteFunc(v.stale, func(d string) bool { return d == dir })
	if s := v.shown[dir]; s != nil {
		close(s.gone)
		delete(v.shown, dir)
	}
	return nil
}

// write makes the changes of a writable view.
func (f *fixture) write(m []mount.Mount, items ...layertest.Item) {
	f.Helper()
	f.viewer.mu.Lock()
	defer f.viewer.mu.Unlock()
	s := f.viewer.shown[m[0].Source]
	if s == nil || s.upper == nil {
		f.Fatalf("no writable view at %s", m[0].Source)
	}
	if err := os.WriteFile(s.upper.file(), f.tar(items...), 0o600); err != nil {
		f.Fatal(err)
	}
}

// collect gathers the names of snapshots.
func collect(all *[]string) snapshots.WalkFunc {
	return func(_ context.Context, i snapshots.Info) error { *all = append(*all, i.Name); return nil }
}

// fillOf fills a layer from a tar, for build.
func fillOf(f *fixture, tar []byte) func(layer.Writer) (*blob.Reader, error) {
	return func(w layer.Writer) (*blob.Reader, error) {
		return f.copyTar(f.ctx, w, "test", bytes.NewReader(tar), blob.WithSums())
	}
}
