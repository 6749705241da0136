package image_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/imagetest"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
	"github.com/opencontainers/go-digest"
)

// entry is an entry of a layer to be made.
type entry struct {
	kind         layer.Kind
	path, target string
	data         string
	stream       string // content of an alternate stream "s", if not empty
}

func tarOfEntries(t testing.TB, entries []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := wintar.NewWriter(&b)
	defer w.Close()
	for _, e := range entries {
		x := &layer.Entry{Kind: e.kind, Path: e.path, Target: e.target}
		switch e.kind {
		case layer.Dir:
			x.Attributes = winfs.AttrDirectory
		case layer.File:
			x.Attributes, x.Size = winfs.AttrArchive, int64(len(e.data))
		}
		err := w.Add(x)
		put := func(name, data string) {
			if err == nil {
				err = w.AddStream(&layer.Stream{Name: name, Size: int64(len(data))})
			}
			if err == nil {
				_, err = io.WriteString(w, data)
			}
		}
		if e.kind == layer.File {
			put("", e.data)
			if e.stream != "" {
				put("s", e.stream)
			}
		}
		if err != nil {
			t.Fatalf("%s: %v", e.path, err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// hiveEntries are the five hives of a base layer.
func hiveEntries(t testing.TB) []entry {
	t.Helper()
	list := []entry{{kind: layer.Dir, path: `Files`}, {kind: layer.Dir, path: `Files\Windows`},
		{kind: layer.Dir, path: `Files\Windows\System32`}, {kind: layer.Dir, path: hives.ConfigDir}}
	for _, n := range hives.All() {
		b, err := hives.Minimal(n, hives.ServerCore(20348, 2700))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, entry{kind: layer.File, path: n.Path(hives.Config), data: string(b)})
	}
	return list
}

// gzipped makes an image of layers.
func gzipped(layers ...[]entry) func(testing.TB) imagetest.Image {
	return func(t testing.TB) imagetest.Image {
		img := imagetest.Image{Config: windows("10.0.20348.2700")}
		for _, l := range layers {
			img.Layers = append(img.Layers, imagetest.Layer{Tar: tarOfEntries(t, l), Format: blob.Gzip})
		}
		return img
	}
}

func openLayout(t testing.TB, dir string, opts ...image.Option) *image.Image {
	t.Helper()
	img, err := image.Open(context.Background(), "oci:"+dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	return img
}

func openStore(t testing.TB, dir string) *cimlayer.Store {
	t.Helper()
	s, err := cimlayer.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// checkStored checks the images of all layers strictly.
func checkStored(t *testing.T, store *cimlayer.Store, layers []image.StoredLayer) {
	t.Helper()
	for _, l := range layers {
		loc, err := store.Location(string(l.ChainID))
		if err != nil {
			t.Fatal(err)
		}
		if f, err := finding.Collect(cimfs.Check(context.Background(), loc.Images, loc.Name, cimfs.CheckOptions{})); err != nil || len(f) > 0 {
			t.Errorf("%v: %v %v", loc, f, err)
		}
		if want := filepath.Join(store.Dir(), filepath.FromSlash(l.Image)); want != loc.String() {
			t.Errorf("the record says %s, the image is %v", want, loc)
		}
	}
}

func TestUnpackStore(t *testing.T) {
	base := hiveEntries(t)
	one := gzipped(base, []entry{{kind: layer.Dir, path: `Files`}, {kind: layer.File, path: `Files\a`, data: "one"}})(t)
	two := gzipped(base, []entry{{kind: layer.Dir, path: `Files`}, {kind: layer.File, path: `Files\a`, data: "two"}})(t)
	store := openStore(t, filepath.Join(t.TempDir(), "store"))
	var mu sync.Mutex
	var opened []int
	watch := image.WithProgress(func(l *image.Layer) (func(int64), func()) {
		mu.Lock()
		defer mu.Unlock()
		opened = append(opened, l.Index)
		return func(int64) {}, func() {}
	})
	first := layout(t, one)
	for i, c := range []struct {
		dir    string
		made   []bool
		opened []int
	}{
		{first, []bool{true, true}, []int{0, 1}},
		{first, []bool{false, false}, nil},
		{layout(t, two), []bool{false, true}, []int{1}},
	} {
		opened = nil
		img := openLayout(t, c.dir, watch)
		done, err := img.UnpackStore(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		var made []bool
		for _, l := range done {
			made = append(made, l.Made)
		}
		if !slices.Equal(made, c.made) || !slices.Equal(opened, c.opened) {
			t.Errorf("image %d: made %v, opened %v; want %v, %v", i, made, opened, c.made, c.opened)
		}
		checkStored(t, store, done)
		var r image.StoredImage
		raw, err := os.ReadFile(filepath.Join(store.Dir(), "images", img.Digest().Encoded()+".json"))
		if err == nil {
			err = json.Unmarshal(raw, &r)
		}
		if err != nil || r.Manifest != img.Digest() || len(r.Layers) != 2 || r.Reference != "oci:"+c.dir {
			t.Errorf("record %+v, %v", r, err)
		}
		config, err := os.ReadFile(filepath.Join(store.Dir(), "images", img.Digest().Encoded()+".config.json"))
		if err != nil || !bytes.Equal(config, img.RawConfig()) || digest.FromBytes(config) != r.Config {
			t.Errorf("configuration %q, %v", config, err)
		}
	}
}

// A layer may spell a directory of its parents in another case, as often as it likes.
func TestUnpackStoreOtherCase(t *testing.T) {
	app := []entry{{kind: layer.Dir, path: `FILES`}, {kind: layer.File, path: `FILES\a`, data: "a"}, {kind: layer.Dir, path: `FILES`}}
	img := openLayout(t, layout(t, gzipped(hiveEntries(t), app)(t)))
	store := openStore(t, t.TempDir())
	done, err := img.UnpackStore(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	checkStored(t, store, done)
	im, err := store.Open(string(done[1].ChainID))
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	tree := treeOf(t, cimlayer.NewImageReader(im))
	if f := tree[winfs.Fold(`Files\a`)]; f == nil || f.data != "a" {
		t.Errorf("%+v", f)
	}
}

// Several goroutines stand for several processes: locks are of open files, not of
// processes.
func TestUnpackStoreTogether(t *testing.T) {
	dir := layout(t, gzipped(hiveEntries(t), []entry{{kind: layer.Dir, path: `Files`}, {kind: layer.File, path: `Files\a`, data: strings.Repeat("a", 1<<20)}})(t))
	store := filepath.Join(t.TempDir(), "store")
	var wg sync.WaitGroup
	made := make([]int, 4)
	for i := range made {
		img, s := openLayout(t, dir), openStore(t, store)
		wg.Go(func() {
			done, err := img.UnpackStore(context.Background(), s)
			if err != nil {
				t.Error(err)
			}
			for _, l := range done {
				if l.Made {
					made[i]++
				}
			}
		})
	}
	wg.Wait()
	if n := made[0] + made[1] + made[2] + made[3]; n != 2 {
		t.Errorf("layers were made %d times: %v", n, made)
	}
}

// What is wrong with an image leaves no record, no layer that is wrong, and the
// layers below as they were.
func TestUnpackStoreRefuses(t *testing.T) {
	base := hiveEntries(t)
	files := entry{kind: layer.Dir, path: `Files`}
	hive := func(data string) []entry {
		return []entry{{kind: layer.Dir, path: `Hives`}, {kind: layer.File, path: `Hives\Software_Delta`, data: data}}
	}
	corpus := func(name string) string {
		b, err := os.ReadFile(testenv.Corpus(t, "hives", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	minimal := base[len(base)-1].data
	dirty := []byte(corpus("msuhanov_yarp/System_Delta"))
	dirty[4]++ // the sequence numbers differ: not all was written
	for name, c := range map[string]struct {
		layers [][]entry
		want   error
	}{
		"a delta below":       {[][]entry{slices.Concat(base[:4], replaceHives(base[4:], corpus("msuhanov_yarp/System_Delta"))), hive(minimal)}, regf.ErrInvalid},
		"no hive":             {[][]entry{base, hive("text")}, cimlayer.ErrHive},
		"dirty delta":         {[][]entry{base, hive(string(dirty))}, regf.ErrDirty},
		"base without hives":  {[][]entry{{files}}, cimlayer.ErrNoHive},
		"base with a delta":   {[][]entry{slices.Concat(base, hive(minimal))}, cimlayer.ErrHive},
		"dirty base":          {[][]entry{slices.Concat(base[:4], replaceHives(base[4:], corpus("mkorman90_regipy/SYSTEM_B")))}, regf.ErrDirty},
		"link to nothing":     {[][]entry{base, {files, {kind: layer.Link, path: `Files\l`, target: `Files\none`}}}, layer.ErrLinkTarget},
		"made up in a layer":  {[][]entry{base, {{kind: layer.Dir, path: `Hives`}, {kind: layer.File, path: `Hives\System_Base`, data: minimal}}}, layer.ErrDuplicate},
		"whiteout in a base":  {[][]entry{slices.Concat(base, []entry{{kind: layer.Whiteout, path: `Files\x`}})}, layer.ErrWhiteout},
		"same name two cases": {[][]entry{base, {files, {kind: layer.File, path: `Files\a`}, {kind: layer.File, path: `Files\A`}}}, layer.ErrCaseConflict},
	} {
		t.Run(name, func(t *testing.T) {
			store := openStore(t, t.TempDir())
			img := openLayout(t, layout(t, gzipped(c.layers...)(t)))
			_, err := img.UnpackStore(t.Context(), store)
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if _, err := os.Stat(filepath.Join(store.Dir(), "images")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("there is a record: %v", err)
			}
			want := len(c.layers) - 1
			if name == "a delta below" {
				want = 0 // the base is refused already
			}
			wantLayers(t, store, want)
			// Checking says that unpacking will not do, and why.
			found, err := finding.Collect(img.Check(t.Context()))
			if err != nil || !slices.ContainsFunc(found, func(f finding.Finding) bool { return f.Severity == finding.Error }) {
				t.Errorf("check finds nothing severe but %v, %v", found, err)
			}
		})
	}
	// A truncated blob, and one that does not have its digest.
	for _, cut := range []bool{true, false} {
		dir := layout(t, gzipped(base, []entry{files, {kind: layer.File, path: `Files\a`, data: strings.Repeat("abc", 1<<20)}})(t))
		img := openLayout(t, dir)
		name := blobFile(dir, string(img.Layers()[1].Descriptor.Digest))
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if b[len(b)/2] ^= 1; cut {
			b = b[:len(b)/2]
		}
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
		store := openStore(t, t.TempDir())
		if _, err := img.UnpackStore(t.Context(), store); err == nil {
			t.Errorf("cut %v: no error", cut)
		}
		wantLayers(t, store, 1)
	}
}

func replaceHives(list []entry, data string) (out []entry) {
	for _, e := range list {
		e.data = data
		out = append(out, e)
	}
	return out
}

// wantLayers looks for n whole layers and nothing else but locks.
func wantLayers(t *testing.T, store *cimlayer.Store, n int) {
	t.Helper()
	images, err := os.ReadDir(filepath.Join(store.Dir(), "cim-layers"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, e := range images {
		if name := e.Name(); strings.HasSuffix(name, ".cim") {
			found++
			if f, err := finding.Collect(cimfs.Check(context.Background(), filepath.Join(store.Dir(), "cim-layers"), name, cimfs.CheckOptions{})); err != nil || len(f) > 0 {
				t.Errorf("%s: %v %v", name, f, err)
			}
		} else if name[0] == '.' {
			t.Errorf("%s was left behind", name)
		}
	}
	dirs, err := os.ReadDir(filepath.Join(store.Dir(), "layers"))
	if err != nil {
		t.Fatal(err)
	}
	if found != n || len(dirs) != n {
		t.Errorf("%d images, %d directories; want %d", found, len(dirs), n)
	}
}

// killRounds is how often the next test kills.
func killRounds() int {
	if os.Getenv("MULLION_LONG") == "1" {
		return 500
	}
	return 12
}

// A process that unpacks may die at any moment. What the store then has is whole, and
// the next one completes it.
func TestUnpackStoreKilled(t *testing.T) {
	if store := os.Getenv("MULLION_UNPACK_CHILD"); store != "" {
		_, err := openLayout(t, os.Getenv("MULLION_UNPACK_LAYOUT")).UnpackStore(context.Background(), openStore(t, store))
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	big := []entry{{kind: layer.Dir, path: `Files`}}
	for i := range 300 {
		big = append(big, entry{kind: layer.File, path: fmt.Sprintf(`Files\%d`, i), data: strings.Repeat(fmt.Sprint(i), 1+i*40), stream: "s"})
	}
	base := hiveEntries(t)
	dir := layout(t, gzipped(slices.Concat(base, big[1:]), big, []entry{{kind: layer.Dir, path: `Files`}, {kind: layer.Whiteout, path: `Files\7`}})(t))
	child := func(store string) *exec.Cmd {
		cmd := exec.Command(os.Args[0], "-test.run=^TestUnpackStoreKilled$")
		cmd.Env = append(os.Environ(), "MULLION_UNPACK_CHILD="+store, "MULLION_UNPACK_LAYOUT="+dir)
		return cmd
	}
	start := time.Now()
	if out, err := child(t.TempDir()).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	whole := time.Since(start)
	rng := rand.New(rand.NewPCG(1, 2))
	killed, store := 0, t.TempDir()
	for i := range killRounds() {
		if i%3 == 0 { // two of three begin where another was killed
			store = t.TempDir()
		}
		cmd := child(store)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rng.Int64N(int64(whole))))
		cmd.Process.Kill()
		if cmd.Wait() != nil {
			killed++
		} else {
			whole = whole*2/3 + 1 // the machine has become faster since
		}
		for _, name := range globImages(t, store) {
			if f, err := finding.Collect(cimfs.Check(context.Background(), filepath.Join(store, "cim-layers"), name, cimfs.CheckOptions{})); err != nil || len(f) > 0 {
				t.Fatalf("after kill %d: %s: %v %v", i, name, f, err)
			}
		}
		if i%3 != 2 {
			continue
		}
		s := openStore(t, store)
		done, err := openLayout(t, dir).UnpackStore(t.Context(), s)
		if err != nil {
			t.Fatalf("after kill %d: %v", i, err)
		}
		checkStored(t, s, done)
		wantLayers(t, s, 3)
	}
	if killed < killRounds()/4 {
		t.Errorf("only %d of %d were killed", killed, killRounds())
	}
}

func globImages(t *testing.T, store string) (names []string) {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(store, "cim-layers", "*.cim"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		if b := filepath.Base(p); b[0] != '.' {
			names = append(names, b)
		}
	}
	return names
}

// naive is a merged tree as simple as can be: folded paths to files.
type naive map[string]*naiveFile

type naiveFile struct {
	dir          bool
	data, stream string
}

// remove takes a path away, with self or only what is below.
func (m naive) remove(path string, self bool) {
	for p := range m {
		if winfs.Under(p, path) && (self || p != path) || self && p == path {
			delete(m, p)
		}
	}
}

// apply puts a layer over the tree.
func (m naive) apply(entries []entry) {
	below := maps.Clone(m)
	fold := winfs.Fold
	for _, e := range entries {
		switch e.kind {
		case layer.Whiteout:
			m.remove(fold(e.path), true)
		case layer.Opaque:
			m.remove(fold(e.path), false)
		}
	}
	own := naive{}
	for _, e := range entries {
		p := fold(e.path)
		switch e.kind {
		case layer.Dir:
			if old := m[p]; old == nil || !old.dir {
				m[p] = &naiveFile{dir: true}
			}
		case layer.File:
			m.remove(p, true)
			m[p] = &naiveFile{data: e.data, stream: e.stream}
			own[p] = m[p]
		}
	}
	for _, e := range entries {
		if e.kind == layer.Link {
			target := own[fold(e.target)]
			if target == nil {
				target = below[fold(e.target)]
			}
			m.remove(fold(e.path), true)
			m[fold(e.path)] = target
			own[fold(e.path)] = target
		}
	}
}

// randomLayer makes a layer that does not contradict itself over a tree.
func randomLayer(r *rand.Rand, base bool, below naive) []entry {
	var list []entry
	taken := map[string]layer.Kind{} // folded path to what this layer has there
	spell := func(s string) string { // one of two spellings
		if r.IntN(2) == 0 {
			return strings.ToUpper(s)
		}
		return s
	}
	var dir func(p string) bool
	dir = func(p string) bool {
		f := winfs.Fold(p)
		if k, ok := taken[f]; ok {
			return k == layer.Dir
		}
		if up, _ := winfs.SplitPath(p); up != "" && !dir(up) {
			return false
		}
		taken[f] = layer.Dir
		list = append(list, entry{kind: layer.Dir, path: p})
		return true
	}
	dir("Files")
	var links []entry
	name := func() string {
		p := "Files"
		for range 1 + r.IntN(3) {
			p += `\` + spell(string(rune('a'+r.IntN(4))))
		}
		return p
	}
	for range 4 + r.IntN(14) {
		p := name()
		f := winfs.Fold(p)
		up, _ := winfs.SplitPath(p)
		if _, ok := taken[f]; ok {
			continue
		}
		switch k := r.IntN(10); {
		case k < 2:
			dir(p)
		case k < 6:
			if dir(up) {
				taken[f] = layer.File
				e := entry{kind: layer.File, path: p, data: strings.Repeat(fmt.Sprint(r.Uint32()), r.IntN(40))}
				if r.IntN(4) == 0 {
					e.stream = fmt.Sprint(r.Uint32())
				}
				list = append(list, e)
			}
		case k < 8 && !base:
			kind := layer.Whiteout
			if r.IntN(3) == 0 {
				kind = layer.Opaque
			}
			list = append(list, entry{kind: kind, path: p})
		default:
			links = append(links, entry{kind: layer.Link, path: p})
		}
	}
	for _, l := range links {
		up, _ := winfs.SplitPath(l.path)
		if _, ok := taken[winfs.Fold(l.path)]; ok || !dir(up) {
			continue
		}
		var targets []string
		for _, e := range list {
			if e.kind == layer.File {
				targets = append(targets, e.path)
			}
		}
		for _, p := range slices.Sorted(maps.Keys(below)) {
			if _, ok := taken[p]; !ok && !below[p].dir && !underFile(taken, p) {
				targets = append(targets, p)
			}
		}
		if len(targets) > 0 {
			l.target = spell(targets[r.IntN(len(targets))])
			if !winfs.EqualFold(l.target, l.path) && !winfs.Under(l.target, l.path) {
				taken[winfs.Fold(l.path)] = layer.Link
				list = append(list, l)
			}
		}
	}
	return list
}

// underFile tells whether the layer replaces a directory above p by a file.
func underFile(taken map[string]layer.Kind, p string) bool {
	for p != "" {
		p, _ = winfs.SplitPath(p)
		if k, ok := taken[p]; ok && k != layer.Dir {
			return true
		}
	}
	return false
}

// The image of the topmost layer, and the union of the tars, are what a naive model
// says, file by file.
func TestMergedViewAgainstModel(t *testing.T) {
	rounds := 12
	if os.Getenv("MULLION_LONG") == "1" {
		rounds = 1000
	}
	base := hiveEntries(t)
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		model := naive{}
		var chain [][]entry
		for i := range 2 + r.IntN(3) {
			l := randomLayer(r, i == 0, model)
			if i == 0 {
				l = append(l, base[1:]...)
			}
			model.apply(l)
			chain = append(chain, l)
		}
		img := openLayout(t, layout(t, gzipped(chain...)(t)))
		store := openStore(t, t.TempDir())
		done, err := img.UnpackStore(t.Context(), store)
		if err != nil {
			t.Fatalf("seed %d: %v\n%v", seed, err, chain)
		}
		im, err := store.Open(string(done[len(done)-1].ChainID))
		if err != nil {
			t.Fatal(err)
		}
		fromCIM := treeOf(t, cimlayer.NewImageReader(im))
		im.Close()
		delete(fromCIM, winfs.Fold("layout"))
		fromCIM.remove(winfs.Fold("Hives"), true)
		view, err := img.Union(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		fromTars := treeOf(t, view.Reader())
		view.Close()
		for what, got := range map[string]naive{"CIM": fromCIM, "union": fromTars} {
			for _, p := range slices.Sorted(maps.Keys(model)) {
				if got[p] == nil || *got[p] != *model[p] {
					t.Errorf("seed %d: %s: %s is %+.60v, want %+.60v", seed, what, p, got[p], model[p])
				}
			}
			for p := range got {
				if model[p] == nil {
					t.Errorf("seed %d: %s: %s should not be there", seed, what, p)
				}
			}
		}
		if t.Failed() {
			t.Fatalf("the layers: %.4000v", chain)
		}
	}
}

// treeOf reads a merged tree.
func treeOf(t *testing.T, r layer.Reader) naive {
	t.Helper()
	m := naive{}
	links := map[string]string{}
	for {
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == layer.Link {
			links[winfs.Fold(e.Path)] = winfs.Fold(e.Target)
			continue
		}
		f := &naiveFile{dir: e.Kind == layer.Dir}
		m[winfs.Fold(e.Path)] = f
		for {
			s, err := r.NextStream()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if s.Name == "" {
				f.data = string(b)
			} else {
				f.stream = string(b)
			}
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for p, target := range links {
		m[p] = m[target]
	}
	return m
}
