//go:build unix

package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/internal/testenv"
)

// Ctrl-C while standard input hangs in the middle of a layer: status 130, one line, and
// nothing is left, neither of a file nor of a folder, also if the signal comes more than
// once.
func TestInterrupt(t *testing.T) {
	for _, dst := range []string{"tar:", "wclayer:"} {
		dir := t.TempDir()
		cmd := exec.Command("mullion", "convert", "tar:-", dst+filepath.Join(dir, "out"))
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Half of a file, which is more than one read ahead.
		header := make([]byte, 512)
		copy(header, "Files/big\x00")
		copy(header[100:], "0000644\x000000000\x000000000\x0000010000000\x0000000000000\x00        0\x00")
		copy(header[257:], "ustar\x0000")
		sum := 0
		for _, b := range header {
			sum += int(b)
		}
		copy(header[148:], octal(sum))
		go in.Write(append(header, make([]byte, 1<<20)...))
		for range 500 { // until the output has started
			if entries, _ := os.ReadDir(dir); len(entries) > 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		for range 5 { // timeout(1) sends each signal twice
			cmd.Process.Signal(syscall.SIGINT)
			time.Sleep(time.Millisecond)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case err = <-done:
		case <-time.After(20 * time.Second):
			cmd.Process.Kill()
			t.Fatalf("%s does not stop", dst)
		}
		in.Close()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 130 || !strings.HasPrefix(stderr.String(), "mullion: convert tar:-: interrupted\n") {
			t.Errorf("%s: %v, %q", dst, err, stderr.String())
		}
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("%s left %v", dst, entries)
		}
	}
}

// Ctrl-C at any time after the start ends a command that waits for its input, with 130 or,
// before Main has begun, by the signal, which a shell shows as 130 too.
func TestInterruptStart(t *testing.T) {
	for after := time.Duration(0); after <= 60*time.Millisecond; after += 5 * time.Millisecond {
		dir := t.TempDir()
		cmd := exec.Command("mullion", "convert", "tar:-", "tar:"+filepath.Join(dir, "out"))
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		time.Sleep(after)
		cmd.Process.Signal(syscall.SIGINT)
		err = cmd.Wait()
		kill.Stop()
		in.Close()
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Errorf("after %v: %v", after, err)
			continue
		}
		ended := exit.Sys().(syscall.WaitStatus)
		if ended.ExitStatus() != 130 && (!ended.Signaled() || ended.Signal() != syscall.SIGINT) {
			t.Errorf("after %v: %v", after, err)
		}
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("after %v: left %v", after, entries)
		}
	}
}

// A sparse file may be too long to read to its end.
func TestInterruptCIM(t *testing.T) {
	dir := t.TempDir()
	w, err := cimfs.Create(dir, "a.cim", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := errors.Join(w.AddFile("hole", &cimfs.Meta{Hole: true}, 1<<47), w.Commit()); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("mullion", "cim", "cat", filepath.Join(dir, "a.cim"), "hole")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer stuck.Stop()
	if _, err := io.CopyN(io.Discard, out, 1<<20); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	io.Copy(io.Discard, out)
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("%v, %q", err, stderr.String())
	}
}

// After Ctrl-C, no command reads, prints or creates anything more.
func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	hello := "oci-archive:" + filepath.Join(testenv.Root(t), "examples", "hello", "hello.tar")
	mullion := func(ctx context.Context, args ...string) (status int, stdout, stderr string) {
		var out, errs bytes.Buffer
		status = run(ctx, args, strings.NewReader(""), &out, &errs)
		return status, out.String(), errs.String()
	}
	if err := os.Mkdir("new", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"copy", hello, "oci:layout"},
		{"unpack", hello, "store"},
		{"cat", hello, `Hives\SOFTWARE_BASE`, "-o", "hive"},
		{"cim", "create", "layout", "plain.cim"},
	} {
		if status, _, stderr := mullion(t.Context(), args...); status != 0 {
			t.Fatal(args, stderr)
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, args := range [][]string{
		{"inspect", hello}, {"ls", hello}, {"check", hello}, {"osversion", hello}, {"env", hello}, {"sbom", hello}, {"updates", hello},
		{"build", "--build-context", "hello=" + hello, "-o", "oci:new/built", filepath.Join(testenv.Root(t), "examples", "build")},
		{"ls", "cim:plain.cim"}, {"check", "cim:plain.cim"}, {"convert", "cim:plain.cim", "tar:new/plain.tar"},
		{"hive", "query", "hive"}, {"hive", "dump", "hive"}, {"hive", "export", "hive"},
		{"cim", "info", "plain.cim"}, {"cim", "check", "plain.cim"}, {"cim", "ls", "plain.cim"},
		{"cim", "rewrite", "plain.cim", "new/plain.cim"}, {"cim", "extract", "plain.cim", "new/plain"},
		{"cim", "create", "layout", "new/again.cim"},
	} {
		status, stdout, stderr := mullion(stopped, args...)
		if status != 130 || stdout != "" || !strings.HasSuffix(stderr, ": interrupted\n") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: status %d, %q, %q", args, status, stdout, stderr)
		}
	}
	if left, _ := os.ReadDir("new"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// When the reader exits early, the command ends without a message or a temporary file.
func TestClosedPipe(t *testing.T) {
	dir := t.TempDir()
	hello := "oci-archive:" + filepath.Join(testenv.Root(t), "examples", "hello", "hello.tar")
	hive, nothing, temp := filepath.Join(dir, "hive"), filepath.Join(dir, "nothing.cim"), filepath.Join(dir, "temp")
	if err := os.Mkdir(temp, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"cat", hello, `Hives\SYSTEM_BASE`, "-o", hive}, {"cim", "create", temp, nothing}} {
		if out, err := exec.Command("mullion", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	for _, args := range [][]string{
		{"ls", "-R", hello}, {"inspect", hello}, {"osversion", hello}, {"env", "--json", hello}, {"sbom", hello}, {"updates", hello},
		{"cat", hello, "Files/License.txt"}, {"cat", hello, `Hives\SYSTEM_BASE`},
		{"diff", "--registry", "--layer", "0", hello, "cim:" + nothing},
		{"hive", "dump", hive}, {"hive", "query", hive}, {"hive", "export", hive}, {"version"},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		var stderr bytes.Buffer
		cmd := exec.Command("mullion", args...)
		cmd.Stdout, cmd.Stderr, cmd.Env = w, &stderr, append(os.Environ(), "TMPDIR="+temp)
		err = cmd.Run()
		w.Close()
		if status := cmd.ProcessState.ExitCode(); status != 141 {
			t.Errorf("%v: %v", args, err)
		}
		if stderr.Len() > 0 {
			t.Errorf("%v: %s", args, &stderr)
		}
		if left, _ := os.ReadDir(temp); len(left) > 0 {
			t.Errorf("%v left %v", args, left)
		}
	}
}

// The first result on a terminal ends progress for good.
func TestProgressEnds(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		c := &console{err: io.Discard}
		c.out = &results{ctx: t.Context(), c: c, w: io.Discard, terminal: terminal}
		if err := c.printf("result\n"); err != nil {
			t.Fatal(err)
		}
		if c.noBars != terminal {
			t.Errorf("terminal %v: bars have ended: %v", terminal, c.noBars)
		}
	}
}

// octal is a checksum field.
func octal(n int) string {
	s := "000000"
	b := []byte(s)
	for i := 5; i >= 0; i-- {
		b[i] = byte('0' + n&7)
		n >>= 3
	}
	return string(b) + "\x00 "
}
