//go:build unix

package cli

import (
	"bytes"
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
)

// Ctrl-C while standard input hangs in the middle of a layer: status 1, one line, and
// nothing is left, neither of a file nor of a folder.
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
		// A file of which half is there: more than what is read ahead at once.
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
		for range 500 { // until the output has begun
			if entries, _ := os.ReadDir(dir); len(entries) > 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		cmd.Process.Signal(syscall.SIGINT)
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
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.HasPrefix(stderr.String(), "mullion: convert tar:-: interrupted\n") {
			t.Errorf("%s: %v, %q", dst, err, stderr.String())
		}
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("%s left %v", dst, entries)
		}
	}
}

// A sparse file may be longer than anybody would wait for.
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
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("%v, %q", err, stderr.String())
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
