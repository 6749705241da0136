package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/mullion/mullion/bench/table"
)

// missing is the error for inputs that this machine does not have. What needs them is left
// out, which is no failure.
type missing struct{ what string }

func (m *missing) Error() string { return m.what }

// runAreas runs areas one after the other. A failed one does not end the run.
func runAreas(names []string, cache string) error {
	var errs []error
	for _, n := range names {
		err := areas[n].run(cache)
		var m *missing
		switch {
		case errors.As(err, &m):
			fmt.Printf("\n%s: left out: %v\n", n, m)
		case err != nil:
			fmt.Printf("\n%s: failed: %v\n", n, err)
			errs = append(errs, fmt.Errorf("%s: %w", n, err))
		}
	}
	return errors.Join(errs...)
}

// why returns what a program that failed wrote to standard error, or the error.
func why(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		first, _, _ := strings.Cut(strings.TrimSpace(string(exit.Stderr)), "\n")
		return first
	}
	return err.Error()
}

// memoryDir is where files are in memory, so that the disk has no say: MULLION_BENCH_DIR,
// or /dev/shm, or the directory for temporary files on systems without it.
func memoryDir() string {
	if dir := os.Getenv("MULLION_BENCH_DIR"); dir != "" {
		return dir
	}
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

// peer is a case that is left out where its program is not installed, or if it could
// not be built, which is what failed says.
func peer(c table.Case, program string, failed error) table.Case {
	c.Role = table.Peer
	if failed != nil {
		c.Skip = failed.Error()
	} else if _, err := exec.LookPath(program); err != nil {
		c.Skip = "not installed"
	}
	return c
}
