package snapshotter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/diff"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/containerd/errdefs"
	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// newMounted is a fixture whose views are real.
func newMounted(t *testing.T) *fixture {
	fuse(t)
	f := newFixture(t)
	f.kill()
	s, err := New(f.config)
	if err != nil {
		t.Fatal(err)
	}
	f.Service, f.sn, f.diff = s, s.Snapshotter(), s.Differ()
	return f
}

// windows is a base layer with hives: a genuine SYSTEM, and small ones.
func (f *fixture) windows() []byte {
	f.Helper()
	items := []layertest.Item{dir(`Files`), dir(`Files\Windows`), dir(`Files\Windows\System32`), dir(`Files\Windows\System32\config`)}
	for _, n := range hives.All() {
		b, err := hives.Minimal(n, hives.ServerCore(20348, 2700))
		if n == hives.System {
			b, err = os.ReadFile(testenv.Corpus(f.T, "hives", "mkorman90_regipy/SYSTEM"))
		}
		if err != nil {
			f.Fatal(err)
		}
		items = append(items, file(n.Path(hives.Config), string(b)))
	}
	stream := file(`Files\streams`, "main")
	stream.Streams = append(stream.Streams, layertest.Stream{Name: "Zone.Identifier", Data: []byte("[ZoneTransfer]")})
	link := layertest.Item{Entry: layer.Entry{Path: `Files\dir\second`, Kind: layer.Link, Target: `Files\dir\first`}}
	items = append(items, dir(`Files\dir`), file(`Files\dir\first`, "linked"), link, file(`Files\dir\gone`, "gone"),
		dir(`Files\tree`), file(`Files\tree\a`, "a"), file(`Files\tree\b`, "b"), file(`Files\big`, noise(300_000)), stream,
		dir(`Files\replaced`), file(`Files\replaced\old`, "old"))
	return f.tar(items...)
}

// seen is what a program sees of a view: everything, by path.
func seen(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	names := map[uint64][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		text := fmt.Sprintf("mode %o owner %d:%d links %d mtime %d.%09d", st.Mode, st.Uid, st.Gid, st.Nlink, st.Mtim.Sec, st.Mtim.Nsec)
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text += " to " + target
		case d.Type().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += " " + digest.FromBytes(b).String()
			names[st.Ino] = append(names[st.Ino], rel)
		}
		buf := make([]byte, 1<<16)
		n, err := unix.Llistxattr(path, buf)
		if err != nil {
			return err
		}
		attrs := strings.FieldsFunc(string(buf[:n]), func(r rune) bool { return r == 0 })
		slices.Sort(attrs)
		for _, a := range attrs {
			n, err := unix.Lgetxattr(path, a, buf)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", rel, a, err)
			}
			value := buf[:n]
			if a == "system.ntfs_ea" { // their order means nothing
				eas, err := winfs.DecodeEAs(value)
				if err != nil {
					return err
				}
				winfs.SortEAs(eas)
				if value, err = winfs.EncodeEAs(eas); err != nil {
					return err
				}
			}
			text += fmt.Sprintf(" %s=%x", a, value)
		}
		if rel != "." { // a layer says nothing about the root
			out[rel] = text
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range names {
		if len(list) > 1 {
			slices.Sort(list)
			out["linked: "+list[0]] = strings.Join(list, ", ")
		}
	}
	return out
}

// sameSeen compares two views but for some paths.
func sameSeen(t *testing.T, got, want map[string]string, except ...string) {
	t.Helper()
	for path := range got {
		if _, ok := want[path]; !ok && !slices.Contains(except, path) {
			t.Errorf("%s is there only after the layer was applied: %s", path, got[path])
		}
	}
	for path, w := range want {
		if g := got[path]; g != w && !slices.Contains(except, path) {
			t.Errorf("%s is\n%.700s\nwhere the view has\n%.700s", path, g, w)
		}
	}
}

// read returns the tar of a blob.
func (f *fixture) read(desc ocispec.Descriptor) []byte {
	f.Helper()
	b, err := content.ReadBlob(f.ctx, f.store, desc)
	if err != nil {
		f.Fatal(err)
	}
	r, err := blob.NewReader(f.ctx, bytes.NewReader(b), blob.WithDigest(desc.Digest, desc.Size))
	if err != nil {
		f.Fatal(err)
	}
	defer r.Close()
	tar, err := io.ReadAll(r)
	if err != nil {
		f.Fatal(err)
	}
	return tar
}

