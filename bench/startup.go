package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mullion/mullion/bench/table"
)

func init() { areas["startup"] = area{run: benchStartup} }

// benchStartup measures how long programs take to say what version they are, and lists the
// packages whose initialisers mullion waits for.
func benchStartup(cache string) error {
	mullion, nothing := filepath.Join(cache, "mullion"), filepath.Join(cache, "nothing")
	if err := build("..", mullion, "./cmd/mullion"); err != nil {
		return err
	}
	if err := build(".", nothing, "./testdata/nothing"); err != nil {
		return err
	}
	says := func(program string, args ...string) table.Case {
		return peer(table.Case{Name: strings.Join(append([]string{program}, args...), " "), Command: table.Command(program, args...)}, program, nil)
	}
	_, err := table.Run(os.Stdout, table.Group{Title: "Start-up; the goal is 10 ms of CPU", Runs: 31, Cases: []table.Case{
		{Name: "mullion version", Role: table.Ours, Command: table.Command(mullion, "version")},
		{Name: "mullion --help", Role: table.Ours, Command: table.Command(mullion, "--help")},
		{Name: "a Go program that ends at once", Role: table.Floor, Command: table.Command(nothing)},
		says("crane", "version"), says("skopeo", "--version"), says("dive", "--version"),
	}})
	if err != nil {
		return err
	}
	return printInitialisers(os.Stdout, mullion)
}

var initialiserLine = regexp.MustCompile(`^init (\S+) @\S+ ms, (\S+) ms clock,`)

// printInitialisers runs "mullion version" twenty times and prints the longest of the
// initialisers, each at its shortest, which no load of the machine makes longer.
func printInitialisers(w io.Writer, mullion string) error {
	const runs, rows = 20, 10
	shortest := map[string]float64{}
	for range runs {
		cmd := exec.Command(mullion, "version")
		cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
		var trace bytes.Buffer
		cmd.Stderr = &trace
		if err := cmd.Run(); err != nil {
			return err
		}
		for line := range strings.Lines(trace.String()) {
			m := initialiserLine.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			ms, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				return err
			}
			if old, ok := shortest[m[1]]; !ok || ms < old {
				shortest[m[1]] = ms
			}
		}
	}
	if len(shortest) == 0 {
		return fmt.Errorf("%s traces no initialisers", mullion)
	}
	var sum float64
	for _, ms := range shortest {
		sum += ms
	}
	names := slices.SortedFunc(maps.Keys(shortest), func(a, b string) int {
		return cmp.Or(cmp.Compare(shortest[b], shortest[a]), strings.Compare(a, b))
	})
	fmt.Fprintf(w, "\n### Initialisers of mullion version: %.2f ms in %d packages\n\nshortest of %d\n\n| package | ms |\n| --- | ---: |\n", sum, len(names), runs)
	for _, n := range names[:min(rows, len(names))] {
		fmt.Fprintf(w, "| %s | %.3f |\n", n, shortest[n])
	}
	return nil
}
