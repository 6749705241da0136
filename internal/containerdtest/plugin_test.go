package containerdtest_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/internal/containerdtest"
	"github.com/mullion/mullion/internal/testenv"
)

// importFlags are what every import of a Windows image needs.
var importFlags = []string{"--platform", containerdtest.Platform, "--snapshotter", containerdtest.Snapshotter}

// ways are flags for the two ways to unpack: by containerd's transfer service, and by
// the client with containerd's diff service.
var ways = [][]string{nil, {"--local"}}

// importImage imports an archive as REPOSITORY:v1.
func importImage(t testing.TB, r *containerdtest.Rig, repository, file string, flags ...string) {
	t.Helper()
	args := append([]string{"images", "import", "--base-name", repository}, importFlags...)
	r.Ctr(t, append(append(args, flags...), file)...)
}

// mountImage mounts an image and returns what is in a file of it.
func mountImage(t *testing.T, r *containerdtest.Rig, name, file string) string {
	t.Helper()
	dir := t.TempDir()
	r.Ctr(t, "images", "mount", "--platform", containerdtest.Platform, "--snapshotter", containerdtest.Snapshotter, name, dir)
	b, err := os.ReadFile(filepath.Join(dir, file))
	r.Ctr(t, "images", "unmount", "--rm", "--snapshotter", containerdtest.Snapshotter, dir)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// reconnected waits until containerd, which may have seen the plugin away, has tried
// its socket again. What containerd only looks up in its own metadata would not tell.
func reconnected(t *testing.T, r *containerdtest.Rig) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		_, err := r.Run(t.Context(), "snapshots", "--snapshotter", containerdtest.Snapshotter, "prepare", "probe")
		if err == nil {
			break
		}
		if !strings.Contains(err.Error(), "connection error") || time.Since(begin) > patience {
			t.Fatal(err)
		}
	}
	r.Ctr(t, "snapshots", "--snapshotter", containerdtest.Snapshotter, "rm", "probe")
	prune(t, r)
}

// empty checks that the plugin keeps nothing.
func empty(t *testing.T, r *containerdtest.Rig) {
	t.Helper()
	for _, pattern := range []string{"cim-layers/*", "layers/*", "snapshots/*"} {
		left, err := filepath.Glob(filepath.Join(r.Root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		if len(left) > 0 {
			t.Errorf("on disk there is still %s", left)
		}
	}
	for _, m := range mountsBelow(t, r.Root) {
		t.Errorf("still mounted: %s", m)
	}
}

// mountsBelow lists the mount points below a folder.
func mountsBelow(t testing.TB, dir string) (all []string) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			all = append(all, f[4])
		}
	}
	return all
}

// An image is imported, by containerd's transfer service and by the client itself,
// mounted, and removed without a trace.
func TestImport(t *testing.T) {
	t.Parallel()
	r := containerdtest.Start(t)
	for _, format := range []blob.Format{blob.Gzip, blob.Zstd, blob.Plain} {
		for _, way := range ways {
			t.Run(fmt.Sprint(format, way), func(t *testing.T) {
				text := fmt.Sprintf("hello, %v %v", format, way)
				file := archive(t, windowsImage(format,
					baseLayer(t, file{`Files\hello.txt`, "old"}, file{`Files\gone.txt`, "gone"}),
					windowsLayer(t, file{`Files\hello.txt`, text}, file{`-Files\gone.txt`, ""})))
				importImage(t, r, "example.com/hello", file, way...)
				if got := mountImage(t, r, "example.com/hello:v1", "Files/HELLO.txt"); got != text {
					t.Errorf("mounted, it reads %q, want %q", got, text)
				}
				if out := r.Ctr(t, "snapshots", "--snapshotter", "mullion", "ls"); strings.Count(out, "Committed") != 2 {
					t.Errorf("snapshots ls:\n%s", out)
				}
				if out := r.Ctr(t, "snapshots", "--snapshotter", "mullion", "tree"); !strings.Contains(out, "\\_ sha256:") {
					t.Errorf("snapshots tree:\n%s", out)
				}
				for line := range strings.Lines(r.Ctr(t, "snapshots", "--snapshotter", "mullion", "usage", "-b")) {
					if f := strings.Fields(line); f[0] != "KEY" && (len(f) != 3 || f[1] == "0" || f[2] == "0") {
						t.Errorf("snapshots usage: %s", line)
					}
				}
				r.Ctr(t, "images", "rm", "--sync", "example.com/hello:v1")
				empty(t, r)
			})
		}
	}
}

