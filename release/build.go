package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

const modulePath = "github.com/mullion/mullion"

// A release is being built. dist becomes the result; stage holds its inputs.
type release struct {
	commit
	root, dist, stage string
	log               io.Writer
}

// stem returns the common prefix of the names of the files for p.
func (r *release) stem(p platform) string {
	return fmt.Sprintf("mullion_%s_%s_%s", r.number(), p.os, p.arch)
}

// program returns the path of the built program for p.
func (r *release) program(p platform) string {
	name := "mullion"
	if p.os == "windows" {
		name += ".exe"
	}
	return filepath.Join(r.stage, p.os+"_"+p.arch, name)
}

func (r *release) build(ctx context.Context, targets []platform) error {
	for _, dir := range []string{r.dist, r.stage} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, p := range targets {
		fmt.Fprintf(r.log, "building %s %s\n", r.version, p)
		if err := r.compile(ctx, p); err != nil {
			return err
		}
	}
	if err := r.generate(ctx); err != nil {
		return err
	}
	var linux []platform
	for _, p := range targets {
		fmt.Fprintf(r.log, "packing %s\n", p)
		modules, err := r.writeNotices(ctx, p)
		if err != nil {
			return err
		}
		if err := r.writeSBOM(p, modules); err != nil {
			return err
		}
		if err := r.writeArchive(p); err != nil {
			return err
		}
		if p.os != "linux" {
			continue
		}
		linux = append(linux, p)
		for _, format := range []string{"deb", "rpm"} {
			if err := r.writePackage(p, format); err != nil {
				return fmt.Errorf("%s for %s: %w", format, p, err)
			}
		}
	}
	if len(linux) > 0 {
		if err := r.writeImage(linux); err != nil {
			return fmt.Errorf("container image: %w", err)
		}
	}
	return r.writeSums()
}

// compile builds the program for p. Nothing of this machine gets into it: no path, no
// build ID, no C library.
func (r *release) compile(ctx context.Context, p platform) error {
	ldflags := fmt.Sprintf("-s -w -buildid= -X %[1]s/internal/cli.version=%[2]s -X %[1]s/internal/cli.revision=%[3]s",
		modulePath, r.version, r.revision)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", ldflags, "-o", r.program(p), "./cmd/mullion")
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), "GOOS="+p.os, "GOARCH="+p.arch, "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off",
		"GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("build for %s: %w\n%s", p, err, out)
	}
	return nil
}

// completions are the shells that the program writes completions for, and the names of
// the files.
var completions = map[string]string{"bash": "mullion.bash", "zsh": "_mullion", "fish": "mullion.fish", "powershell": "mullion.ps1"}

// generate has the program write its man pages and completions, which are the same for
// every platform. If it was not built for this machine, it is built and run by the go
// command.
func (r *release) generate(ctx context.Context) error {
	name, args := r.program(platform{runtime.GOOS, runtime.GOARCH}), []string{}
	if _, err := os.Stat(name); err != nil {
		name, args = "go", []string{"run", "./cmd/mullion"}
	}
	if _, err := output(ctx, r.root, name, append(args, "man", filepath.Join(r.stage, "man"))...); err != nil {
		return err
	}
	dir := filepath.Join(r.stage, "completions")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for shell, file := range completions {
		text, err := output(ctx, r.root, name, append(args, "completion", shell)...)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// writeSums writes SHA256SUMS in the form that sha256sum -c reads, sorted by name.
func (r *release) writeSums() error {
	entries, err := os.ReadDir(r.dist)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, e := range entries {
		f, err := os.Open(filepath.Join(r.dist, e.Name()))
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", h.Sum(nil), e.Name())
	}
	return os.WriteFile(filepath.Join(r.dist, "SHA256SUMS"), []byte(sums.String()), 0o644)
}
