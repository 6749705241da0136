package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A linked module is one whose code is in a program.
type linked struct {
	path, version string
	sum           string // of the go command, "h1:" and base64
}

// linkedModules reads from a program which modules it is made of, sorted by path.
func linkedModules(program string) ([]linked, string, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, "", err
	}
	var list []linked
	for _, m := range info.Deps {
		if m.Replace != nil {
			return nil, "", fmt.Errorf("%s: module %s is replaced", program, m.Path)
		}
		list = append(list, linked{m.Path, m.Version, m.Sum})
	}
	slices.SortFunc(list, func(a, b linked) int { return strings.Compare(a.path, b.path) })
	return list, info.GoVersion, nil
}

func (r *release) notices(p platform) string {
	return filepath.Join(filepath.Dir(r.program(p)), "NOTICES")
}

// writeNotices collects the licenses of all modules in the program for p, and of Go's
// standard library: a program that is given away must come with them. A module
// without a license is an error.
func (r *release) writeNotices(ctx context.Context, p platform) ([]linked, error) {
	modules, goVersion, err := linkedModules(r.program(p))
	if err != nil {
		return nil, err
	}
	args := []string{"mod", "download", "-json"}
	for _, m := range modules {
		args = append(args, m.path+"@"+m.version)
	}
	dirs := map[string]string{}
	if len(modules) > 0 {
		out, err := output(ctx, r.root, "go", args...)
		if err != nil {
			return nil, err
		}
		for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
			var m struct{ Path, Dir string }
			if err := d.Decode(&m); err != nil {
				return nil, err
			}
			dirs[m.Path] = m.Dir
		}
	}
	goroot, err := output(ctx, r.root, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("mullion is licensed under the Apache License 2.0, see LICENSE. The program also contains\nthe modules below, under the licenses that follow each of them.\n")
	if err := appendLicenses(&b, "The Go standard library "+goVersion, goroot, filepath.Dir(goroot)); err != nil {
		return nil, err
	}
	for _, m := range modules {
		if err := appendLicenses(&b, m.path+" "+m.version, dirs[m.path]); err != nil {
			return nil, err
		}
	}
	return modules, os.WriteFile(r.notices(p), b.Bytes(), 0o644)
}

// appendLicenses appends the licenses in the first of the directories that has any.
func appendLicenses(b *bytes.Buffer, title string, dirs ...string) error {
	for _, dir := range dirs {
		if dir == "" {
			return fmt.Errorf("%s: its source is not there", title)
		}
		entries, err := os.ReadDir(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		found := false
		for _, e := range entries {
			if !e.Type().IsRegular() || !isLicense(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return err
			}
			fmt.Fprintf(b, "\n%s\n%s: %s\n\n%s\n", strings.Repeat("=", 80), title, e.Name(), bytes.TrimSpace(text))
			found = true
		}
		if found {
			return nil
		}
	}
	return fmt.Errorf("%s: no license found", title)
}
