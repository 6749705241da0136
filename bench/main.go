// Command bench measures mullion against named peers and floors in the same run
// and prints one table. It is a module of its own so that the peers' modules do
// not weigh on the library's.
//
//	go run . [layers] [diff] [inflate] [hives] [cim] [fuse]   # all of them without a word
//
// Inputs that must be made or built are in ../.cache/bench and are kept. What needs an
// input that is not there, such as the corpus of hives, is named and left out. A peer that
// is missing or fails is a row of its table; the exit status is 1 only if mullion fails.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
)

// area is one family of benchmarks; each file of this package registers one.
type area struct {
	run func(cache string) error
	// exec is work that is measured in a fresh process of this program.
	exec map[string]func(args []string) error
}

var areas = map[string]area{}

func main() {
	if err := do(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func do(args []string) error {
	if len(args) > 1 && args[0] == "exec" {
		for _, a := range areas {
			if f, ok := a.exec[args[1]]; ok {
				return f(args[2:])
			}
		}
		return fmt.Errorf("exec %s: no such work", args[1])
	}
	names := args
	if len(names) == 0 {
		for n := range areas {
			names = append(names, n)
		}
		sort.Strings(names)
	}
	cache, err := filepath.Abs(filepath.Join("..", ".cache", "bench"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	for _, n := range names {
		if _, ok := areas[n]; !ok {
			return fmt.Errorf("%s: no such area", n)
		}
	}
	fmt.Printf("%s/%s, %d CPUs, %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	return runAreas(slices.Compact(names), cache)
}
