package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mullion/mullion/bench/table"
	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/fusefs"
)

func init() {
	areas["fuse"] = area{run: benchFUSE, exec: map[string]func([]string) error{"mount": mountCIM}}
}

// benchFUSE archives a mounted layer and the same files unpacked, with GNU tar, from
// the same file system. A pipe follows, because tar does not read files that it would
// write to /dev/null. In the first case the kernel knows nothing of the mount, in the second
// it has read it before, as it has the plain files.
func benchFUSE(string) error {
	work, err := os.MkdirTemp(memoryDir(), "mullion-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	var errs []error
	for _, in := range []struct {
		title       string
		files, size int
	}{
		{"100,000 files of 3,000 bytes", 100_000, 3000},
		{"16 files of 64 MiB", 16, 64 << 20},
	} {
		errs = append(errs, benchView(work, in.title, in.files, in.size))
	}
	return errors.Join(errs...)
}

func benchView(work, title string, files, size int) error {
	tar, plain, images := filepath.Join(work, "layer.tar"), filepath.Join(work, "plain"), filepath.Join(work, "images")
	for _, dir := range []string{plain, images} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	if err := makeTar(tar, files, size); err != nil {
		return err
	}
	if err := createCIM([]string{tar, filepath.Join(images, "layer.cim")}); err != nil {
		return err
	}
	if out, err := exec.Command("tar", "-C", plain, "-xf", tar).CombinedOutput(); err != nil {
		return fmt.Errorf("tar: %w: %s", err, out)
	}
	if err := os.Remove(tar); err != nil {
		return err
	}
	fresh, again := newMounted(images, work+"/fresh"), newMounted(images, work+"/again")
	if err := again.start(); err != nil {
		return err
	}
	defer again.stop()
	archive := func(dir string) func() (*exec.Cmd, error) {
		return table.Command("sh", "-c", `tar -C "$0" -cf - Files | cat`, dir)
	}
	results, err := table.Run(os.Stdout, table.Group{
		Title: "tar c of a mounted layer, " + title, Items: int64(files), Bytes: int64(files) * int64(size), Runs: 5,
		Cases: []table.Case{
			{Name: "plain files", Role: table.Floor, Command: archive(plain)},
			{
				Name: "mounted just now", Role: table.Ours, Command: archive(fresh.dir),
				Before: fresh.start, After: fresh.stop, Servers: fresh.cpu,
			},
			{Name: "mounted and read before", Role: table.Ours, Command: archive(again.dir), Servers: again.cpu},
		},
	})
	if err != nil {
		return err
	}
	for i, name := range []string{"just now", "and read before"} {
		fmt.Printf("mounted %s: %.0f%% of the speed of plain files\n", name, 100*float64(results[0].Median)/float64(results[i+1].Median))
	}
	return nil
}

// mounted is an image that a process of its own shows.
type mounted struct {
	images, dir string
	cmd         *exec.Cmd
	in          io.Closer
}

func newMounted(images, dir string) *mounted { return &mounted{images: images, dir: dir} }

func (m *mounted) start() error {
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		return err
	}
	cmd, err := table.Self("mount", m.images, m.dir)()
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	m.cmd, m.in = cmd, in
	if _, err := out.Read(make([]byte, 1)); err != nil {
		return errors.Join(fmt.Errorf("mount: %w", err), m.stop())
	}
	return nil
}

func (m *mounted) stop() error {
	if m.cmd == nil {
		return nil
	}
	cmd := m.cmd
	m.cmd = nil
	return errors.Join(m.in.Close(), cmd.Wait(), os.Remove(m.dir))
}

// cpu is the processor time of the process, in ticks of 10 ms.
func (m *mounted) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat is too short")
	}
	var total time.Duration
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(n) * 10 * time.Millisecond
	}
	return total, nil
}

// mountCIM shows the image layer.cim of the directory a[0] at a[1] until its standard
// input ends. It says with a byte on its standard output that it does.
func mountCIM(a []string) error {
	im, err := cimfs.Open(a[0], "layer.cim")
	if err != nil {
		return err
	}
	defer im.Close()
	s, err := fusefs.Mount(a[1], fusefs.CimTree(im), nil)
	if err != nil {
		return err
	}
	if _, err := os.Stdout.Write([]byte{'.'}); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	if err := s.Unmount(); err != nil {
		return err
	}
	s.Wait()
	return nil
}
