// Package table runs competing commands in turns and prints one table.
//
// A benchmark is a [Group] of cases that do the same work: ours, the peers', and
// floors that do less on purpose. The cases of a group run interleaved, so that a
// slow spell of the machine falls on all of them, each in a process of its own, so
// that its peak memory can be measured. The first round warms the cache and is not
// counted. The figure is the median.
package table

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
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
}

// Group is a set of cases that do the same work.
type Group struct {
	Title string
	// Items and Bytes size the work for the rates that are printed; 0 for none.
	Items, Bytes int64
	// Runs is the number of counted rounds, 5 if 0.
	Runs  int
	Cases []Case
}

// Result is the measurement of one case.
type Result struct {
	Median, Min, Max time.Duration
	// CPU is the median of processor time, user and system. On a machine with other
	// work it says more than the time that passed.
	CPU     time.Duration
	PeakKiB int64
	Err     error
}

// Run measures a group and prints it to w. A peer or floor that fails is a row, and the
// error is that of our own cases.
func Run(w io.Writer, g Group) ([]Result, error) {
	runs := g.Runs
	if runs == 0 {
		runs = 5
	}
	times := make([][]time.Duration, len(g.Cases))
	cpu := make([][]time.Duration, len(g.Cases))
	results := make([]Result, len(g.Cases))
	for round := range runs + 1 {
		for i := range g.Cases {
			if results[i].Err != nil || g.Cases[i].Skip != "" {
				continue
			}
			d, c, kib, err := once(&g.Cases[i])
			if err != nil {
				results[i].Err = err
				continue
			}
			if round > 0 {
				times[i] = append(times[i], d)
				cpu[i] = append(cpu[i], c)
			}
			results[i].PeakKiB = max(results[i].PeakKiB, kib)
		}
	}
	for i, t := range times {
		if len(t) == 0 {
			continue
		}
		slices.Sort(t)
		slices.Sort(cpu[i])
		results[i].CPU = cpu[i][len(cpu[i])/2]
		results[i].Median, results[i].Min, results[i].Max = t[len(t)/2], t[0], t[len(t)-1]
	}
	print(w, g, runs, results)
	var errs []error
	for i, r := range results {
		if r.Err != nil && g.Cases[i].Role == Ours {
			errs = append(errs, fmt.Errorf("%s: %s: %w", g.Title, g.Cases[i].Name, r.Err))
		}
	}
	return results, errors.Join(errs...)
}

func once(c *Case) (wall, cpu time.Duration, kib int64, err error) {
	if c.Before != nil {
		if err := c.Before(); err != nil {
			return 0, 0, 0, fmt.Errorf("prepare: %w", err)
		}
	}
	cmd, err := c.Command()
	if err != nil {
		return 0, 0, 0, err
	}
	var served time.Duration
	if c.Servers != nil {
		if served, err = c.Servers(); err != nil {
			return 0, 0, 0, err
		}
	}
	var stderr strings.Builder
	if cmd.Stderr == nil {
		cmd.Stderr = &stderr
	}
	start := time.Now()
	err = cmd.Run()
	d := time.Since(start)
	var exit *exec.ExitError
	if errors.As(err, &exit) && slices.Contains(c.OKStatus, exit.ExitCode()) {
		err = nil
	}
	if err != nil {
		text := stderr.String()
		return 0, 0, 0, fmt.Errorf("%w: %s", err, text[:min(len(text), 2000)])
	}
	cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if c.Servers != nil {
		after, err := c.Servers()
		if err != nil {
			return 0, 0, 0, err
		}
		cpu += after - served
	}
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		kib = u.Maxrss
	}
	if c.After != nil {
		err = c.After()
	}
	return d, cpu, kib, err
}

func print(w io.Writer, g Group, runs int, results []Result) {
	fmt.Fprintf(w, "\n%s (median of %d, interleaved)\n", g.Title, runs)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := "case\trole\tmedian\tmin\tmax\tcpu\tpeak MiB"
	if g.Items > 0 {
		head += "\tpeak B/item\titems/s"
	}
	if g.Bytes > 0 {
		head += "\tMB/s"
	}
	fmt.Fprintln(tw, head+"\tmullion is")
	var ours time.Duration
	for i, c := range g.Cases {
		if c.Role == Ours && results[i].Median > 0 {
			ours = results[i].Median
			break
		}
	}
	for i, c := range g.Cases {
		r := results[i]
		if c.Skip != "" || r.Err != nil {
			why := c.Skip
			if r.Err != nil {
				why, _, _ = strings.Cut(r.Err.Error(), "\n")
			}
			fmt.Fprintf(tw, "%s\t%s\tnot run: %s\n", c.Name, c.Role, why)
			continue
		}
		ms := func(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }
		row := fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%.1f", c.Name, c.Role, ms(r.Median), ms(r.Min), ms(r.Max), ms(r.CPU), float64(r.PeakKiB)/1024)
		if g.Items > 0 {
			row += fmt.Sprintf("\t%.0f\t%.0f", float64(r.PeakKiB)*1024/float64(g.Items), float64(g.Items)/r.Median.Seconds())
		}
		if g.Bytes > 0 {
			row += fmt.Sprintf("\t%.0f", float64(g.Bytes)/1e6/r.Median.Seconds())
		}
		if ours > 0 && c.Role != Ours {
			row += fmt.Sprintf("\t%.2fx as fast", r.Median.Seconds()/ours.Seconds())
		} else {
			row += "\t"
		}
		fmt.Fprintln(tw, row)
	}
	tw.Flush()
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
