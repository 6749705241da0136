package regf

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/mullion/mullion/winfs"
)

// filled returns a hive to which keys and values were added after a hint, and how often its
// bins moved.
func filled(t *testing.T, hint int64) (image []byte, moves int) {
	t.Helper()
	h := New(&Options{Clock: func() winfs.Filetime { return 1 }})
	defer h.Close()
	h.Grow(hint)
	at := &h.data[0]
	for i := range 300 {
		k, _, err := h.Root().Create(fmt.Sprintf("key %d", i))
		if err != nil {
			t.Fatal(err)
		}
		if err := k.SetValue("v", RegBinary, make([]byte, 5000)); err != nil {
			t.Fatal(err)
		}
		if now := &h.data[0]; now != at {
			at, moves = now, moves+1
		}
	}
	image, err := h.Image()
	if err != nil {
		t.Fatal(err)
	}
	return image, moves
}

func TestGrow(t *testing.T) {
	plain, often := filled(t, 0)
	for _, hint := range []int64{-1, 4 << 20, 1 << 62} {
		image, moves := filled(t, hint)
		if !bytes.Equal(image, plain) {
			t.Errorf("hint %d changes the hive", hint)
		}
		if hint > 0 && moves != 1 {
			t.Errorf("hint %d: the bins move %d times, want once", hint, moves)
		}
	}
	if often < 3 {
		t.Errorf("without a hint the bins move %d times: the test shows nothing", often)
	}
}

// The remembered depth is that of the key which has the cell now.
func TestCreateDepth(t *testing.T) {
	h := New(nil)
	defer h.Close()
	chain := []Key{h.Root()}
	for {
		k, _, err := chain[len(chain)-1].Create("k")
		if err != nil {
			break
		}
		if got := h.depthOf(k); got != len(chain) || got != k.depth() {
			t.Fatalf("depth %d, want %d", got, len(chain))
		}
		chain = append(chain, k)
	}
	if len(chain) != maxCreateDepth+1 {
		t.Fatalf("%d levels, want %d", len(chain)-1, maxCreateDepth)
	}
	// The deepest key is deleted and its cell given to one at the top.
	if err := chain[len(chain)-1].Delete(); err != nil {
		t.Fatal(err)
	}
	k, _, err := h.Root().Create("x")
	if err != nil {
		t.Fatal(err)
	}
	if k.off != chain[len(chain)-1].off {
		t.Fatal("the cell is not used again: the test shows nothing")
	}
	if got := h.depthOf(k); got != 1 {
		t.Errorf("depth %d, want 1", got)
	}
	if k, err = k.Rename("a much longer name than the one it had before"); err != nil {
		t.Fatal(err)
	}
	if got := h.depthOf(k); got != 1 {
		t.Errorf("depth of the renamed key: %d, want 1", got)
	}
}
