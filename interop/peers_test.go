package interop

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/diff"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/google/go-containerregistry/pkg/crane"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/moby/buildkit/util/winlayers"
	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/archive"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/mend"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// item is a line of a tar that a user would hand to a builder.
type item struct {
	kind       byte
	name, data string // data is the link target of links
}

// tree is what a careless user hands over: hard and symbolic links with names as
// they are on the machine that builds, names that escape, one name twice.
var tree = []item{
	{tar.TypeDir, "app", ""},
	{tar.TypeReg, "app/tool.exe", "not really a program"},
	{tar.TypeLink, "app/again.exe", "app/tool.exe"},
	{tar.TypeSymlink, "app/relative", "tool.exe"},
	{tar.TypeSymlink, "app/absolute", "/app/tool.exe"},
	{tar.TypeReg, "app/twice.txt", "one"},
	{tar.TypeReg, "app/twice.txt", "two"},
	{tar.TypeReg, "app/Twice.TXT", "three"},
	{tar.TypeReg, "../../evil.txt", "outside"},
}

// careful is what a user hands over who makes no mistake of his own: what check finds in it
// is of the builder.
var careful = []item{
	{tar.TypeDir, "app", ""},
	{tar.TypeReg, "app/tool.exe", "not really a program"},
	{tar.TypeSymlink, "app/relative", "tool.exe"},
	{tar.TypeReg, "app/once.txt", "one"},
}

