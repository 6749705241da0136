package containerdtest_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/containerdtest"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
)

// snapshot runs ctr snapshots with the plugin.
func snapshot(t *testing.T, r *containerdtest.Rig, args ...string) string {
	t.Helper()
	return r.Ctr(t, append([]string{"snapshots", "--snapshotter", containerdtest.Snapshotter}, args...)...)
}

// top returns the name of the topmost committed snapshot.
func top(t *testing.T, r *containerdtest.Rig) string {
	t.Helper()
	parents, names := map[string]bool{}, []string{}
	for line := range strings.Lines(snapshot(t, r, "ls")) {
		f := strings.Fields(line)
		if f[len(f)-1] != "Committed" {
			continue
		}
		names = append(names, f[0])
		if len(f) == 3 {
			parents[f[1]] = true
		}
	}
	for _, n := range names {
		if !parents[n] {
			return n
		}
	}
	t.Fatalf("no snapshot is on top of %v", names)
	return ""
}

// mounted mounts what ctr snapshots prints, runs f, and unmounts it.
func mounted(t *testing.T, r *containerdtest.Rig, key string, f func(dir string)) {
	t.Helper()
	dir := t.TempDir()
	command := strings.Fields(snapshot(t, r, "mounts", dir, key))
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
	defer func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
		}
	}()
	f(dir)
}

// A container's snapshot is written to as a POSIX program does, and its difference is
// a Windows layer: changed and new files, whiteouts, hard links, metadata that was not
// touched, and the delta of the registry.
func TestSnapshots(t *testing.T) {
	t.Parallel()
	r := containerdtest.Start(t)
	software := hives.Software.Path(hives.Base)
	image := archive(t, windowsImage(blob.Gzip, baseLayer(t, file{`Files\keep.txt`, "keep"}, file{`Files\change.txt`, "old"}, file{`Files\gone.txt`, "gone"})))
	importImage(t, r, "example.com/base", image)
	base := top(t, r)

	snapshot(t, r, "prepare", "work", base)
	mounted(t, r, "work", func(dir string) {
		files := filepath.Join(dir, "Files")
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		check(os.WriteFile(filepath.Join(files, "change.txt"), []byte("new"), 0o644))
		check(os.Remove(filepath.Join(files, "GONE.TXT")))
		check(os.Mkdir(filepath.Join(files, "added"), 0o755))
		check(os.WriteFile(filepath.Join(files, "added", "one.txt"), []byte("one"), 0o644))
		check(os.Link(filepath.Join(files, "added", "one.txt"), filepath.Join(files, "added", "two.txt")))
		check(os.Symlink("one.txt", filepath.Join(files, "added", "link.txt")))
		addKey(t, filepath.Join(dir, winfs.ToSlash(software)))
	})

	tars := map[string][]byte{}
	for _, mediaType := range []string{"application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.oci.image.layer.v1.tar+zstd"} {
		tars[mediaType] = plain(t, snapshot(t, r, "diff", "--media-type", mediaType, "work"))
	}
	tar := tars["application/vnd.oci.image.layer.v1.tar"]
	for m, b := range tars {
		if !bytes.Equal(b, tar) {
			t.Errorf("%s holds another tar", m)
		}
	}
	got := listTar(t, tar)
	for path, want := range map[string]string{
		`Files\change.txt`:                  "file new",
		`Files\gone.txt`:                    "whiteout",
		`Files\added\one.txt`:               "file one",
		`Files\added\two.txt`:               `link Files\added\one.txt`,
		`Files\added\link.txt`:              "symlink one.txt",
		hives.Software.Path(hives.Delta):    "delta",
		hives.System.Path(hives.Delta):      "",
		`Files\keep.txt`:                    "",
		software:                            "",
		hives.Software.Path(hives.Config):   "",
		`Files\Windows\System32\config\SAM`: "",
	} {
		if got[path] != want {
			t.Errorf("%s is %q, want %q", path, got[path], want)
		}
	}
	for f, err := range wintar.Check(t.Context(), bytes.NewReader(tar), wintar.HasParents()) {
		if err != nil {
			t.Fatal(err)
		}
		t.Errorf("the layer: %v", f)
	}

	// Committed, it is the layer of others, and its difference is the same.
	snapshot(t, r, "commit", "done", "work")
	// ctr makes views that the collector of garbage may take at once.
	for kept := false; !kept; {
		snapshot(t, r, "view", "look", "done")
		_, err := r.Run(t.Context(), "snapshots", "--snapshotter", containerdtest.Snapshotter, "label", "look", "containerd.io/gc.root=kept")
		kept = err == nil
	}
	mounted(t, r, "look", func(dir string) {
		b, err := os.ReadFile(filepath.Join(dir, "Files/Added/TWO.txt"))
		if err != nil || string(b) != "one" {
			t.Errorf("%q, %v", b, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "Files/gone.txt")); !os.IsNotExist(err) {
			t.Errorf("gone.txt: %v", err)
		}
		if err := os.WriteFile(filepath.Join(dir, "Files/x"), nil, 0o644); err == nil {
			t.Error("a view can be written to")
		}
	})
	snapshot(t, r, "rm", "look")
	if again := plain(t, snapshot(t, r, "diff", "done")); !bytes.Equal(again, tar) {
		t.Errorf("committed, the difference is another: %v, was %v", listTar(t, again), got)
	}
	snapshot(t, r, "rm", "done")
	removeImages(t, r)
	empty(t, r)
}

func addKey(t *testing.T, name string) {
	t.Helper()
	h, err := regf.Open(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := h.CreatePath(`Mullion\Test`)
	if err == nil {
		err = k.SetValue("Answer", regf.RegDword, []byte{42, 0, 0, 0})
	}
	var b []byte
	if err == nil {
		b, err = h.Compact(nil)
	}
	h.Close()
	if err == nil {
		err = os.WriteFile(name, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func plain(t *testing.T, stored string) []byte {
	t.Helper()
	r, err := blob.NewReader(t.Context(), strings.NewReader(stored))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// listTar says what each entry of a layer is.
func listTar(t *testing.T, tar []byte) map[string]string {
	t.Helper()
	all := map[string]string{}
	r := wintar.NewReader(bytes.NewReader(tar))
	defer r.Close()
	for {
		e, err := r.Next()
		if err != nil {
			if err.Error() != "EOF" {
				t.Fatal(err)
			}
			return all
		}
		switch {
		case e.Kind == layer.Whiteout:
			all[e.Path] = "whiteout"
		case e.Kind == layer.Link:
			all[e.Path] = "link " + e.Target
		case e.Kind == layer.Dir:
			all[e.Path] = "dir"
		case e.Reparse != nil:
			p, err := winfs.ParseReparse(e.Reparse)
			if err != nil {
				t.Fatal(err)
			}
			all[e.Path] = "symlink " + p.Target()
		case strings.HasPrefix(e.Path, `Hives\`):
			all[e.Path] = "delta"
		default:
			if _, err := r.NextStream(); err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if _, err := b.ReadFrom(r); err != nil {
				t.Fatal(err)
			}
			all[e.Path] = fmt.Sprintf("file %s", b.String())
		}
	}
}
