package hello

import (
	"bytes"
	"context"
	"debug/pe"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/regf"
)

// The files in the repository are what the generator writes, byte for byte.
func TestReproducible(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "hello.tar")
	if err := errors.Join(Write(t.Context(), out), WriteParts(t.Context(), out, dir)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hello.tar", "base.tar.gz", "SOFTWARE", "Software_Delta"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator writes; run go generate ./examples/hello", name)
		}
	}
}

// What the registry of a container would hold: additions, changes and deletions of
// the delta hives over the base.
func TestRegistry(t *testing.T) {
	img, err := image.Open(t.Context(), "oci-archive:hello.tar")
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	found, err := image.FindHives(t.Context(), img.Sources(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	v, err := found.OSVersion(t.Context())
	if err != nil || v.String() != "10.0.20348.2700" || v.String() != img.Platform().OSVersion {
		t.Errorf("version %v, %v", v, err)
	}
	h, err := found.Open(t.Context(), hives.Software)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	k, err := h.Key(vendorKey)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for v, err := range k.Values() {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, v.Name())
	}
	slices.Sort(names)
	if want := []string{"Added", "Count", "Greeting"}; !slices.Equal(names, want) {
		t.Errorf("values %v, want %v", names, want)
	}
	if _, err := h.Key(`Hello\Application`); err != nil {
		t.Error(err)
	}
	if _, err := h.Key(`Hello\Old`); !errors.Is(err, regf.ErrNotFound) {
		t.Errorf("a deleted key: %v", err)
	}
	env, err := found.Environment(t.Context(), img.Config())
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := env.Get("hello_home"); v != `C:\hello` {
		t.Errorf("HELLO_HOME is %q", v)
	}
}

// The program is one that loaders take. With MULLION_LONG=1, where there is wine, it
// runs.
func TestProgram(t *testing.T) {
	const text = "Hello from a Windows program.\r\n"
	b := program(text)
	f, err := pe.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := f.ImportedSymbols()
	if want := []string{"ExitProcess:KERNEL32.dll", "GetStdHandle:KERNEL32.dll", "WriteFile:KERNEL32.dll"}; err != nil || !slices.Equal(symbols, want) {
		t.Errorf("imports %v, %v", symbols, err)
	}
	if f.Machine != pe.IMAGE_FILE_MACHINE_AMD64 || len(f.Sections) != 2 || len(b) != headerSize+2*sectionSize {
		t.Errorf("machine %#x, %d sections, %d bytes", f.Machine, len(f.Sections), len(b))
	}
	for _, s := range f.Sections {
		if s.VirtualSize > sectionSize {
			t.Errorf("section %s holds %d bytes", s.Name, s.VirtualSize)
		}
	}
	wine, err := exec.LookPath("wine")
	if err != nil || os.Getenv("MULLION_LONG") != "1" { // it takes half a minute to set itself up
		return // every check that needs no wine was made
	}
	dir := t.TempDir()
	exe := filepath.Join(dir, "hello.exe")
	if err := os.WriteFile(exe, b, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, wine, exe)
	cmd.Env = append(os.Environ(), "WINEPREFIX="+filepath.Join(dir, "prefix"), "WINEDEBUG=-all", "DISPLAY=", "WINEDLLOVERRIDES=mscoree,mshtml=")
	out, err := cmd.Output()
	if err != nil || string(out) != text {
		t.Errorf("under wine: %q, %v", out, err)
	}
	// The server of the prefix must not outlive the folder.
	stop := exec.CommandContext(ctx, strings.TrimSuffix(wine, "wine")+"wineserver", "-k", "-w")
	stop.Env = cmd.Env
	stop.Run()
}
