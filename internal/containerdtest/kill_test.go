package containerdtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/proxy"
	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/containerd"
	"github.com/mullion/mullion/internal/containerdtest"
)

// patience is how long a busy machine may take until all is as it should be.
const patience = 30 * time.Second

// number reads a number from the environment.
func number(t *testing.T, name string, def int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return def
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// The plugin, containerd or both are killed at random moments of imports, mounts and
// removals. Whatever was interrupted: after a restart every committed snapshot has a
// whole image, the metadata and the disk agree, and ctr goes on. scripts/kill-test
// does it 200 times; MULLION_SEED repeats a run.
func TestKill(t *testing.T) {
	t.Parallel()
	kills, seed := number(t, "MULLION_KILLS", 8), number(t, "MULLION_SEED", 1)
	k := &killer{t: t, r: containerdtest.Start(t), rng: rand.New(rand.NewPCG(uint64(seed), 0))}
	base := baseLayer(t, numbered("base", 400)...)
	shared := windowsLayer(t, numbered("shared", 400)...)
	for i := range 3 {
		own := windowsLayer(t, append(numbered(fmt.Sprint("own", i), 100), file{`Files\which.txt`, fmt.Sprint(i)}, file{`-Files\base\007.txt`, ""})...)
		format := []blob.Format{blob.Gzip, blob.Zstd, blob.Gzip}[i]
		k.files = append(k.files, archive(t, windowsImage(format, base, shared, own)))
	}
	for n := range kills {
		k.round(n)
		if t.Failed() {
			t.Fatalf("round %d with seed %d\ncontainerd:\n%s\nmullion:\n%s", n, seed, k.r.Containerd.Tail(), k.r.Plugin.Tail())
		}
	}
	k.report(kills, seed)
	k.end()
}

// killer is a run of kills.
type killer struct {
	t     *testing.T
	r     *containerdtest.Rig
	rng   *rand.Rand
	files []string // of the images 0, 1, 2

	killed   [3]int // plugin, containerd, both
	ops      map[string]*outcome
	images   int             // CIMs that were checked
	restarts []time.Duration // until both listened again

	recovered []time.Duration // until an import was through
	again     int             // imports that had to be tried again
}

type outcome struct{ done, failed int }

// name is that of an image, the same as its file's number.
func (k *killer) name(i int) string { return fmt.Sprintf("example.com/image%d:v1", i) }

// operation picks something to interrupt.
func (k *killer) operation() (what string, run func(ctx context.Context) error) {
	i := k.rng.IntN(len(k.files))
	importArgs := k.importArgs(i)
	switch k.rng.IntN(7) {
	case 0, 1:
		return "import", func(ctx context.Context) error { return k.ctr(ctx, importArgs...) }
	case 2:
		return "import --local", func(ctx context.Context) error {
			return k.ctr(ctx, slices.Insert(importArgs, 2, "--local")...)
		}
	case 3, 4:
		return "remove", func(ctx context.Context) error {
			return k.ctr(ctx, "images", "rm", "--sync", k.name(i))
		}
	case 6:
		return "mount", func(ctx context.Context) error { return k.look(ctx, i) }
	}
	return "import and remove", func(ctx context.Context) error {
		if err := k.ctr(ctx, importArgs...); err != nil {
			return err
		}
		return k.ctr(ctx, "images", "rm", "--sync", k.name(i))
	}
}

// look mounts an image and reads all of it, until the plugin is killed below it.
func (k *killer) look(ctx context.Context, i int) error {
	dir, err := os.MkdirTemp(k.t.TempDir(), "look")
	if err != nil {
		return err
	}
	defer exec.Command("umount", "-l", dir).Run() // also what an interrupted ctr has mounted
	if err := k.ctr(ctx, "images", "mount", "--platform", containerdtest.Platform, "--snapshotter", containerdtest.Snapshotter, k.name(i), dir); err != nil {
		return err
	}
	return exec.CommandContext(ctx, "tar", "-C", dir, "-cf", "/dev/null", ".").Run()
}

func (k *killer) importArgs(i int) []string {
	return append(append([]string{"images", "import", "--base-name", fmt.Sprintf("example.com/image%d", i)}, importFlags...), k.files[i])
}

func (k *killer) ctr(ctx context.Context, args ...string) error {
	_, err := k.r.Run(ctx, args...)
	return err
}

// round interrupts two operations that run beside each other, restarts what was
// killed, and looks at what is there.
func (k *killer) round(n int) {
	if k.ops == nil {
		k.ops = map[string]*outcome{}
	}
	ctx, cancel := context.WithTimeout(k.t.Context(), 2*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	interrupted, stop := context.WithCancel(ctx)
	defer stop()
	for range 2 {
		what, run := k.operation()
		wg.Go(func() {
			err := run(interrupted)
			mu.Lock()
			defer mu.Unlock()
			if k.ops[what] == nil {
				k.ops[what] = &outcome{}
			}
			if err == nil {
				k.ops[what].done++
			} else {
				k.ops[what].failed++
			}
		})
	}
	time.Sleep(time.Duration(k.rng.Int64N(int64(700 * time.Millisecond))))
	target := k.rng.IntN(3)
	k.killed[target]++
	if target != 0 {
		k.check(k.r.Containerd.Kill())
	}
	if target != 1 {
		k.check(k.r.Plugin.Kill())
	}
	begin := time.Now()
	// Either may be back first.
	order := []*containerdtest.Process{&k.r.Plugin, &k.r.Containerd}
	if n%2 == 1 {
		slices.Reverse(order)
	}
	for _, p := range order {
		if !p.Running() {
			k.check(p.Start(ctx))
		}
	}
	k.restarts = append(k.restarts, time.Since(begin))
	// A client whose containerd was killed may wait for ever.
	if target != 0 {
		stop()
	}
	wg.Wait()
	k.agree(ctx)
	// And ctr goes on: at once; or when containerd, which has seen its plugin away, next
	// tries to connect, for which it waits up to three seconds (defaults of its proxy
	// plugins); or at the second try, when the collector of a containerd that has just
	// started took a blob that the import counted on.
	i := k.rng.IntN(len(k.files))
	for {
		err := k.ctr(ctx, k.importArgs(i)...)
		if err == nil {
			break
		}
		transient := strings.Contains(err.Error(), "connection error") ||
			strings.Contains(err.Error(), "content digest sha256:") && strings.Contains(err.Error(), ": not found")
		if !transient || time.Since(begin) > patience {
			k.t.Fatal(err)
		}
		k.again++
		time.Sleep(50 * time.Millisecond)
	}
	k.recovered = append(k.recovered, time.Since(begin))
	if got := mountImage(k.t, k.r, k.name(i), "Files/which.txt"); got != fmt.Sprint(i) {
		k.t.Errorf("image %d reads %q", i, got)
	}
}

func (k *killer) check(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

// agree compares what the plugin says with what is on its disk, and checks every
// image there.
func (k *killer) agree(ctx context.Context) {
	k.t.Helper()
	// Requests of containerd that were under way may still be served; what they make
	// is not there yet, or not gone yet. So look until two looks agree with the disk.
	var problems []string
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(100 * time.Millisecond) {
		if problems = k.compare(ctx); len(problems) == 0 {
			break
		}
	}
	for _, p := range problems {
		k.t.Error(p)
	}
	dir := filepath.Join(k.r.Root, "cim-layers")
	images, err := filepath.Glob(filepath.Join(dir, "*.cim"))
	k.check(err)
	for _, name := range images {
		findings, err := finding.Collect(cimfs.Check(context.Background(), dir, filepath.Base(name), cimfs.CheckOptions{}))
		if _, gone := os.Stat(name); errors.Is(gone, fs.ErrNotExist) {
			continue // the collector has taken it meanwhile
		}
		if err != nil || len(findings) > 0 {
			k.t.Errorf("%s: %v, %v", filepath.Base(name), findings, err)
		}
		k.images++
	}
}

// compare lists where metadata and disk differ.
func (k *killer) compare(ctx context.Context) (problems []string) {
	conn, err := containerd.Dial(k.r.Plugin.Socket)
	k.check(err)
	defer conn.Close()
	sn := proxy.NewSnapshotter(snapshotsapi.NewSnapshotsClient(conn), containerdtest.Snapshotter)
	metadata, committed := 0, 0
	k.check(sn.Walk(ctx, func(_ context.Context, i snapshots.Info) error {
		metadata++
		if i.Kind == snapshots.KindCommitted {
			committed++
		}
		return nil
	}))
	dirs, err := os.ReadDir(filepath.Join(k.r.Root, "snapshots"))
	k.check(err)
	if len(dirs) != metadata {
		problems = append(problems, fmt.Sprintf("%d snapshots in the metadata, %d on disk: %v", metadata, len(dirs), dirs))
	}
	// The layers that snapshots need, and the layers that are there.
	needed := map[string]bool{}
	records := 0
	for _, d := range dirs {
		b, err := os.ReadFile(filepath.Join(k.r.Root, "snapshots", d.Name(), "layer"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		k.check(err)
		var record struct{ Layers []string }
		if err := json.Unmarshal(b, &record); err != nil {
			problems = append(problems, fmt.Sprintf("snapshot %s: %v", d.Name(), err))
		}
		records++
		for _, l := range record.Layers {
			needed[strings.TrimPrefix(l, "sha256:")] = true
		}
	}
	if records < committed {
		problems = append(problems, fmt.Sprintf("%d committed snapshots, %d records of layers", committed, records))
	}
	there := map[string]bool{}
	for _, pattern := range []string{"cim-layers/*.cim", "layers/*"} {
		names, err := filepath.Glob(filepath.Join(k.r.Root, pattern))
		k.check(err)
		found := map[string]bool{}
		for _, n := range names {
			found[strings.TrimSuffix(filepath.Base(n), ".cim")] = true
		}
		for n := range found {
			there[n] = true
			if !needed[n] {
				problems = append(problems, fmt.Sprintf("nothing needs %s of layer %.12s", pattern, n))
			}
		}
		for n := range needed {
			if !found[n] {
				problems = append(problems, fmt.Sprintf("%s of layer %.12s is missing", pattern, n))
			}
		}
	}
	return problems
}

// report prints what the run was.
func (k *killer) report(kills, seed int) {
	k.t.Logf("%d kills with seed %d: the plugin %d times, containerd %d times, both %d times", kills, seed, k.killed[0], k.killed[1], k.killed[2])
	var names []string
	for n := range k.ops {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		k.t.Logf("%s: %d came to their end, %d were cut off", n, k.ops[n].done, k.ops[n].failed)
	}
	middle := func(d []time.Duration) string {
		slices.Sort(d)
		return fmt.Sprintf("%v in the middle, %v at most", d[len(d)/2].Round(time.Millisecond), d[len(d)-1].Round(time.Millisecond))
	}
	k.t.Logf("%d images checked, all whole; metadata and disk agreed every time", k.images)
	k.t.Logf("restarts took %s; the next import was through after %s, %d times not at the first try", middle(k.restarts), middle(k.recovered), k.again)
}

// end removes everything, also what the leases of interrupted imports still hold.
func (k *killer) end() {
	for _, l := range strings.Fields(k.r.Ctr(k.t, "leases", "ls", "-q")) {
		k.r.Ctr(k.t, "leases", "rm", "--sync", l)
	}
	for _, m := range mountsBelow(k.t, os.TempDir()) {
		if strings.Contains(m, k.t.Name()) {
			exec.Command("umount", "-l", m).Run()
		}
	}
	removeImages(k.t, k.r)
	empty(k.t, k.r)
}
