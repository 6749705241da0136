package containerdtest

import (
	"os"
	"runtime"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

// actAsMullion has a test program run mullion instead of its tests.
const actAsMullion = "MULLION_TEST_ACT_AS_MULLION"

// Main is for TestMain: it runs the tests, or mullion where the tests of a program
// have started it again as that.
func Main(m *testing.M, mullion func(args []string) int) {
	if os.Getenv(actAsMullion) != "" {
		os.Exit(mullion(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// Start starts a rig for a test, which closes it. flags are those of mullion serve.
// Where containerd cannot run or is not built, the test is skipped; where everything
// is required, it is built, or the test fails.
func Start(tb testing.TB, flags ...string) *Rig {
	tb.Helper()
	Require(tb)
	p := programs(tb)
	r, err := New(tb.Context(), Options{Mullion: []string{Self(tb)}, Env: []string{actAsMullion + "=1"}, Serve: flags, Programs: p})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("containerd:\n%s\nmullion:\n%s", r.Containerd.Tail(), r.Plugin.Tail())
		}
		if err := r.Close(); err != nil {
			tb.Error(err)
		}
	})
	return r
}

// Require skips a test where containerd does not run: it needs Linux, root and FUSE.
func Require(tb testing.TB) {
	tb.Helper()
	if runtime.GOOS != "linux" {
		testenv.Missing(tb, "containerd runs on Linux")
	}
	if os.Geteuid() != 0 {
		testenv.Missing(tb, "containerd needs root")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		testenv.Missing(tb, "views need FUSE: "+err.Error())
	}
}

// Self returns the program that runs.
func Self(tb testing.TB) string {
	tb.Helper()
	name, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	return name
}

// Ctr runs ctr, which must succeed, and returns its output.
func (r *Rig) Ctr(tb testing.TB, args ...string) string {
	tb.Helper()
	out, err := r.Run(tb.Context(), args...)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// Count returns a metric of the plugin.
func (r *Rig) Count(tb testing.TB, name, label string) int {
	tb.Helper()
	v, err := r.Metric(name, label)
	if err != nil {
		tb.Fatal(err)
	}
	return int(v)
}

// programs returns containerd and ctr. A first run of the light tests doesn't wait until
// they are built.
func programs(tb testing.TB) Programs {
	tb.Helper()
	p, there, err := Built()
	if err == nil && !there {
		if !testenv.Required() {
			testenv.Missing(tb, "containerd "+Version+" is not built; make containerd does it")
		}
		p, err = Build(tb.Context())
	}
	if err != nil {
		tb.Fatal(err)
	}
	return p
}
