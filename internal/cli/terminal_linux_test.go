package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mullion/mullion/internal/testenv"
	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal. Programs write to tty; what they have written is in out
// after close.
type terminal struct {
	tty  *os.File
	host *os.File
	out  bytes.Buffer
	done chan struct{}
}

func openTerminal(t *testing.T, columns, rows uint16) *terminal {
	t.Helper()
	host, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals: ", err)
	}
	fd := int(host.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows})
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{tty: tty, host: host, done: make(chan struct{})}
	go func() {
		defer close(x.done)
		b := make([]byte, 4096)
		for {
			n, err := host.Read(b)
			x.out.Write(b[:n])
			if err != nil { // EIO when the other side is closed
				return
			}
		}
	}()
	return x
}

// close returns what was written, with the line breaks of the program.
func (x *terminal) close(t *testing.T) string {
	t.Helper()
	if err := x.tty.Close(); err != nil {
		t.Fatal(err)
	}
	<-x.done
	x.host.Close()
	return strings.ReplaceAll(x.out.String(), "\r\n", "\n")
}

// onTerminal runs a command line with results and messages on a terminal of 80 columns.
func onTerminal(t *testing.T, line string) (string, int) {
	t.Helper()
	x := openTerminal(t, 80, 24)
	status := run(t.Context(), strings.Fields(line), strings.NewReader(""), x.tty, x.tty)
	return x.close(t), status
}

var sgr = regexp.MustCompile(`\x1b\[[0-9;]*m`)

func TestTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	t.Setenv("CLICOLOR_FORCE", "")
	hello := "oci-archive:" + filepath.Join(testenv.Root(t), "examples", "hello", "hello.tar")
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		line   string
		status int
		want   string // regular expression
	}{
		{"ls -l $HELLO Files/hello", exitDone, `(?m)^A----- f +36 B 2024-09-10 18:00 hosts$`},
		{"ls -l $HELLO Files", exitDone, "\x1b\\[1;34mhello\x1b\\[0m"},
		{"inspect $HELLO", exitDone, "2.2 KiB"},
		{"inspect --layers $HELLO", exitDone, `(?m)^0 +76\.5 KiB`},
		{"cat $HELLO Files/hello/hello.txt", exitDone, "Hello"},
		{"cat $HELLO Files/Windows/System32/hello.exe", exitFailed, `not written to a terminal\n.*hint:.* -o FILE`},
		{"convert $HELLO-is-no-layer tar:x", exitFailed, "\x1b\\[1;31mmullion:\x1b\\[0m"},
		{"unpack $HELLO store", exitDone, `store: 2 layers, 2 of them new, [0-9.]+ KiB read in [0-9.]+ s\n$`},
		{"unpack --quiet $HELLO store2", exitDone, `\.cim\n$`},
		{"copy $HELLO oci:layout:v1", exitDone, `oci:layout:v1: [0-9]+ blobs, [0-9.]+ KiB in [0-9.]+ s\n$`},
		{"extract $HELLO Files/hello out", exitDone, `out: [0-9]+ files, [0-9.]+ (B|KiB) in [0-9.]+ s\n$`},
		{"cim create out out.cim", exitDone, `out.cim: [0-9]+ files, [0-9.]+ (B|KiB) in [0-9.]+ s\n$`},
		{"sbom $HELLO", exitDone, `(?m)^Windows: 1$`},
		{"hive new -o H", exitDone, ""},
		{"hive export H", exitDone, "^Windows Registry Editor Version 5.00"},
		{"hive merge -h", exitDone, "Usage:"},
	} {
		out, status := onTerminal(t, strings.ReplaceAll(c.line, "$HELLO", hello))
		if status != c.status {
			t.Errorf("%s: status %d, %q", c.line, status, out)
		}
		if !regexp.MustCompile(c.want).MatchString(strings.TrimPrefix(out, "\uFEFF")) {
			t.Errorf("%s: %q does not match %q", c.line, out, c.want)
		}
		if strings.ContainsAny(out, "\x00\ufffd") {
			t.Errorf("%s: binary on a terminal: %q", c.line, out)
		}
		for line := range strings.Lines(out) {
			text := strings.TrimSuffix(sgr.ReplaceAllString(line, ""), "\n")
			// References and digests are not cut, because they are copied.
			long := strings.Contains(text, hello) || regexp.MustCompile("[0-9a-f]{64}").MatchString(text)
			if n := utf8.RuneCountInString(up.ReplaceAllString(text, "")); n > 80 && !long {
				t.Errorf("%s: a line of %d columns: %q", c.line, n, text)
			}
		}
	}
	if out, _ := onTerminal(t, "hive export H"); strings.Contains(out, "\x1b") {
		t.Errorf("%q", out)
	}
	t.Setenv("NO_COLOR", "1")
	if out, _ := onTerminal(t, "ls "+hello+" Files"); strings.Contains(out, "\x1b") {
		t.Errorf("NO_COLOR: %q", out)
	}
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	if out, _ := onTerminal(t, "ls "+hello+" Files"); strings.Contains(out, "\x1b") {
		t.Errorf("TERM=dumb: %q", out)
	}
	t.Setenv("CLICOLOR_FORCE", "1")
	var piped, messages bytes.Buffer
	if run(t.Context(), []string{"ls", hello, "Files"}, strings.NewReader(""), &piped, &messages); !strings.Contains(piped.String(), "\x1b[1;34mhello\x1b[0m") {
		t.Errorf("CLICOLOR_FORCE: %q", &piped)
	}
}

// The session in README.md is what a terminal of 80 columns shows.
func TestReadmeSession(t *testing.T) {
	root := testenv.Root(t)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(readme), "```console\n")
	session, _, closed := strings.Cut(text, "```\n")
	if !found || !closed {
		t.Fatal("README.md has no session")
	}
	image, err := os.ReadFile(filepath.Join(root, "examples", "hello", "hello.tar"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NO_COLOR", "1")
	t.Setenv(cacheEnv, filepath.Join(t.TempDir(), "cache"))
	t.Chdir(t.TempDir())
	if err := os.WriteFile("hello.tar", image, 0o600); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	commands := 0
	for line := range strings.Lines(session) {
		words, is := strings.CutPrefix(line, "$ mullion ")
		if !is {
			continue
		}
		commands++
		got.WriteString(line)
		x := openTerminal(t, 80, 24)
		status := run(t.Context(), splitWords(strings.TrimSpace(words)), strings.NewReader(""), x.tty, x.tty)
		out := x.close(t)
		if status != exitDone && status != exitFound {
			t.Errorf("%s: status %d", line, status)
		}
		got.WriteString(out)
	}
	if commands < 5 {
		t.Errorf("the session has %d commands", commands)
	}
	if got.String() != session {
		t.Errorf("the terminal shows\n%s", &got)
	}
}
