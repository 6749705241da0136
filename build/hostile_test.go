package build_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/mullion/mullion/build"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/hostile"
	"github.com/mullion/mullion/wintar"
)

// TestAppendHostile: archives that are made to harm are refused, or become layers that stay
// inside and have nothing that a check would refuse. Nothing is left behind.
func TestAppendHostile(t *testing.T) {
	img := baseImage(t)
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	for _, c := range hostile.Cases() {
		if c.Heavy {
			continue // the same readers meet these in the tests of wintar
		}
		t.Run(c.Name, func(t *testing.T) {
			data, err := c.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			a := assembly(t, img)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			_, err = build.Append(ctx, a, build.AppendOptions{Stdin: bytes.NewReader(data)}, "-")
			if errors.Is(err, context.DeadlineExceeded) {
				t.Fatal("it takes for ever")
			}
			if err != nil {
				if len(a.Layers()) != 1 {
					t.Error("there is a layer after an error")
				}
				return
			}
			b, err := a.Layers()[1].Tar(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			for f, err := range wintar.Check(ctx, b, wintar.HasParents()) {
				if err != nil || f.Severity == finding.Error {
					t.Errorf("it was accepted (%s): %v, %v", c.What, f, err)
				}
			}
		})
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Errorf("%v, %v are left", left, err)
	}
}

// TestAppendMany: memory grows with the names of a source, by no more than is said.
func TestAppendMany(t *testing.T) {
	if testing.Short() {
		t.Skip("many entries")
	}
	n := 200_000
	name := filepath.Join(t.TempDir(), "many.tar")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(f)
	for i := range n {
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("d%d/f%d", i/1000, i), Typeflag: tar.TypeReg, ModTime: time.Unix(1, 0), Format: tar.FormatUSTAR}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	a := assembly(t, baseImage(t))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	l, err := build.Append(t.Context(), a, build.AppendOptions{}, name)
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 400*int64(n)+64<<20 {
		t.Errorf("%d bytes for %d entries", grown, n)
	}
	r, err := l[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	files := 0
	for {
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == layer.File {
			files++
		}
	}
	if files != n {
		t.Errorf("%d files", files)
	}
}

// TestAppendCancelled: a context ends the work, and the assembly stays as it was.
func TestAppendCancelled(t *testing.T) {
	a := assembly(t, baseImage(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := build.Append(ctx, a, build.AppendOptions{}, tarFile(t, tar.Header{Name: "a"})); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := build.Squash(ctx, a, 0, build.SquashOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if len(a.Layers()) != 1 {
		t.Errorf("%d layers", len(a.Layers()))
	}
}
