// Command bench measures mullion against named peers and floors in the same run
// and prints tables in Markdown. It is a module of its own so that the peers' modules do
// not weigh on the library's.
//
//	go run . [flags] [layers] [diff] [questions] …   # all areas without a word; -h lists them
//	go run . -image oci:layout:app -other oci:layout:base -runs 1 questions convert
//
// The areas questions and convert measure with the image of -image, which is in an OCI
// layout, or make a small one.
//
// Inputs that must be made or built are in ../.cache/bench and are kept. What needs an
// input that is not there, such as the corpus of hives, is named and left out. A peer that
// is missing or fails is a row of its table; the exit status is 1 only if mullion fails.
package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/mullion/mullion/bench/table"
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
	names, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	cache, err := filepath.Abs(filepath.Join("..", ".cache", "bench"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	fmt.Printf("%s/%s, %d CPUs, %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	return runAreas(names, cache)
}

// options are the flags.
var options struct {
	image, other string // references of images, oci:DIR:TAG, or ""
	hive         string // a hive, or ""
	dir          string // where images are written, or ""
	match        *regexp.Regexp
	cache        string // of the layers, or ""
}

// parse reads the command line: flags and areas in any order. Without areas it returns all.
func parse(args []string) ([]string, error) {
	known := slices.Sorted(maps.Keys(areas))
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&options.image, "image", "", "measure questions and convert with the image `oci:DIR:TAG`, not a small one")
	flags.StringVar(&options.other, "other", "", "compare the image with `oci:DIR:TAG` of the same layout; without, its top layer with those below")
	flags.StringVar(&options.hive, "hive", "", "measure hivequery with `FILE` too")
	flags.StringVar(&options.dir, "dir", "", "write the output of convert and the caches of questions in `DIR`, not in a directory for temporary files")
	flags.IntVar(&table.Rounds, "runs", 0, "count `N` rounds of each group; 1 is one round, without the uncounted one")
	flags.StringVar(&options.cache, "cache", "", "leave out the first times and the floor of questions, and answer from the cache in `DIR`")
	match := flags.String("match", "", "ask only the questions that `REGEXP` matches, such as '^local/inspect' or '^registry/'")
	log := flags.Bool("v", false, "print each run on standard error when it is over")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: go run . [flags] [area…]\n\nareas: %s\n\n", strings.Join(known, " "))
		flags.PrintDefaults()
	}
	var names []string
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if args = flags.Args(); len(args) == 0 {
			break
		}
		if _, ok := areas[args[0]]; !ok {
			return nil, fmt.Errorf("%s: no such area", args[0])
		}
		if !slices.Contains(names, args[0]) {
			names = append(names, args[0])
		}
		args = args[1:]
	}
	var err error
	if options.cache != "" {
		if options.cache, err = filepath.Abs(options.cache); err != nil { // each command has its own directory
			return nil, err
		}
	}
	if options.match, err = regexp.Compile(*match); err != nil {
		return nil, fmt.Errorf("-match: %w", err)
	}
	if *log {
		table.Log = os.Stderr
	}
	if table.Rounds < 0 {
		return nil, fmt.Errorf("-runs %d: it is at least 1", table.Rounds)
	}
	if options.other != "" && options.image == "" {
		return nil, errors.New("-other needs -image")
	}
	if len(names) == 0 {
		names = known
	}
	return names, nil
}
