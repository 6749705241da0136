package regf

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/mullion/mullion/finding"
)

// checked returns the findings of a whole check, which nothing may stop.
func checked(h *Hive) []finding.Finding {
	found, err := finding.Collect(h.Check(context.Background()))
	if err != nil {
		panic(err)
	}
	return found
}

func serious(found []finding.Finding) []finding.Finding {
	var out []finding.Finding
	for _, f := range found {
		if f.Severity >= finding.Warning {
			out = append(out, f)
		}
	}
	return out
}

func requireClean(t testing.TB, h *Hive) {
	t.Helper()
	if f := serious(checked(h)); len(f) > 0 {
		t.Fatalf("%d findings, first: %v", len(f), f[:min(5, len(f))])
	}
}

// imperfect lists genuine hives outside the manifest's damaged ones that break a
// rule, and the rule.
var imperfect = map[string]string{
	"msuhanov_yarp/DuplicateSubkeysHive":                  "nk-duplicate", // made so
	"msuhanov_yarp/WrongOrderHive":                        "list-order",   // made so
	"msuhanov_yarp/NewDirtyHive1/RecoveredHive_Windows10": "cell-leak",    // keys deleted by replaying a log
}

// Healthy genuine hives keep every invariant, damaged ones do not.
func TestCheckCorpus(t *testing.T) {
	for _, g := range corpus(t) {
		t.Run(g.name, func(t *testing.T) {
			h, err := Open(g.path, &Options{Mode: Report, AllowDirty: true})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			found := serious(checked(h))
			if rule := imperfect[g.name]; rule != "" {
				for _, f := range found {
					if f.Rule != rule {
						t.Errorf("unexpected %v", f)
					}
				}
				if len(found) == 0 {
					t.Errorf("rule %s is kept", rule)
				}
				return
			}
			if g.damaged() != (len(found) > 0) && !g.dirty() {
				t.Errorf("damaged %v, findings %d: %v", g.damaged(), len(found), found[:min(4, len(found))])
			}
		})
	}
}

// Open, save, check finds nothing, second save produces the same bytes.
func TestSaveCorpus(t *testing.T) {
	for _, g := range corpus(t) {
		t.Run(g.name, func(t *testing.T) {
			h, err := Open(g.path, &Options{Mode: Report, AllowDirty: true, EditDirty: true})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			first, err := h.Compact(nil)
			if err != nil {
				t.Fatal(err)
			}
			s, err := OpenBytes(first, nil)
			if err != nil {
				t.Fatal(err)
			}
			requireClean(t, s)
			keys, values, err := count(s)
			if err != nil {
				t.Fatal(err)
			}
			if (keys != g.keys || values != g.values) && !g.damaged() && imperfect[g.name] != "nk-duplicate" {
				t.Errorf("%d keys and %d values, want %d and %d", keys, values, g.keys, g.values)
			}
			second, err := s.Compact(nil)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first, second) {
				t.Errorf("second save differs at %#x", firstDifference(first, second))
			}
		})
	}
}

// TestCheckCancelled: a cancelled check ends with the error of its context and without
// findings, which would be those of a part of the hive.
func TestCheckCancelled(t *testing.T) {
	h := New(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if found, err := finding.Collect(h.Check(ctx)); !errors.Is(err, context.Canceled) || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := finding.Collect(h.Check(t.Context())); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
