package arch

import (
	"bytes"
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

// slowInitialisers are the packages whose initialiser may take more than
// maxInitialiser, with the reason. Every command pays for them, mullion version
// included.
var slowInitialisers = map[string]string{}

// maxInitialiser is in milliseconds.
const maxInitialiser = 1.0

// avoided are packages that the program does not link, because their initialisers cost
// more than what the one command that would use them needs.
var avoided = map[string]string{
	"github.com/prometheus/client_golang/prometheus": "it registers collectors and reads all metrics of the runtime; snapshotter/serve uses VictoriaMetrics/metrics",
	"github.com/russross/blackfriday/v2":             "its tables are for man pages in Markdown; internal/cli writes roff",
}

var initLine = regexp.MustCompile(`^init (\S+) @\S+ ms, (\S+) ms clock, (\d+) bytes, (\d+) allocs$`)

// initialisers runs a program and returns the time in milliseconds that the initialiser
// of each package took.
func initialisers(t *testing.T, program string, args ...string) map[string]float64 {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace bytes.Buffer
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, trace.Bytes())
	}
	times := map[string]float64{}
	for line := range strings.Lines(trace.String()) {
		m := initLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		ms, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		times[m[1]] = ms
	}
	return times
}

// TestInitialisers names each package that delays every command. The time of a package is
// the shortest of many runs, which no load of the machine makes longer than it is; -v
// prints the longest ones.
func TestInitialisers(t *testing.T) {
	program := filepath.Join(t.TempDir(), "mullion.exe")
	build := exec.Command("go", "build", "-o", program, "./cmd/mullion")
	build.Dir = testenv.Root(t)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const runs = 20
	best := initialisers(t, program, "version")
	for range runs - 1 {
		for pkg, ms := range initialisers(t, program, "version") {
			best[pkg] = min(best[pkg], ms)
		}
	}
	if _, ok := best["runtime"]; !ok || len(best) < 50 {
		t.Fatalf("the trace has %d packages", len(best))
	}
	var sum float64
	names := make([]string, 0, len(best))
	for pkg, ms := range best {
		sum += ms
		names = append(names, pkg)
		if why, ok := avoided[pkg]; ok {
			t.Errorf("the program links %s: %s", pkg, why)
		}
		if _, ok := slowInitialisers[pkg]; !ok && ms > maxInitialiser {
			t.Errorf("initialising %s takes %.2f ms: every command waits for it", pkg, ms)
		}
	}
	for pkg := range slowInitialisers {
		if _, ok := best[pkg]; !ok {
			t.Errorf("%s has a row but is not linked", pkg)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(best[b], best[a]), strings.Compare(a, b))
	})
	t.Logf("%.2f ms in %d packages", sum, len(best))
	for _, pkg := range names[:min(15, len(names))] {
		t.Logf("%6.3f ms %s", best[pkg], pkg)
	}
}
