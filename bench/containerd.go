package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mullion/mullion/bench/table"
	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/all"
	"github.com/mullion/mullion/image/imagetest"
	"github.com/mullion/mullion/internal/containerdtest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func init() {
	areas["containerd"] = area{run: benchContainerd}
}

// benchContainerd imports an image of three gzip layers into a containerd, as a
// Windows image through mullion and as a Linux image of the same tars through
// containerd's overlayfs snapshotter, in memory and on disk.
func benchContainerd(cache string) error {
	windows, linux, err := archives(cache)
	if err != nil {
		return err
	}
	plain, err := plainSize(windows)
	if err != nil {
		return err
	}
	for _, at := range []struct{ name, dir string }{{"tmpfs", memoryDir()}, {"disk", os.TempDir()}} {
		if err := importBoth(at.name, at.dir, windows, linux, plain); err != nil {
			return err
		}
	}
	return nil
}

// archives makes the two archives: libwine with hives, 100,000 small files, and a
// small application.
func archives(cache string) (windows, linux string, err error) {
	layouts, err := makeImages(cache)
	if err != nil {
		return "", "", err
	}
	dir := filepath.Join(cache, "containerd-1")
	windows, linux = filepath.Join(dir, "windows.tar"), filepath.Join(dir, "linux.tar")
	if _, err := os.Stat(dir); err == nil {
		return windows, linux, nil
	}
	part := dir + ".part"
	if err := errors.Join(os.RemoveAll(part), os.MkdirAll(part, 0o755)); err != nil {
		return "", "", err
	}
	source := "oci:" + layouts[2]
	ctx := context.Background()
	if _, err := image.Copy(ctx, source, "oci-archive:"+filepath.Join(part, "windows.tar")+":v1"); err != nil {
		return "", "", err
	}
	img, err := image.Open(ctx, source)
	if err != nil {
		return "", "", err
	}
	defer img.Close()
	same := imagetest.Image{Config: ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}}}
	for _, l := range img.Layers() {
		r, err := l.Tar(ctx)
		if err != nil {
			return "", "", err
		}
		tar, err := readAll(r, l.Descriptor.Size)
		if err = errors.Join(err, r.Close()); err != nil {
			return "", "", err
		}
		same.Layers = append(same.Layers, imagetest.Layer{Tar: tar, Format: blob.Gzip})
	}
	layout := filepath.Join(part, "layout")
	if err := imagetest.WriteLayout(layout, same); err != nil {
		return "", "", err
	}
	if _, err := image.Copy(ctx, "oci:"+layout, "oci-archive:"+filepath.Join(part, "linux.tar")+":v1", image.WithAll()); err != nil {
		return "", "", err
	}
	return windows, linux, errors.Join(os.RemoveAll(layout), os.Rename(part, dir))
}

func plainSize(archive string) (int64, error) {
	img, err := image.Open(context.Background(), "oci-archive:"+archive)
	if err != nil {
		return 0, err
	}
	defer img.Close()
	total := int64(0)
	for _, l := range img.Layers() {
		s, err := l.Summarize(context.Background())
		if err != nil {
			return 0, err
		}
		total += s.Plain
	}
	return total, nil
}

// importBoth measures both on one containerd, whose directories are in dir.
func importBoth(name, dir, windows, linux string, plain int64) error {
	dir, err := os.MkdirTemp(dir, "mcb-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	r, err := containerdtest.New(context.Background(), containerdtest.Options{Dir: dir, Mullion: []string{self, "exec", "mullion"}})
	if err != nil {
		return err
	}
	group := table.Group{
		Title: fmt.Sprintf("ctr images import: libwine, 100,000 small files and a small layer, gzip, %.0f MB of tars, on %s; cpu is that of ctr, containerd and plugin", float64(plain)/1e6, name),
		Bytes: plain, Runs: 3,
		Cases: []table.Case{
			importCase(r, "mullion", table.Ours, windows, "--platform", containerdtest.Platform, "--snapshotter", containerdtest.Snapshotter),
			importCase(r, "overlayfs of containerd", table.Peer, linux, "--snapshotter", "overlayfs"),
			importCase(r, "content alone, nothing unpacked", table.Floor, linux, "--no-unpack"),
		},
	}
	_, err = table.Run(os.Stdout, group)
	return errors.Join(err, r.Close())
}

func importCase(r *containerdtest.Rig, name string, role table.Role, file string, flags ...string) table.Case {
	return table.Case{
		Name: name, Role: role,
		Command: func() (*exec.Cmd, error) {
			args := append([]string{"images", "import", "--base-name", "example.com/bench"}, flags...)
			return r.Command(context.Background(), append(args, file)...), nil
		},
		Servers: func() (time.Duration, error) {
			a, err1 := r.Containerd.CPU()
			b, err2 := r.Plugin.CPU()
			return a + b, errors.Join(err1, err2)
		},
		After: func() error {
			_, err1 := r.Run(context.Background(), "images", "rm", "--sync", "example.com/bench:v1")
			out, err2 := r.Run(context.Background(), "content", "ls", "-q")
			if strings.TrimSpace(out) != "" {
				err2 = errors.Join(err2, fmt.Errorf("content is left: %s", out))
			}
			return errors.Join(err1, err2)
		},
	}
}

func readAll(r io.Reader, hint int64) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, hint*2))
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}
