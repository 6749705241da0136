package snapshotter

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/layer/layertest"
)

// A disk that is full while a layer is applied, spooled or committed: the error says
// so, nothing stays, and with room again all goes well.
func TestDiskFull(t *testing.T) {
	if os.Geteuid() != 0 {
		testenv.Missing(t, "mounting a small file system needs root")
	}
	f := newFixture(t)
	f.kill()
	small := t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=2m,mode=0700"); err != nil {
		testenv.Missing(t, "cannot mount a small file system: "+err.Error())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(small, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	f.dir = small
	f.config = Config{Root: small, SameProcess: true, Content: f.store, MissingHives: cimlayer.LeaveMissing}
	f.start()
	// Closed while its file system is still there.
	t.Cleanup(func() {
		if err := f.Service.Close(); err != nil {
			t.Error(err)
		}
	})
	items := []layertest.Item{dir(`Files`)}
	for _, n := range "abcdefgh" {
		items = append(items, file(`Files\`+string(n), string(n)+noise(500_000)))
	}
	tar := f.tar(items...)
	desc, diffID := f.blob(tar)
	check := func(what string, was []string, err error) {
		t.Helper()
		if !errors.Is(err, unix.ENOSPC) || !errors.Is(err, errdefs.ErrResourceExhausted) || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("%s: %v", what, err)
		}
		if now := f.disk(); !slices.Equal(was, now) {
			t.Errorf("%s left on disk:\n%q\nbefore:\n%q", what, now, was)
		}
		f.agree()
	}
	for _, label := range []string{diffID.String(), ""} {
		m, err := f.sn.Prepare(f.ctx, "applied"+label, "", unpackLabels("sha256:x", label, ""))
		if err != nil {
			t.Fatal(err)
		}
		was := f.disk()
		_, err = f.diff.Apply(f.ctx, desc, m)
		check("apply "+label, was, err)
	}
	m, err := f.sn.Prepare(f.ctx, "spooled", "", unpackLabels("sha256:x", diffID.String(), "sha256:"+strings.Repeat("a", 64)))
	if err != nil {
		t.Fatal(err)
	}
	was := f.disk()
	_, err = f.diff.Apply(f.ctx, desc, m)
	check("spool", was, err)
	// Room for what was written, not for its layer.
	if m, err = f.sn.Prepare(f.ctx, "written", ""); err != nil {
		t.Fatal(err)
	}
	f.write(m, items[:3]...)
	was = f.disk()
	err = f.sn.Commit(f.ctx, "committed", "written")
	now := f.disk()
	if !errors.Is(err, unix.ENOSPC) || !errors.Is(err, errdefs.ErrResourceExhausted) {
		t.Errorf("commit: %v", err)
	}
	if !slices.Equal(was, now) {
		t.Errorf("commit left on disk:\n%q\nbefore:\n%q", now, was)
	}
	f.agree()
	if err := unix.Mount("tmpfs", small, "tmpfs", unix.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	if err := f.sn.Commit(f.ctx, "committed", "written"); err != nil {
		t.Error(err)
	}
	if m, err = f.sn.Mounts(f.ctx, "applied"); err != nil {
		t.Fatal(err)
	}
	if out, err := f.diff.Apply(f.ctx, desc, m); err != nil || out.Digest != diffID {
		t.Errorf("%+v, %v", out, err)
	}
	f.agree()
}
