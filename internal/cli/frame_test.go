package cli

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// screen is a terminal that breaks long lines anew when its width changes.
type screen struct {
	columns, rows int
	lines         []string // the cursor is at the start of the line after the last
}

// height returns the rows that a line takes.
func (s *screen) height(line string) int { return 1 + max(0, len(line)-1)/s.columns }

var up = regexp.MustCompile(`^\x1b\[(\d+)A\x1b\[J`)

func (s *screen) Write(p []byte) (int, error) {
	text := string(p)
	for text != "" {
		if m := up.FindStringSubmatch(text); m != nil {
			n, _ := strconv.Atoi(m[1])
			for n > 0 && len(s.lines) > 0 {
				last := s.lines[len(s.lines)-1]
				h := s.height(last)
				if h > n { // the lower rows of a broken line
					s.lines[len(s.lines)-1] = last[:(h-n)*s.columns]
					break
				}
				n -= h
				s.lines = s.lines[:len(s.lines)-1]
			}
			text = text[len(m[0]):]
			continue
		}
		line, rest, found := strings.Cut(text, "\n")
		if !found || strings.Contains(line, "\x1b") {
			return 0, fmt.Errorf("unexpected output %q", text)
		}
		s.lines = append(s.lines, line)
		text = rest
	}
	return len(p), nil
}

// The bars stay in place while the terminal changes its size and messages appear, and
// nothing of them is left in the end.
func TestFrame(t *testing.T) {
	s := &screen{columns: 80, rows: 24}
	f := &frame{w: s, size: func() (int, int) { return s.columns, s.rows }, open: true}
	draw := func(last, now int, width int) {
		t.Helper()
		text := ""
		if last > 0 {
			text = fmt.Sprintf("\x1b[%dA\x1b[J", last)
		}
		for i := range now {
			text += strings.Repeat(strconv.Itoa(i%10), width) + "\n"
		}
		if n, err := f.Write([]byte(text)); err != nil || n != len(text) {
			t.Fatal(n, err)
		}
	}
	check := func(want ...string) {
		t.Helper()
		if len(want) != len(s.lines) {
			t.Fatalf("%d lines are on the screen, want %d: %q", len(s.lines), len(want), s.lines)
		}
		for i := range want {
			if s.lines[i] != want[i] {
				t.Errorf("line %d: %q, want %q", i, s.lines[i], want[i])
			}
		}
	}
	row := func(i, n int) string { return strings.Repeat(strconv.Itoa(i), n) }
	s.lines = []string{"$ mullion"}
	draw(0, 2, 78)
	check("$ mullion", row(0, 78), row(1, 78))
	s.columns = 30 // each row takes three rows now
	draw(2, 2, 78)
	check("$ mullion", row(0, 29), row(1, 29))
	if _, err := f.above([]byte("warning: x\n")); err != nil {
		t.Fatal(err)
	}
	check("$ mullion", "warning: x")
	s.columns = 100
	draw(2, 3, 78)
	check("$ mullion", "warning: x", row(0, 78), row(1, 78), row(2, 78))
	s.rows = 3 // no more rows than can be gone over again
	draw(3, 3, 78)
	check("$ mullion", "warning: x", row(1, 78), row(2, 78))
	s.columns = 20
	f.end()
	check("$ mullion", "warning: x")
	draw(2, 2, 78) // after the end nothing is drawn
	check("$ mullion", "warning: x")
}