// entries lists the entries of a tar.
func (f *fixture) entries(tar []byte) (list []string) {
	f.Helper()
	r := wintar.NewReader(bytes.NewReader(tar))
	defer r.Close()
	for {
		e, err := r.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			f.Fatal(err)
		}
		list = append(list, e.Kind.String()+" "+e.Path)
	}
}

// edits are changes that programs make, with what must be in the layer of them.
var edits = []struct {
	name string
	do   func(root string) error
	want []string
}{
	{"nothing", func(string) error { return nil }, nil},
	{"write", func(r string) error {
		return errors.Join(os.WriteFile(r+"/Files/new", []byte("new"), 0o755), os.WriteFile(r+"/files/DIR/GONE", []byte("written"), 0o755))
	}, []string{`directory Files\dir`, `file Files\dir\gone`, `file Files\new`}},
	{"part of a file", func(r string) error {
		f, err := os.OpenFile(r+"/Files/big", os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte("here"), 150_000)
		return errors.Join(err, f.Truncate(200_000), f.Close())
	}, []string{`file Files\big`}},
	{"delete", func(r string) error {
		return errors.Join(os.Remove(r+"/Files/dir/gone"), os.RemoveAll(r+"/Files/tree"))
	}, []string{`whiteout Files\tree`, `directory Files\dir`, `whiteout Files\dir\gone`}},
	{"replace a directory", func(r string) error {
		return errors.Join(os.RemoveAll(r+"/Files/replaced"), os.WriteFile(r+"/Files/replaced", []byte("a file"), 0o755),
			os.RemoveAll(r+"/Files/tree"), os.Mkdir(r+"/Files/tree", 0o755), os.WriteFile(r+"/Files/tree/b", []byte("B"), 0o755))
	}, []string{`file Files\replaced`, `directory Files\tree`, `whiteout Files\tree\a`, `file Files\tree\b`}},
	{"rename", func(r string) error {
		return errors.Join(os.Rename(r+"/Files/tree", r+"/Files/moved"), os.Rename(r+"/Files/big", r+"/Files/dir/big"))
	}, []string{`whiteout Files\tree`, `whiteout Files\big`, `directory Files\moved`, `file Files\moved\a`, `file Files\moved\b`, `directory Files\dir`, `file Files\dir\big`}},
	{"hard links", func(r string) error {
		return errors.Join(os.Link(r+"/Files/dir/first", r+"/Files/third"), os.WriteFile(r+"/Files/n1", []byte("n"), 0o755), os.Link(r+"/Files/n1", r+"/Files/n2"))
	}, []string{`directory Files\dir`, `file Files\dir\first`, `hard link Files\dir\second`, `hard link Files\third`, `file Files\n1`, `hard link Files\n2`}},
	{"write to a file with two names", func(r string) error {
		return os.WriteFile(r+"/Files/dir/second", []byte("both"), 0o755)
	}, []string{`directory Files\dir`, `file Files\dir\first`, `hard link Files\dir\second`}},
	{"symbolic links", func(r string) error {
		return errors.Join(os.Symlink("dir/first", r+"/Files/relative"), os.Symlink("../tree", r+"/Files/dir/up"))
	}, []string{`file Files\relative`, `directory Files\dir`, `directory Files\dir\up`}},
	{"metadata", func(r string) error {
		when := time.Date(2020, 1, 2, 3, 4, 5, 600, time.UTC)
		return errors.Join(os.Chtimes(r+"/Files/big", when, when), os.Chmod(r+"/Files/dir/gone", 0o640), os.Lchown(r+"/Files/tree", 7, 8),
			unix.Setxattr(r+"/Files/big", "system.ntfs_attrib", []byte{0x22, 0, 0, 0}, 0))
	}, []string{`file Files\big`, `directory Files\dir`, `file Files\dir\gone`, `directory Files\tree`}},
	{"streams", func(r string) error {
		return errors.Join(unix.Setxattr(r+"/Files/streams", "user.Zone.Identifier", []byte("changed"), 0),
			unix.Setxattr(r+"/Files/big", "user.added", []byte("a stream"), 0))
	}, []string{`file Files\big`, `file Files\streams`}},
}

