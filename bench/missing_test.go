package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/mullion/mullion/bench/table"
)

// A failed or missing input ends neither the run nor, if it is only missing, in failure.
func TestRunAreas(t *testing.T) {
	var ran []string
	newArea := func(name string, err error) area {
		return area{run: func(string) error { ran = append(ran, name); return err }}
	}
	bad := errors.New("bad")
	areas["test-1"] = newArea("1", fmt.Errorf("here: %w", &missing{"no corpus"}))
	areas["test-2"] = newArea("2", bad)
	areas["test-3"] = newArea("3", nil)
	defer func() { delete(areas, "test-1"); delete(areas, "test-2"); delete(areas, "test-3") }()
	if err := runAreas([]string{"test-1", "test-2", "test-3"}, ""); !errors.Is(err, bad) || strings.Contains(err.Error(), "corpus") {
		t.Errorf("error %v", err)
	}
	if got := strings.Join(ran, ""); got != "123" {
		t.Errorf("ran %s", got)
	}
	if err := runAreas([]string{"test-1", "test-3"}, ""); err != nil {
		t.Errorf("a missing input is a failure: %v", err)
	}
}

// A peer that fails is a row; our own failure is an error.
func TestPeerIsARow(t *testing.T) {
	fails := func() (*exec.Cmd, error) { return nil, errors.New("crashed") }
	for _, c := range []struct {
		role table.Role
		want bool
	}{{table.Peer, false}, {table.Floor, false}, {table.Ours, true}} {
		var out strings.Builder
		_, err := table.Run(&out, table.Group{Title: "t", Runs: 1, Cases: []table.Case{{Name: "x", Role: c.role, Command: fails}}})
		if (err != nil) != c.want {
			t.Errorf("%s: error %v", c.role, err)
		}
		if !strings.Contains(out.String(), "not run: crashed") {
			t.Errorf("%s: no row:\n%s", c.role, out.String())
		}
	}
	if c := peer(table.Case{}, "no-such-program-here", nil); c.Skip != "not installed" || c.Role != table.Peer {
		t.Errorf("%+v", c)
	}
	if c := peer(table.Case{}, "sh", errors.New("did not build")); c.Skip != "did not build" {
		t.Errorf("%+v", c)
	}
}
