//go:build linux || darwin

package wclayer

import (
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer/layertest"
)

// The child of TestKill writes the same layer until it is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("WCLAYER_KILL_CHILD"); path != "" {
		killChild(path)
	}
	os.Exit(m.Run())
}

func killChild(path string) {
	l := killLayer()
	os.Stdout.WriteString("go")
	for {
		w, err := Create(path, nil, WithSync(SyncNone))
		if err == nil {
			if err = write(w, l); err == nil {
				err = w.Commit()
			}
			w.Close()
		}
		if err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		if err = os.RemoveAll(path + ".old"); err == nil {
			err = os.Rename(path, path+".old")
		}
		if err != nil {
			os.Exit(1)
		}
	}
}

func killLayer() *layertest.Layer {
	return layertest.Random(8, layertest.Shape{Entries: 60, Base: true, MaxSize: 20_000})
}

// TestKill kills a process that writes, at random moments: what stands at the
// destination is complete, and the next run cleans up.
func TestKill(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "layer")
	rounds := 25
	if os.Getenv("MULLION_LONG") == "1" {
		rounds = 300
	}
	leftovers, complete := 0, 0
	for range rounds {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "WCLAYER_KILL_CHILD="+path)
		started, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// How long a process takes to start must not decide when it dies.
		if _, err := io.ReadFull(started, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(90)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			if publish.IsTemp(e.Name(), "") {
				leftovers++
			}
		}
		if _, err := os.Stat(path); err == nil {
			complete++
			readAll(t, path, len(killLayer().Items))
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	w, err := Create(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if publish.IsTemp(e.Name(), "") {
			t.Errorf("not cleaned up: %s", e.Name())
		}
	}
	if leftovers == 0 {
		t.Error("no run was killed while it wrote")
	}
	t.Logf("%d leftovers, %d complete layers", leftovers, complete)
}

// readAll reads a layer with every byte and counts its entries.
func readAll(t *testing.T, path string, want int) {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Close()
	n := 0
	for {
		_, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Error(err)
			return
		}
		n++
		for {
			if _, err := r.NextStream(); err == io.EOF {
				break
			} else if err != nil {
				t.Error(err)
				return
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Error(err)
				return
			}
		}
	}
	if n != want {
		t.Errorf("%d entries, want %d", n, want)
	}
}