// The configuration that is printed is one that containerd takes as it is, and as a
// whole file, in every version of the file.
func TestPrintedConfig(t *testing.T) {
	t.Parallel()
	r := containerdtest.Start(t)
	plugins := r.Ctr(t, "plugins", "ls")
	for _, want := range [][]string{
		{"io.containerd.snapshotter.v1", "mullion", "windows/amd64", "ok"},
		{"io.containerd.differ.v1", "mullion-diff", "windows/amd64", "ok"},
		{"io.containerd.transfer.v1", "local", "-", "ok"},
		{"io.containerd.service.v1", "diff-service", "-", "ok"},
	} {
		found := false
		for line := range strings.Lines(plugins) {
			found = found || strings.Join(strings.Fields(line), " ") == strings.Join(want, " ")
		}
		if !found {
			t.Errorf("no %v in\n%s", want, plugins)
		}
	}
	if log := r.Containerd.Tail(); strings.Contains(log, "unknown key") {
		t.Errorf("containerd:\n%s", log)
	}
	for _, version := range []string{"3", "4"} {
		cmd := exec.CommandContext(t.Context(), r.Plugin.Name, "serve", "--print-config", "--config-version", version, "--root", r.Root, "--address", r.Plugin.Socket)
		cmd.Env = append(os.Environ(), r.Plugin.Env...)
		text, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		// What says where this containerd lives comes before the first table.
		head := fmt.Sprintf("version = %s\nroot = %q\nstate = %q\n", version, dir+"/root", dir+"/state")
		config := strings.Replace(string(text), "version = "+version+"\n", head, 1)
		name := filepath.Join(dir, "c.toml")
		if err := os.WriteFile(name, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), r.Programs.Containerd, "--config", name, "config", "dump").CombinedOutput()
		if err != nil || strings.Contains(string(out), "unknown key") {
			t.Errorf("version %s: %v\n%s", version, err, out)
		}
		for _, want := range []string{"default = ['mullion-diff', 'walking']", "snapshotter = 'mullion'", "snapshotter = 'overlayfs'", "platform = 'windows/amd64'"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("version %s: containerd understood no %s in\n%s", version, want, out)
			}
		}
	}
}

// Linux images on the same containerd are as they are without the plugin.
func TestLinuxImages(t *testing.T) {
	t.Parallel()
	r := containerdtest.Start(t)
	file := archive(t, linuxImage(t, "etc/motd", "linux"))
	for _, way := range ways {
		args := append([]string{"images", "import", "--base-name", "example.com/linux", "--snapshotter", "overlayfs"}, way...)
		r.Ctr(t, append(args, file)...)
		dir := t.TempDir()
		r.Ctr(t, "images", "mount", "--snapshotter", "overlayfs", "example.com/linux:v1", dir)
		info, err := os.Stat(filepath.Join(dir, "etc/motd"))
		if err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%v: %v, %v", way, info, err)
		}
		r.Ctr(t, "images", "unmount", "--rm", "--snapshotter", "overlayfs", dir)
		r.Ctr(t, "images", "rm", "--sync", "example.com/linux:v1")
	}
	// Also where somebody compares Linux snapshots.
	r.Ctr(t, "snapshots", "--snapshotter", "overlayfs", "prepare", "key")
	if out := r.Ctr(t, "snapshots", "--snapshotter", "overlayfs", "diff", "--media-type", "application/vnd.oci.image.layer.v1.tar", "key"); out == "" {
		t.Error("the difference of Linux snapshots is empty")
	}
	if n := r.Count(t, "mullion_snapshots", ""); n != 0 {
		t.Errorf("the plugin has %d snapshots of Linux images", n)
	}
	empty(t, r)
}

// An image goes through a registry and back.
func TestRegistry(t *testing.T) {
	t.Parallel()
	r := containerdtest.Start(t)
	host, _ := testenv.Registry(t)
	file := archive(t, windowsImage(blob.Gzip, baseLayer(t), windowsLayer(t, file{`Files\a.txt`, "through a registry"})))
	for _, way := range ways {
		name := host + "/hello:v1"
		importImage(t, r, host+"/hello", file, "--no-unpack")
		r.Ctr(t, append(append([]string{"images", "push", "--plain-http", "--platform", containerdtest.Platform}, way...), name)...)
		r.Ctr(t, "images", "rm", "--sync", name)
		args := append([]string{"images", "pull", "--plain-http"}, importFlags...)
		r.Ctr(t, append(append(args, way...), name)...)
		if got := mountImage(t, r, name, "Files/a.txt"); got != "through a registry" {
			t.Errorf("%v: it reads %q", way, got)
		}
		r.Ctr(t, "images", "rm", "--sync", name)
		empty(t, r)
	}
}

