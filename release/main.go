// Release builds everything that a release of mullion consists of, from the commit that
// is checked out, into one directory:
//
//   - static programs for Linux, macOS and Windows on amd64 and arm64, each in an archive
//     with its man pages, completions and licenses
//   - a bill of materials of each program (CycloneDX), read from the program itself
//   - .deb and .rpm packages for Linux, described by nfpm.yaml
//   - a container image for Linux, as an archive of an OCI layout
//   - SHA256SUMS of all of them
//
// The same commit and the same Go release result in the same bytes, wherever the checkout is:
// times are the commit's, or SOURCE_DATE_EPOCH. The directory is complete or absent.
//
// It is a module of its own, so that nfpm and its dependencies are none of the library.
// scripts/release runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "release:", err)
		}
		os.Exit(1)
	}
}

// A platform is an operating system and an architecture in the words of the go command.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

// platforms are those that a release is built for.
var platforms = []platform{
	{"linux", "amd64"}, {"linux", "arm64"},
	{"darwin", "amd64"}, {"darwin", "arm64"},
	{"windows", "amd64"}, {"windows", "arm64"},
}

// parsePlatforms parses a list such as linux/amd64,windows/arm64. An empty list is all of
// them.
func parsePlatforms(list string) ([]platform, error) {
	if list == "" {
		return platforms, nil
	}
	var out []platform
	for s := range strings.SplitSeq(list, ",") {
		goos, arch, _ := strings.Cut(s, "/")
		p := platform{goos, arch}
		if !slices.Contains(platforms, p) {
			return nil, fmt.Errorf("-platforms: %q is none of %v", s, platforms)
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out, nil
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	out := flags.String("o", "dist", "`directory` to make; it must not exist")
	source := flags.String("source", "..", "`directory` of the checkout")
	list := flags.String("platforms", "", "comma-separated `list` of systems, as in linux/amd64; all six if empty")
	snapshot := flags.Bool("snapshot", false, "build a commit without a tag, and a checkout with changes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	targets, err := parsePlatforms(*list)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(*out); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s exists", *out)
	}
	root, err := filepath.Abs(*source)
	if err != nil {
		return err
	}
	c, err := readCommit(ctx, root, *snapshot)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(filepath.Clean(*out)), ".release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	r := &release{commit: c, root: root, dist: filepath.Join(work, "dist"), stage: filepath.Join(work, "stage"), log: os.Stderr}
	if err := r.build(ctx, targets); err != nil {
		return err
	}
	return os.Rename(r.dist, *out)
}
