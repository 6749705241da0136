// Package table runs competing commands in turns and prints one table, in Markdown.
//
// A benchmark is a [Group] of cases that do the same work: ours, the peers', and
// floors that do less on purpose. The cases of a group run interleaved, so that a
// slow spell of the machine falls on all of them, each in a process of its own, so
// that its peak memory can be measured. The first round warms the cache of the system
// and is not counted, unless there is only one. The figure is the median.
//
// The columns are
//
//   - wall, min, max: the time that passed: the median, the shortest, the longest;
//   - CPU: processor time of the command and its children, user and system;
//   - peak MiB: the largest resident set of one process. On Linux that of a child begins with
//     that of this process, so that less than that is not told from it: "<22";
//   - of MiB: what a group allows for it, and whether a case of mullion kept to it;
//   - read MB: what read calls returned to the command and its children (Linux), from
//     files, pipes and connections, whether it came from the disk or from its cache;
//     what a process maps into its memory isn't in it;
//   - moved MB: what the server sent, with the headers;
//   - wall ×, CPU ×: the row divided by the first row of mullion of its group;
//   - CPU/floor: the processor time divided by that of the group's floor.
package table

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Role is the part of a case in the comparison.
type Role string

// The roles.
const (
	Ours  Role = "mullion"
	Peer  Role = "peer"
	Floor Role = "floor"
)

// Case is one command that does the work of its group.
type Case struct {
	Name string
	Role Role
	// Command makes the command of one run. Its standard output is thrown away
	// unless it is set; standard error is shown when the command fails.
	Command func() (*exec.Cmd, error)
	// Before and After, if set, prepare and clean up each run; they are not timed.
	Before, After func() error
	// Servers, if set, returns the processor time spent so far by the processes that
	// work for the case besides its command.
	Servers func() (time.Duration, error)
	// OKStatus lists exit statuses besides 0 that mean success (reged exits 2).
	OKStatus []int
	// Skip, if not empty, says why the case cannot run here; it is printed.
	Skip string
	// Items sizes the work of a case where those of a group differ; 0 for none.
	Items int64
	// Goal is the time within which the shortest run is to be over; 0 for none.
	Goal time.Duration
}

// Group is a set of cases that do the same work.
type Group struct {
	Title string
	// Items and Bytes size the work for the rates that are printed; 0 for none.
	Items, Bytes int64
	// Runs is the number of counted rounds, 5 if 0. See [Rounds].
	Runs  int
	Cases []Case
	// Moved, if set, returns how many bytes servers have sent so far.
	Moved func() int64
	// Memory is the peak in bytes that cases of mullion may have; 0 for any.
	Memory int64
	// Floor is the processor time of a floor that was measured before; 0 for none.
	Floor time.Duration
}

// Rounds, if not 0, is the number of counted rounds of every group. If it is 1, the
// uncounted round is left out.
var Rounds int

// Log, if set, gets a line for each run of a case, when it is over.
var Log io.Writer

// Result is the measurement of one case.
type Result struct {
	// Median, Min and Max are times that passed.
	Median, Min, Max time.Duration
	// CPU is the median of processor time, user and system. On a machine with other
	// work it says more than the time that passed.
	CPU     time.Duration
	PeakKiB int64
	// PeakBelow reports that the peak is not known but is at most PeakKiB, which is that of
	// this process.
	PeakBelow bool
	// Read and Moved are bytes, medians; -1 if unknown.
	Read, Moved int64
	Err         error
}

// sample is the measurement of one run.
type sample struct {
	wall, cpu        time.Duration
	kib, read, moved int64
	below            bool
}

// Run measures a group and prints it to w. A peer or floor that fails is a row, and the
// error is that of our own cases.
func Run(w io.Writer, g Group) ([]Result, error) {
	results, err := measure(&g)
	print(w, g.Title, "", []Group{g}, [][]Result{results})
	return results, err
}

// RunAll measures groups one after the other and prints one table, whose first column,
// headed what, is the title of the group.
func RunAll(w io.Writer, title, what string, groups []Group) ([][]Result, error) {
	var errs []error
	results := make([][]Result, len(groups))
	for i := range groups {
		var err error
		results[i], err = measure(&groups[i])
		errs = append(errs, err)
	}
	print(w, title, what, groups, results)
	return results, errors.Join(errs...)
}

