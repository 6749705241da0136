package overlay

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/mullion/mullion/layer"
)

const (
	victimDir  = "MULLION_TEST_VICTIM_DIR"
	victimSeed = "MULLION_TEST_VICTIM_SEED"
	victimOps  = 400
)

// victim makes the script that the process to be killed runs.
func victim(t *testing.T, dir string, seed uint64) (*script, *memLower) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 11))
	m := randomModel(t, r)
	lower := m.lower()
	tr, err := Open(dir, lower, &Options{KeepJournal: true})
	if err != nil {
		t.Fatal(err)
	}
	return &script{r: r, tr: tr, m: m}, lower
}

// TestVictim runs until it is killed, for the sake of TestKilled. It says with a byte
// that an operation is done.
func TestVictim(t *testing.T) {
	dir := os.Getenv(victimDir)
	if dir == "" {
		return
	}
	seed, err := strconv.ParseUint(os.Getenv(victimSeed), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := victim(t, dir, seed)
	for range victimOps {
		if what, problem := s.step(); problem != "" {
			t.Fatalf("%s: %s", what, problem)
		}
		s.checkOpen(t)
		os.Stdout.Write([]byte{'.'})
	}
	io.Copy(io.Discard, os.Stdin) // until it is killed
}

// A process that is killed at any moment leaves a tree that opens, and has all completed
// operations: the one in progress is done, not done, or, if it was writing content, done in
// part.
func TestKilled(t *testing.T) {
	rounds := 8
	if long() {
		rounds = 200
	}
	r := rand.New(rand.NewPCG(uint64(rounds), 5))
	for round := range rounds {
		killed(t, uint64(round), 1+r.IntN(victimOps-1))
	}
}

func killed(t *testing.T, seed uint64, after int) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestVictim$")
	cmd.Env = append(os.Environ(), victimDir+"="+dir, fmt.Sprintf("%s=%d", victimSeed, seed))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, after)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	done := after + strings.Count(string(rest), ".")

	// The same operations in a process that lives.
	s, lower := victim(t, t.TempDir(), seed)
	defer s.tr.Close()
	for range done {
		if what, problem := s.step(); problem != "" {
			t.Fatalf("%s: %s", what, problem)
		}
		s.checkOpen(t)
	}
	tr, err := Open(dir, lower, nil)
	if err != nil {
		t.Fatalf("after %d operations: %v", done, err)
	}
	defer tr.Close()
	got, before := viewLayer(t, tr), viewLayer(t, s.tr)
	missing := differ(t, before, got, layer.AspectTimes)
	if missing == "" {
		return
	}
	if done < victimOps {
		s.step()
		s.checkOpen(t)
		if differ(t, viewLayer(t, s.tr), got, layer.AspectTimes) == "" {
			return
		}
	}
	list, err := layer.Diff(context.Background(), before, got, layer.IgnoreAspects(layer.AspectTimes))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 1 && list[0].Kind == layer.Changed && list[0].What&^(layer.AspectContent|layer.AspectSize) == 0 &&
		strings.HasPrefix(s.log[len(s.log)-1], "write") {
		return
	}
	t.Errorf("after %d operations, the next being %q:\n%s", done, s.log[len(s.log)-1], missing)
}