func userTar(t *testing.T, items []item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, it := range items {
		h := &tar.Header{Typeflag: it.kind, Name: it.name, Mode: 0o755}
		if it.kind == tar.TypeReg {
			h.Size = int64(len(it.data))
		} else {
			h.Linkname = it.data
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if it.kind == tar.TypeReg {
			io.WriteString(w, it.data)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rules counts findings by rule, and logs them for whoever runs the test with -v.
func rules(t *testing.T, r io.Reader) map[string]int {
	t.Helper()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return check(t, data)
}

func check(t *testing.T, data []byte) map[string]int {
	t.Helper()
	found := map[string]int{}
	for f, err := range wintar.Check(t.Context(), bytes.NewReader(data), wintar.HasParents()) {
		if err != nil {
			t.Fatal(err)
		}
		found[f.Rule]++
		t.Log(f)
	}
	return found
}

// fix corrects a layer as "check --fix" does and verifies that what the rules say about the
// correction holds: those with a Fix are broken no more, and no other is. It returns the
// rules that remain.
func fix(t *testing.T, r io.Reader) map[string]int {
	t.Helper()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	before := check(t, data)
	correct := func(data []byte) []byte {
		p, err := mend.Learn(t.Context(), wintar.NewReader(bytes.NewReader(data)), mend.Options{HasParents: true, FileAttributes: winfs.AttrArchive})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		w := wintar.NewWriter(&b)
		if _, err := layer.Copy(t.Context(), w, p.Reader(wintar.NewReader(bytes.NewReader(data)))); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	corrected := correct(data)
	after := check(t, corrected)
	corrections := append(mend.Rules(), wintar.Rewritten()...)
	if !slices.ContainsFunc(corrections, func(id string) bool { return before[id] > 0 }) {
		t.Errorf("%v: nothing is there to be corrected", before)
	}
	for id, n := range after {
		if n > before[id] {
			t.Errorf("%s: %d findings become %d", id, before[id], n)
		}
		if slices.Contains(corrections, id) {
			t.Errorf("%s stays", id)
		}
	}
	if !bytes.Equal(correct(corrected), corrected) {
		t.Error("a second correction changes something")
	}
	return after
}

// want compares the rules that were broken with those that must have been.
func want(t *testing.T, found map[string]int, names ...string) {
	t.Helper()
	var got []string
	for r := range found {
		got = append(got, r)
	}
	sort.Strings(got)
	sort.Strings(names)
	if !slices.Equal(got, names) {
		t.Errorf("check found\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(names, "\n\t"))
	}
}

// go-containerregistry: `crane append` to a Windows image prefixes names, not the
// targets of hard links, and gives everything a descriptor without a DACL.
func TestGoContainerRegistryAppend(t *testing.T) {
	img := craneAppend(t, tree)
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	rc, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	want(t, rules(t, rc), ggcrRules...)
	craneSaved(t, img)

	if layers, err = craneAppend(t, careful).Layers(); err != nil {
		t.Fatal(err)
	}
	rc, err = layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	want(t, fix(t, rc), "descriptor-without-dacl")
}

func craneAppend(t *testing.T, items []item) v1.Image {
	t.Helper()
	file := filepath.Join(t.TempDir(), "app.tar")
	if err := os.WriteFile(file, userTar(t, items), 0o644); err != nil {
		t.Fatal(err)
	}
	base, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "windows", OSVersion: "10.0.20348.2700", Architecture: "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	img, err := crane.Append(mutate.MediaType(base, types.OCIManifestSchema1), file)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// craneSaved checks the whole image, through a file that go-containerregistry writes.
func craneSaved(t *testing.T, img v1.Image) {
	t.Helper()
	saved := filepath.Join(t.TempDir(), "saved.tar")
	if err := crane.Save(img, "example.com/app:v1", saved); err != nil {
		t.Fatal(err)
	}
	ours, err := image.Open(t.Context(), "docker-archive:"+saved+":example.com/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	found := map[string]int{}
	for f, err := range ours.Check(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		found[f.Rule]++
	}
	if found["link-target-outside-files"] == 0 || found["descriptor-without-dacl"] == 0 {
		t.Errorf("through a docker archive: %v", found)
	}
}

// imgutil: the writer makes Files, Hives and parent folders, without any Windows
// record, and hands every header on with Files/ before its name alone.
func TestImgutilShape(t *testing.T) {
	want(t, rules(t, imgutilLayer(t, tree)), imgutilRules...)
	want(t, fix(t, imgutilLayer(t, careful)), "descriptor-missing")
}

func imgutilLayer(t *testing.T, items []item) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	seen := map[string]bool{}
	dir := func(name string) {
		if !seen[name] {
			seen[name] = true
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name}); err != nil {
				t.Fatal(err)
			}
		}
	}
	dir("Files")
	dir("Hives")
	for _, it := range items {
		if strings.HasPrefix(it.name, "..") {
			continue // it accepts absolute names only, which cannot escape
		}
		name := path.Join("Files", "/"+it.name)
		if it.kind == tar.TypeDir {
			dir(name)
			continue
		}
		h := &tar.Header{Typeflag: it.kind, Name: name, Mode: 0o755}
		switch it.kind {
		case tar.TypeReg:
			h.Size = int64(len(it.data))
		default:
			h.Linkname = it.data
			if it.kind == tar.TypeLink {
				h.Linkname = "/" + it.data
			}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			io.WriteString(w, it.data)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// BuildKit: the differ prefixes names and all link targets, those of symbolic links
// too, and writes the fraction of the creation time without its zeros.
func TestBuildKitDiffer(t *testing.T) {
	want(t, rules(t, bytes.NewReader(buildKitLayer(t, tree))), buildkitRules...)
	want(t, fix(t, bytes.NewReader(buildKitLayer(t, careful))), "descriptor-missing", "symlink-target-with-files-prefix")
}

func buildKitLayer(t *testing.T, items []item) []byte {
	t.Helper()
	root := t.TempDir()
	for _, it := range items {
		name := filepath.Join(root, filepath.Clean("/"+it.name))
		var err error
		switch it.kind {
		case tar.TypeDir:
			err = os.MkdirAll(name, 0o755)
		case tar.TypeReg:
			err = os.WriteFile(name, []byte(it.data), 0o644)
		case tar.TypeLink:
			err = os.Link(filepath.Join(root, it.data), name)
		case tar.TypeSymlink:
			err = os.Symlink(it.data, name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// A fraction with a zero in front, which is what the differ gets wrong.
	when := time.Unix(1700000000, 12345600)
	for _, name := range []string{"app/tool.exe", "app/twice.txt", "app/Twice.TXT", "app/once.txt", "evil.txt", "app"} {
		if _, err := os.Lstat(filepath.Join(root, name)); err != nil {
			continue // not in these items
		}
		if err := os.Chtimes(filepath.Join(root, name), when, when); err != nil {
			t.Fatal(err)
		}
	}
	store, err := local.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx := winlayers.UseWindowsLayerMode(namespaced(t.Context()))
	differ := winlayers.NewWalkingDiffWithWindows(store, nil)
	desc, err := differ.Compare(ctx, nil, []mount.Mount{{Type: "bind", Source: root, Options: []string{"rbind", "ro"}}},
		diff.WithMediaType(ocispec.MediaTypeImageLayerGzip))
	if err != nil {
		if os.Geteuid() != 0 {
			testenv.Missing(t, fmt.Sprintf("BuildKit's differ must mount: %v", err))
		}
		t.Fatal(err)
	}
	ra, err := store.ReaderAt(ctx, desc)
	if err != nil {
		t.Fatal(err)
	}
	defer ra.Close()
	r, err := blob.NewReader(t.Context(), io.NewSectionReader(ra, 0, ra.Size()), blob.WithDigest(desc.Digest, desc.Size))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Finish(); err != nil {
		t.Error(err)
	}
	return data
}

func namespaced(ctx context.Context) context.Context { return namespaces.WithNamespace(ctx, "mullion") }

// What check reports on each peer's layer.
var (
	ggcrRules = []string{"missing-fileattr", "descriptor-without-dacl", "link-target-outside-files",
		"duplicate-entry", "case-conflict", "name-escapes"}
	imgutilRules = []string{"missing-fileattr", "descriptor-missing", "link-target-outside-files", "absolute-name",
		"duplicate-entry", "case-conflict"}
	buildkitRules = []string{"symlink-target-with-files-prefix", "creation-time-unpadded", "missing-fileattr",
		"descriptor-missing", "case-conflict"}
)
