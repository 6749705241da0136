package wintar_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/hostile"
	"github.com/mullion/mullion/wintar"
)

// drain reads entries and streams to the end. The reader has to skip the rest of streams
// larger than a mebibyte. Invalid metadata is an error, as it is to every consumer that
// needs all of an entry.
func drain(r layer.Reader) error {
	buf := make([]byte, 64<<10)
	for {
		e, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if e.Defect != nil {
			return e.Defect
		}
		for {
			s, err := r.NextStream()
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			if s.Size > 1<<20 {
				continue
			}
			if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{r}, buf); err != nil {
				return err
			}
		}
	}
}

// TestHostileReader holds the reader against the corpus, over a source that can
// seek and over one that cannot.
func TestHostileReader(t *testing.T) {
	for _, c := range hostile.Cases() {
		if c.Packed != "" || c.Heavy && os.Getenv("MULLION_LONG") != "1" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			b, err := c.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			for _, src := range []io.Reader{strings.NewReader(string(b)), io.MultiReader(strings.NewReader(string(b)))} {
				r := wintar.NewReader(src)
				err := drain(r)
				switch {
				case err == nil && c.Read == hostile.Refused:
					t.Errorf("%s is accepted", c.What)
				case err != nil && c.Read == hostile.Accepted:
					t.Errorf("%s is refused: %v", c.What, err)
				case err != nil && !strings.Contains(strings.ToLower(err.Error()), c.Entry):
					t.Errorf("the error does not name the entry: %v", err)
				}
				var placed *layer.Error
				if err != nil && !errors.As(err, &placed) {
					t.Errorf("the error is not placed: %v", err)
				}
				if _, again := r.Next(); err != nil && !isDefect(c.Rule) && (again == nil || again.Error() != err.Error()) {
					t.Errorf("after the error the reader says %v", again)
				}
			}
		})
	}
}

// isDefect reports whether a rule is about metadata, after which the reader goes on.
func isDefect(rule string) bool {
	switch rule {
	case wintar.RuleBadRecord.ID, wintar.RuleBadLinkTarget.ID, wintar.RuleTypeMismatch.ID, wintar.RuleUnknownRecord.ID:
		return true
	}
	return false
}

// TestHostileCheck holds Check against the corpus: the rule is found, and nothing
// of the severity error is found where nothing is wrong.
func TestHostileCheck(t *testing.T) {
	for _, c := range hostile.Cases() {
		if c.Packed != "" || c.Heavy && os.Getenv("MULLION_LONG") != "1" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			b, err := c.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			found := false
			var severe []finding.Finding
			for f, err := range wintar.Check(t.Context(), strings.NewReader(string(b))) {
				if err != nil {
					t.Fatal(err)
				}
				found = found || f.Rule == c.Rule
				if f.Severity == finding.Error && len(severe) < 10 {
					severe = append(severe, f)
				}
			}
			if c.Rule != "" && !found {
				t.Errorf("%s: %s is not found, but %v", c.What, c.Rule, severe)
			}
			if c.Rule == "" && len(severe) > 0 && c.Unpack == hostile.Accepted {
				t.Errorf("%s: %v", c.What, severe)
			}
			if c.Read == hostile.Refused && len(severe) == 0 {
				t.Errorf("%s: the reader refuses it and the check finds nothing", c.What)
			}
		})
	}
}
