package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// A commit is the source of a release.
type commit struct {
	version  string    // of the release: a tag such as v1.2.3, or a pseudo-version
	revision string    // 40 hexadecimal digits
	time     time.Time // SOURCE_DATE_EPOCH, or when it was committed
}

// number is the version without the letter, as packages and file names have it.
func (c commit) number() string { return strings.TrimPrefix(c.version, "v") }

// readCommit describes the commit that is checked out in dir. Its tag is the version. A
// snapshot without a tag gets the pseudo-version that the go command derives from the
// commit, with +dirty after it if the checkout has changes.
func readCommit(ctx context.Context, dir string, snapshot bool) (commit, error) {
	var c commit
	git := func(args ...string) (string, error) {
		return output(ctx, dir, "git", args...)
	}
	var err error
	if c.revision, err = git("rev-parse", "HEAD"); err != nil {
		return c, err
	}
	seconds, err := git("log", "-1", "--format=%ct")
	if err != nil {
		return c, err
	}
	committed, err := parseEpoch(seconds)
	if err != nil {
		return c, err
	}
	c.time = committed
	if s := os.Getenv("SOURCE_DATE_EPOCH"); s != "" {
		if c.time, err = parseEpoch(s); err != nil {
			return c, err
		}
	}
	tags, err := git("tag", "--points-at", "HEAD", "--list", "v*")
	if err != nil {
		return c, err
	}
	for _, t := range strings.Fields(tags) {
		if semver.IsValid(t) && semver.Canonical(t) == t && semver.Compare(t, c.version) > 0 {
			c.version = t
		}
	}
	changes, err := git("status", "--porcelain")
	if err != nil {
		return c, err
	}
	if !snapshot {
		if c.version == "" {
			return c, errors.New("the commit has no tag such as v1.2.3; -snapshot builds it all the same")
		}
		if changes != "" {
			return c, errors.New("the checkout has changes that are not committed; -snapshot builds it all the same")
		}
		return c, nil
	}
	if c.version == "" {
		c.version = module.PseudoVersion("v0", "", committed, c.revision[:12])
	}
	if changes != "" {
		c.version += "+dirty"
	}
	return c, nil
}

func parseEpoch(s string) (time.Time, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 1<<32-1 { // an .rpm has 32 bits for it
		return time.Time{}, fmt.Errorf("%q is no number of seconds since 1970", s)
	}
	return time.Unix(n, 0).UTC(), nil
}

// output runs a program in dir and returns its trimmed standard output.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}
