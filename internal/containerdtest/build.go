package containerdtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/mullion/mullion/internal/publish"
)

// Version is the containerd that the tests run with.
const Version = "v2.4.2"

// tags exclude the parts that have nothing to do with images or need C.
const tags = "no_cri no_btrfs no_devmapper no_zfs no_tracing"

// Programs are the built programs.
type Programs struct{ Containerd, Ctr string }

// Built returns the programs and whether an earlier Build has made them.
func Built() (p Programs, there bool, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return p, false, err
	}
	dir := filepath.Join(cache, "mullion-tests", "containerd-"+Version)
	p = Programs{filepath.Join(dir, "containerd"), filepath.Join(dir, "ctr")}
	return p, p.exist(), nil
}

// Build builds containerd and ctr unless an earlier call has. It takes minutes, and
// the module proxy; only one process builds at a time.
func Build(ctx context.Context) (Programs, error) {
	p, there, err := Built()
	if there || err != nil {
		return p, err
	}
	dir := filepath.Dir(p.Containerd)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return p, err
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	unlock, err := publish.Lock(ctx, filepath.Join(dir, "lock"))
	if err != nil {
		return p, err
	}
	defer unlock()
	if p.exist() {
		return p, nil
	}
	return p, p.build(ctx, dir)
}

func (p Programs) exist() bool {
	_, err1 := os.Stat(p.Containerd)
	_, err2 := os.Stat(p.Ctr)
	return err1 == nil && err2 == nil
}

// build builds in a sibling directory, so that a file with a final name is complete.
func (p Programs) build(ctx context.Context, dir string) error {
	temp, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	const module = "github.com/containerd/containerd/v2/cmd/"
	cmd := exec.CommandContext(ctx, "go", "install", "-trimpath", "-tags", tags, "-ldflags", "-s -w", module+"containerd@"+Version, module+"ctr@"+Version)
	cmd.Dir = temp
	cmd.Env = append(os.Environ(), "GOBIN="+temp, "CGO_ENABLED=0", "GOFLAGS=", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build containerd %s: %w\n%s", Version, err, out)
	}
	return errors.Join(os.Rename(filepath.Join(temp, "ctr"), p.Ctr), os.Rename(filepath.Join(temp, "containerd"), p.Containerd))
}