// What Compare writes, applied over the parent, shows what the view showed; and Commit
// makes the same layer.
func TestCompare(t *testing.T) {
	f := newMounted(t)
	base := f.image(f.windows())[0]
	for _, e := range edits {
		t.Run(e.name, func(t *testing.T) {
			key := f.key("edit")
			lower, err := f.sn.View(f.ctx, f.key("lower"), base)
			if err != nil {
				t.Fatal(err)
			}
			upper, err := f.sn.Prepare(f.ctx, key, base)
			if err != nil {
				t.Fatal(err)
			}
			root := upper[0].Source
			if err := e.do(root); err != nil {
				t.Fatal(err)
			}
			want := seen(t, root)
			desc, err := f.diff.Compare(f.ctx, lower, upper)
			if err != nil {
				t.Fatal(err)
			}
			tar := f.read(desc)
			diffID := digest.FromBytes(tar)
			if desc.MediaType != ocispec.MediaTypeImageLayerGzip {
				t.Errorf("media type %s", desc.MediaType)
			}
			if info, err := f.store.Info(f.ctx, desc.Digest); err != nil || info.Labels[labels.LabelUncompressed] != diffID.String() {
				t.Errorf("%+v, %v", info, err)
			}
			got := f.entries(tar)
			for _, x := range append(e.want, "directory Files", "directory Hives") {
				if !slices.Contains(got, x) {
					t.Errorf("the layer has no %s", x)
				}
			}
			if n := len(e.want) + 2; len(got) != n {
				t.Errorf("the layer has %d entries, not %d: %q", len(got), n, got)
			}
			for f, err := range wintar.Check(t.Context(), bytes.NewReader(tar), wintar.HasParents()) {
				if err != nil {
					t.Fatal(err)
				}
				// The base of the test has no descriptors, for which an image has one without
				// a DACL.
				if f.Severity == finding.Error && f.Rule != layer.RuleNoDACL.ID {
					t.Error(f)
				}
			}
			// The same again is the same.
			again, err := f.diff.Compare(f.ctx, lower, upper, diff.WithReference("ref"), diff.WithMediaType(ocispec.MediaTypeImageLayer))
			if err != nil || again.Digest != diffID || again.Size != int64(len(tar)) {
				t.Errorf("%+v, %v; want %s", again, err, diffID)
			}
			name := f.unpack(base, desc, diffID)
			view, err := f.sn.View(f.ctx, f.key("view"), name)
			if err != nil {
				t.Fatal(err)
			}
			sameSeen(t, seen(t, view[0].Source), want)
			if e.name == "nothing" {
				return // Commit then makes no layer at all
			}
			if err := f.sn.Commit(f.ctx, key+" committed", key); err != nil {
				t.Fatal(err)
			}
			sn, err := f.lookup(f.ctx, key+" committed")
			if err != nil {
				t.Fatal(err)
			}
			if rec, err := f.readRecord(sn.id); err != nil || rec.Layers[0] != name {
				t.Errorf("Commit made %+v, %v; want layer %s", rec, err, name)
			}
		})
	}
	f.agree()
}

// edit changes a hive file as a registry editor does: a new file takes its place. It
// maps nothing into memory, because this process serves the view.
func edit(t *testing.T, path string, fn func(h *regf.Hive) error) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := regf.OpenBytes(b, &regf.Options{Clock: func() winfs.Filetime { return 133e15 }})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := fn(h); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := h.WriteImage(&out); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(path+".new", out.Bytes(), 0o755), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
}

func setValue(key, name, text string) func(*regf.Hive) error {
	return func(h *regf.Hive) error {
		k, err := h.CreatePath(key)
		if err != nil {
			return err
		}
		return k.SetValue(name, regf.RegSZ, append(winfs.AppendUTF16LE(nil, text), 0, 0))
	}
}

// openHive opens a hive of a layer's image.
func (f *fixture) openHive(chain string, n hives.Name, form hives.Form) (*regf.Hive, error) {
	f.Helper()
	im, err := f.Service.store.Open(chain)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { im.Close() })
	return cimlayer.ImageHives{Image: im}.OpenHive(n, form)
}

