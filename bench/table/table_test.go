package table

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// cells returns the cells of each line of the table in text, the first line its heads.
func cells(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "|") {
			row := strings.Split(strings.Trim(line, "|"), " | ")
			for i := range row {
				row[i] = strings.TrimSpace(row[i])
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func TestTable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, make([]byte, 3_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	var sent int64
	var runs int
	serve := func() error { runs++; sent += 5_000_000; return nil }
	var out strings.Builder
	results, err := RunAll(&out, "Title", "work", []Group{{
		Title: "a|b", Runs: 2, Moved: func() int64 { return sent }, Memory: 1 << 40, Floor: time.Hour, Bytes: 3e6,
		Cases: []Case{
			{Name: "slow", Role: Ours, Before: serve, Goal: time.Hour, Command: func() (*exec.Cmd, error) {
				sent += 2_000_000
				return exec.Command("sh", "-c", `cat "$0" >/dev/null; sleep 0.05`, file), nil
			}},
			{Name: "quick", Role: Peer, Command: Command("true")},
			{Name: "fails", Role: Peer, Command: Command("false")},
			{Name: "absent", Role: Peer, Skip: "not installed"},
		},
	}, {Title: "c", Runs: 2, Memory: 1, Cases: []Case{{Name: "over", Role: Ours, Goal: 1, Command: Command("true"), Items: 2}}}})
	if err != nil {
		t.Fatal(err)
	}
	if runs != 3 { // one is not counted
		t.Errorf("%d rounds", runs)
	}
	if r := results[0][0]; r.Median < 50*time.Millisecond || r.PeakKiB <= 0 {
		t.Errorf("%+v", r)
	}
	if r := results[0][1]; runtime.GOOS == "linux" && !r.PeakBelow { // true is smaller than this test
		t.Errorf("%+v", r)
	}
	if r := results[0][0]; runtime.GOOS == "linux" && (r.Read < 3_000_000 || r.Read > 3_500_000) {
		t.Errorf("cat has read %d bytes of 3,000,000", r.Read)
	}
	rows := cells(out.String())
	if len(rows) != 7 {
		t.Fatalf("%d lines:\n%s", len(rows), out.String())
	}
	row := func(i int) map[string]string {
		m := map[string]string{}
		for k, head := range rows[0] {
			if k < len(rows[i]) {
				m[head] = rows[i][k]
			}
		}
		return m
	}
	if r := row(2); r["work"] != `a\|b` || r["case"] != "slow" || r["moved MB"] != "0.000" || r["of MiB"] != "1048576.0 ok" || r["wall ×"] != "" || r["goal"] != "3600.0 s ok" {
		t.Errorf("%v", r)
	}
	if r := row(3); r["role"] != "peer" || r["of MiB"] != "" || !strings.HasPrefix(r["wall ×"], "0.") {
		t.Errorf("%v", r)
	}
	if r := row(4); r["wall"] != "not run: exit status 1:" {
		t.Errorf("%v", r)
	}
	if r := row(5); r["wall"] != "not run: not installed" {
		t.Errorf("%v", r)
	}
	if r := row(6); r["of MiB"] != "0.0 over" || !strings.HasSuffix(r["goal"], " over") || r["moved MB"] != "" || r["CPU ms/item"] == "" {
		t.Errorf("%v", r)
	}
	if slices.Contains(rows[0], "items/s") {
		t.Error("a column without figures is printed")
	}
}

// A server's count is of what it sends during the run.
func TestMoved(t *testing.T) {
	var sent int64
	g := Group{Runs: 1, Moved: func() int64 { sent += 7; return sent }, Cases: []Case{{Name: "x", Role: Ours, Command: Command("true")}}}
	r, err := measure(&g)
	if err != nil || r[0].Moved != 7 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestOneRound(t *testing.T) {
	defer func() { Rounds = 0 }()
	Rounds = 1
	n := 0
	g := Group{Cases: []Case{{Name: "x", Role: Ours, Before: func() error { n++; return nil }, Command: Command("true")}}}
	if _, err := measure(&g); err != nil || n != 1 || g.Runs != 1 {
		t.Errorf("%d rounds, %d counted, %v", n, g.Runs, err)
	}
}