// measure runs the cases of a group, whose Runs it sets.
func measure(g *Group) ([]Result, error) {
	warm := 1
	if g.Runs == 0 {
		g.Runs = 5
	}
	if Rounds != 0 {
		if g.Runs = Rounds; Rounds == 1 {
			warm = 0
		}
	}
	samples := make([][]sample, len(g.Cases))
	results := make([]Result, len(g.Cases))
	for round := range g.Runs + warm {
		for i := range g.Cases {
			if results[i].Err != nil || g.Cases[i].Skip != "" {
				continue
			}
			s, err := once(&g.Cases[i], g.Moved)
			if Log != nil {
				fmt.Fprintf(Log, "%s: %s: wall %s, CPU %s, %.1f MiB", g.Title, g.Cases[i].Name, duration(s.wall), duration(s.cpu), float64(s.kib)/1024)
				if err != nil {
					fmt.Fprintf(Log, ": %v", err)
				}
				fmt.Fprintln(Log)
			}
			if err != nil {
				results[i].Err = err
				continue
			}
			if round >= warm {
				samples[i] = append(samples[i], s)
			}
			if s.kib > results[i].PeakKiB {
				results[i].PeakKiB, results[i].PeakBelow = s.kib, s.below
			}
		}
	}
	var errs []error
	for i, s := range samples {
		r := &results[i]
		if len(s) > 0 {
			r.Median, r.Min, r.Max = medianOf(s, func(s sample) time.Duration { return s.wall })
			r.CPU, _, _ = medianOf(s, func(s sample) time.Duration { return s.cpu })
			r.Read, _, _ = medianOf(s, func(s sample) int64 { return s.read })
			r.Moved, _, _ = medianOf(s, func(s sample) int64 { return s.moved })
		}
		if r.Err != nil && g.Cases[i].Role == Ours {
			errs = append(errs, fmt.Errorf("%s: %s: %w", g.Title, g.Cases[i].Name, r.Err))
		}
	}
	return results, errors.Join(errs...)
}

func medianOf[T cmp.Ordered](samples []sample, of func(sample) T) (median, least, most T) {
	values := make([]T, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2], values[0], values[len(values)-1]
}

func once(c *Case, moved func() int64) (s sample, err error) {
	if c.Before != nil {
		if err := c.Before(); err != nil {
			return s, fmt.Errorf("prepare: %w", err)
		}
	}
	cmd, err := c.Command()
	if err != nil {
		return s, err
	}
	var served time.Duration
	if c.Servers != nil {
		if served, err = c.Servers(); err != nil {
			return s, err
		}
	}
	var stderr strings.Builder
	if cmd.Stderr == nil {
		cmd.Stderr = &stderr
	}
	s.moved = -1
	if moved != nil {
		s.moved = -moved()
	}
	forgetPeak()
	start := time.Now()
	var own int64
	if err = cmd.Start(); err == nil {
		own = peakOfThis()
		s.read = readBytes(cmd.Process.Pid)
		err = cmd.Wait()
	}
	s.wall = time.Since(start)
	var exit *exec.ExitError
	if errors.As(err, &exit) && slices.Contains(c.OKStatus, exit.ExitCode()) {
		err = nil
	}
	if err != nil {
		text := strings.TrimSpace(stderr.String())
		return s, fmt.Errorf("%w: %s", err, text[:min(len(text), 2000)])
	}
	if moved != nil {
		s.moved += moved()
	}
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if c.Servers != nil {
		after, err := c.Servers()
		if err != nil {
			return s, err
		}
		s.cpu += after - served
	}
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		if s.kib = u.Maxrss; runtime.GOOS == "darwin" { // where it is in bytes
			s.kib /= 1024
		}
		s.below = s.kib <= own
	}
	if c.After != nil {
		err = c.After()
	}
	return s, err
}

// Self returns a command that runs this program again with the words given, for
// work that is measured in a fresh process of our own (see main.go, "exec").
func Self(words ...string) func() (*exec.Cmd, error) {
	return func() (*exec.Cmd, error) {
		exe, err := os.Executable()
		if err != nil {
			return nil, err
		}
		return exec.Command(exe, append([]string{"exec"}, words...)...), nil
	}
}

// Command returns a constructor for a fixed command line.
func Command(name string, args ...string) func() (*exec.Cmd, error) {
	return func() (*exec.Cmd, error) { return exec.Command(name, args...), nil }
}