// A changed registry becomes delta hives, and merges to what it was in the view; twice,
// so that the second delta is one over a merged hive.
func TestCompareHives(t *testing.T) {
	f := newMounted(t)
	base := f.image(f.windows())[0]
	parent := base
	for round, path := range []string{`Hives/SYSTEM_BASE`, `Hives/SYSTEM_BASE`, `Files/Windows/System32/config/SOFTWARE`} {
		if round == 2 { // over a base layer it is the registry by another name
			parent = base
		}
		name, form := hives.System, "System_Delta"
		if round == 2 {
			name, form = hives.Software, "Software_Delta"
		}
		lower, err := f.sn.View(f.ctx, f.key("lower"), parent)
		if err != nil {
			t.Fatal(err)
		}
		key := f.key("edit")
		upper, err := f.sn.Prepare(f.ctx, key, parent)
		if err != nil {
			t.Fatal(err)
		}
		root := upper[0].Source
		value := fmt.Sprint("value ", round)
		edit(t, filepath.Join(root, path), setValue(`Mullion\Made here`, value, "data"))
		if round == 1 { // and something of the genuine hive goes
			edit(t, filepath.Join(root, path), func(h *regf.Hive) error {
				k, err := h.Key("Setup")
				if err != nil {
					return err
				}
				return k.DeleteTree()
			})
		}
		want, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		desc, err := f.diff.Compare(f.ctx, lower, upper, diff.WithMediaType(ocispec.MediaTypeImageLayerZstd))
		if err != nil {
			t.Fatal(err)
		}
		tar := f.read(desc)
		if got := f.entries(tar); !slices.Equal(got, []string{"directory Files", "directory Hives", `file Hives\` + form}) &&
			!slices.Equal(got, []string{"directory Files", `directory Files\Windows`, `directory Files\Windows\System32`, `directory Files\Windows\System32\config`,
				"directory Hives", `file Hives\` + form}) {
			t.Errorf("round %d: %q", round, got)
		}
		for c, err := range wintar.Check(t.Context(), bytes.NewReader(tar), wintar.HasParents()) {
			if err != nil {
				t.Fatal(err)
			}
			if winfs.Under(c.Path+`\`, layer.RootHives) { // the directories of this image have no descriptors
				t.Errorf("round %d: %v", round, c)
			}
		}
		if len(tar) > 100_000 {
			t.Errorf("round %d: the layer has %d bytes for a small change", round, len(tar))
		}
		chain := f.unpack(parent, desc, digest.FromBytes(tar))
		merged, err := f.openHive(chain, name, hives.Base)
		if err != nil {
			t.Fatal(err)
		}
		expect, err := regf.OpenBytes(want, nil)
		if err != nil {
			t.Fatal(err)
		}
		for d := range regf.Compare(expect, merged, regf.CompareOptions{}) {
			t.Errorf("round %d: the merged hive differs: %+v", round, d)
		}
		if err := f.sn.Commit(f.ctx, key+" committed", key); err != nil {
			t.Fatal(err)
		}
		sn, err := f.lookup(f.ctx, key+" committed")
		if err != nil {
			t.Fatal(err)
		}
		if rec, err := f.readRecord(sn.id); err != nil || rec.Layers[0] != chain {
			t.Errorf("round %d: Commit made %+v, %v; want layer %s", round, rec, err, chain)
		}
		parent = chain
	}
	f.agree()
}

// What cannot be said in a layer is refused with its name.
func TestCompareHivesRefused(t *testing.T) {
	f := newMounted(t)
	parent := f.image(f.windows())[0]
	for _, c := range []struct {
		name, entry string
		do          func(root string) error
	}{
		{"removed", `Hives\SAM_BASE`, func(r string) error { return os.Remove(r + "/Hives/SAM_BASE") }},
		{"no hive", `config\SAM`, func(r string) error { return os.WriteFile(r+"/Hives/SAM_BASE", []byte("no hive"), 0o755) }},
		{"link", `Hives\SAM_BASE`, func(r string) error {
			return errors.Join(os.Remove(r+"/Hives/SAM_BASE"), os.Link(r+"/Files/big", r+"/Hives/SAM_BASE"))
		}},
	} {
		upper, err := f.sn.Prepare(f.ctx, c.name, parent)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.do(upper[0].Source); err != nil {
			t.Fatal(err)
		}
		before, err := f.Service.store.Layers()
		if err != nil {
			t.Fatal(err)
		}
		err = f.sn.Commit(f.ctx, "committed", c.name)
		if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), `\\`, `\`), c.entry) || errors.Is(errdefs.Resolve(err), errdefs.ErrUnknown) {
			t.Errorf("%s: %v", c.name, err)
		}
		after, err := f.Service.store.Layers()
		if err != nil || len(after) != len(before) {
			t.Errorf("%s: %q, %v", c.name, after, err)
		}
		// It is still there, to be mended.
		if m, err := f.sn.Mounts(f.ctx, c.name); err != nil {
			t.Error(err)
		} else if _, err := os.Stat(m[0].Source + "/Files/big"); err != nil {
			t.Error(err)
		}
	}
	f.agree()
}

// Only what is directly above something can be compared with it.
func TestComparePairs(t *testing.T) {
	f := newMounted(t)
	names := f.image(f.windows(), f.tar(dir(`Files`), file(`Files\second`, "2")), f.tar(dir(`Files`), file(`Files\third`, "3")))
	view := func(name string) []mount.Mount {
		m, err := f.sn.View(f.ctx, f.key("view"), name)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	active := func(name string, write bool) []mount.Mount {
		m, err := f.sn.Prepare(f.ctx, f.key("active"), name)
		if err != nil {
			t.Fatal(err)
		}
		if write {
			if err := os.WriteFile(m[0].Source+"/written", nil, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
	for _, c := range []struct {
		name         string
		lower, upper []mount.Mount
		want         []string // nil: refused
	}{
		{"view and its parent", view(names[1]), view(names[2]), []string{"directory Files", "file Files\\third"}},
		{"equal views", view(names[1]), view(names[1]), []string{"directory Files", "directory Hives"}},
		{"active and its parent", active(names[1], false), active(names[1], true), []string{"directory Files", "directory Hives", "file written"}},
		{"base and nothing", nil, active("", true), []string{"file written"}},
		{"base and an empty view", view(""), active("", true), []string{"file written"}},
		{"two layers", view(names[0]), view(names[2]), nil},
		{"wrong way round", view(names[2]), view(names[1]), nil},
		{"active and its grandparent", view(names[0]), active(names[1], true), nil},
		{"lower was written to", active(names[1], true), active(names[1], true), nil},
		{"nothing below what has a parent", nil, active(names[1], true), nil},
		{"foreign", []mount.Mount{{Type: "bind", Source: "/"}}, active(names[1], true), nil},
	} {
		desc, err := f.diff.Compare(f.ctx, c.lower, c.upper)
		switch {
		case c.want == nil && !errdefs.IsInvalidArgument(err):
			t.Errorf("%s: %+v, %v", c.name, desc, err)
		case c.want != nil && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != nil:
			if got := f.entries(f.read(desc)); !slices.Equal(got, c.want) {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
	}
	m := active(names[1], true)
	for _, o := range []diff.Opt{diff.WithMediaType("application/vnd.erofs"), diff.WithCompressor(func(io.Writer, string) (io.WriteCloser, error) { return nil, nil })} {
		if _, err := f.diff.Compare(f.ctx, view(names[1]), m, o); !errdefs.IsNotImplemented(err) {
			t.Errorf("%v", err)
		}
	}
	// Nothing is later than the epoch that the caller sets, so that a build can be repeated.
	epoch := time.Unix(1_000_000_000, 0)
	desc, err := f.diff.Compare(f.ctx, view(names[1]), m, diff.WithSourceDateEpoch(&epoch))
	if err != nil {
		t.Fatal(err)
	}
	r := wintar.NewReader(bytes.NewReader(f.read(desc)))
	for {
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Times.LastWrite.Time().After(epoch) || e.Times.Creation.Time().After(epoch) {
			t.Errorf("%s: %+v", e.Path, e.Times)
		}
	}
	// A request that is given up leaves no upload behind.
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	if _, err := f.diff.Compare(ctx, view(names[1]), m); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if list, err := f.store.ListStatuses(f.ctx); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}
