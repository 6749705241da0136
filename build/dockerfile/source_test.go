package dockerfile

import (
	"errors"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

func TestAtOccurrence(t *testing.T) {
	s := &source{name: "D", lines: strings.Split("FROM x\n  RUN a b && `\n    c a; a\n", "\n")}
	at := []parser.Range{{Start: parser.Position{Line: 2}, End: parser.Position{Line: 2}}, {Start: parser.Position{Line: 3}, End: parser.Position{Line: 3}}}
	for _, c := range []struct {
		word         string
		skip         int
		line, column int
	}{
		{"", 0, 2, 3}, {"a", 0, 2, 7}, {"a", 1, 3, 7}, {"a", 2, 3, 10}, {"a", 9, 3, 10}, {"none", 0, 2, 3}, {"c", 0, 3, 5},
	} {
		var e *Error
		if !errors.As(s.atOccurrence(at, c.word, c.skip, errors.New("x")), &e) || e.Line != c.line || e.Column != c.column || e.EndLine != 3 {
			t.Errorf("%q after %d: %v", c.word, c.skip, e)
		}
	}
	if err := s.at(at, "a", nil); err != nil {
		t.Error(err)
	}
}
