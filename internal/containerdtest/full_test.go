package containerdtest_test

import (
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/internal/containerdtest"
)

// A disk that is full while a layer is applied: the user of ctr is told, nothing is
// left, and when there is room again the same import goes through.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	r := containerdtest.Start(t)
	noise := make([]byte, 6<<20)
	rand.NewChaCha8([32]byte{}).Read(noise)
	image := archive(t, windowsImage(blob.Zstd, baseLayer(t, file{`Files\a.txt`, "there is room"}), windowsLayer(t, file{`Files\noise`, string(noise)})))
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	if err := r.Plugin.Stop(); err != nil {
		t.Fatal(err)
	}
	run("mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", r.Root)
	t.Cleanup(func() {
		if err := r.Plugin.Stop(); err != nil {
			t.Error(err)
		}
		run("umount", r.Root)
	})
	if err := r.Plugin.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	reconnected(t, r)
	for _, way := range ways {
		args := append([]string{"images", "import", "--base-name", "example.com/full"}, importFlags...)
		_, err := r.Run(t.Context(), append(append(args, way...), image)...)
		if err == nil || !strings.Contains(err.Error(), "no space left on device") {
			t.Errorf("%v: %v", way, err)
		}
		removeImages(t, r)
		empty(t, r)
	}
	run("mount", "-o", "remount,size=64m", r.Root)
	importImage(t, r, "example.com/full", image)
	if got := mountImage(t, r, "example.com/full:v1", "Files/a.txt"); got != "there is room" {
		t.Errorf("it reads %q", got)
	}
	removeImages(t, r)
	empty(t, r)
}