// Of images that share layers and are imported at the same moment, in namespaces that
// know nothing of each other, each layer is applied once.
func TestSharedLayersAtOnce(t *testing.T) {
	t.Parallel()
	r := containerdtest.Start(t)
	base := baseLayer(t, numbered("base", 300)...)
	shared := windowsLayer(t, numbered("shared", 300)...)
	const images = 4
	var names []string
	for i := range images {
		names = append(names, archive(t, windowsImage(blob.Gzip, base, shared, windowsLayer(t, numbered(fmt.Sprint("own", i), 20)...))))
	}
	var wg sync.WaitGroup
	errs := make([]error, images)
	for i, name := range names {
		wg.Go(func() {
			// Every way, each in its namespace.
			args := append([]string{"-n", fmt.Sprint("ns", i), "images", "import", "--base-name", "example.com/shared"}, importFlags...)
			_, errs[i] = r.Run(context.WithoutCancel(t.Context()), append(append(args, ways[i%len(ways)]...), name)...)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	made, reused := r.Count(t, "mullion_layers_applied_total", `result="made"`), r.Count(t, "mullion_layers_applied_total", `result="reused"`)
	if made != 2+images || r.Count(t, "mullion_layers", "") != 2+images {
		t.Errorf("%d layers were made, %d reused; want %d made", made, reused, 2+images)
	}
	t.Logf("%d images of 3 layers: %d layers made, %d reused", images, made, reused)
	for i := range images {
		r.Ctr(t, "-n", fmt.Sprint("ns", i), "images", "rm", "--sync", "example.com/shared:v1")
	}
	empty(t, r)
}

// What is wrong with a layer is said to the user of ctr, with the entry's name, and
// nothing is left.
func TestMalformedLayer(t *testing.T) {
	t.Parallel()
	r := containerdtest.Start(t)
	good := windowsLayer(t, file{`Files\fine.txt`, "fine"}, file{`Files\dir1\`, ""}, file{`Files\dir1\bad.txt`, "bad"})
	bad := []byte(strings.ReplaceAll(string(good), "Files/dir1/bad.txt", "Files/d:r1/bad.txt"))
	fixChecksums(bad)
	file := archive(t, windowsImage(blob.Gzip, baseLayer(t), bad))
	for _, way := range ways {
		args := append([]string{"images", "import", "--base-name", "example.com/bad"}, importFlags...)
		_, err := r.Run(t.Context(), append(append(args, way...), file)...)
		if err == nil || strings.Count(err.Error(), "d:r1") == 0 || strings.Contains(err.Error(), "\ninvalid name") {
			t.Errorf("%v: %v", way, err)
		}
		t.Log(err)
		// The layer below is garbage now. containerd's client would count on it and lose
		// it to the collector, so that is made to end first.
		removeImages(t, r)
	}
	if n := r.Count(t, "mullion_layers_applied_total", `result="failed"`); n == 0 {
		t.Error("no failure was counted")
	}
	if n := r.Count(t, "mullion_snapshots", ""); n != 0 {
		t.Errorf("%d snapshots are left", n)
	}
	empty(t, r)
}

// removeImages removes all images and what they leave behind.
func removeImages(t *testing.T, r *containerdtest.Rig) {
	t.Helper()
	for _, name := range strings.Fields(r.Ctr(t, "images", "ls", "-q")) {
		r.Ctr(t, "images", "rm", "--sync", name)
	}
	prune(t, r)
}

// prune has containerd collect its garbage.
func prune(t *testing.T, r *containerdtest.Rig) {
	t.Helper()
	for {
		_, err := r.Run(t.Context(), "content", "prune", "references")
		if err == nil {
			return
		}
		// The collector may take a blob that is just about to be looked at.
		if !strings.Contains(err.Error(), "content digest sha256:") || !strings.Contains(err.Error(), ": not found") {
			t.Fatal(err)
		}
	}
}

// fixChecksums makes the headers of a tar valid again whose names were changed.
func fixChecksums(tar []byte) {
	for at := 0; at+512 <= len(tar); at += 512 {
		h := tar[at : at+512]
		if string(h[257:262]) != "ustar" {
			continue
		}
		copy(h[148:156], "        ")
		sum := 0
		for _, b := range h {
			sum += int(b)
		}
		copy(h[148:156], fmt.Sprintf("%06o\x00 ", sum))
	}
}

// Both processes may be restarted at any time, and go on where they were.
func TestRestart(t *testing.T) {
	t.Parallel()
	r := containerdtest.Start(t)
	first := archive(t, windowsImage(blob.Gzip, baseLayer(t, file{`Files\a.txt`, "first"}), windowsLayer(t, numbered("b", 10)...)))
	second := archive(t, windowsImage(blob.Zstd, baseLayer(t, file{`Files\a.txt`, "second"})))
	restart := func(what string, p *containerdtest.Process) {
		t.Helper()
		if err := p.Stop(); err != nil {
			t.Fatalf("stop %s: %v", what, err)
		}
		if err := p.Start(t.Context()); err != nil {
			t.Fatalf("start %s: %v", what, err)
		}
		reconnected(t, r)
	}
	importImage(t, r, "example.com/first", first)
	restart("the plugin", &r.Plugin)
	if got := mountImage(t, r, "example.com/first:v1", "Files/a.txt"); got != "first" {
		t.Errorf("after a restart of the plugin it reads %q", got)
	}
	importImage(t, r, "example.com/second", second)
	restart("containerd", &r.Containerd)
	for _, name := range []string{"first", "second"} {
		if got := mountImage(t, r, "example.com/"+name+":v1", "Files/a.txt"); got != name {
			t.Errorf("after a restart of containerd it reads %q", got)
		}
	}
	r.Ctr(t, "images", "rm", "--sync", "example.com/second:v1")
	importImage(t, r, "example.com/second", second, ways[len(ways)-1]...)
	removeImages(t, r)
	empty(t, r)
}
