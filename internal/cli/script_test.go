package cli

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"mullion": func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// The scripts in testdata/script are the documentation of the commands by example.
// $HELLO is the example image. Besides what testscript knows there is
//
//	mktar SPEC OUT.tar       make a tar of lines: dir NAME, file NAME [TEXT],
//	                         symlink NAME TARGET, hardlink NAME TARGET
//	damage FILE              flip a bit in the first gzip stream in a file
//	status N mullion ...     run and compare the exit status
//	empty DIR                nothing is in DIR
//	layers DIR               set $LAYER0, $LAYER1, … to the folders of an unpacked image
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("HELLO", "oci-archive:"+filepath.Join(testenv.Root(t), "examples", "hello", "hello.tar"))
			e.Setenv("DOCKER_CONFIG", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"mktar": mktar, "damage": damage, "status": status, "empty": empty, "layers": layers,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

func mktar(ts *testscript.TestScript, _ bool, args []string) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, more, _ := strings.Cut(rest, " ")
		h := &tar.Header{Name: name, Format: tar.FormatPAX, Mode: 0o644}
		switch kind {
		case "dir":
			h.Typeflag = tar.TypeDir
		case "file":
			h.Typeflag, h.Size = tar.TypeReg, int64(len(more))
		case "symlink":
			h.Typeflag, h.Linkname = tar.TypeSymlink, more
		case "hardlink":
			h.Typeflag, h.Linkname = tar.TypeLink, more
		case "":
			continue
		default:
			ts.Fatalf("mktar: %q", line)
		}
		ts.Check(w.WriteHeader(h))
		if h.Size > 0 {
			_, err := w.Write([]byte(more))
			ts.Check(err)
		}
	}
	ts.Check(w.Close())
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b.Bytes(), 0o644))
}

func damage(ts *testscript.TestScript, _ bool, args []string) {
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	at := bytes.Index(b, []byte("\x1f\x8b\x08"))
	if at < 0 {
		ts.Fatalf("%s: no gzip stream", args[0])
	}
	b[at+100] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

func status(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		got = string(rune('0' + exit.ExitCode()))
	} else {
		ts.Check(err)
	}
	if got != args[0] {
		ts.Fatalf("status %s, want %s", got, args[0])
	}
}

func empty(ts *testscript.TestScript, _ bool, args []string) {
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, e := range entries {
		ts.Fatalf("%s is in %s", e.Name(), args[0])
	}
}

func layers(ts *testscript.TestScript, _ bool, args []string) {
	dirs, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "[0-9][0-9]-*"))
	ts.Check(err)
	for i, d := range dirs {
		ts.Setenv(fmt.Sprintf("LAYER%d", i), d)
	}
}
