package cimlayer_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/mullion/mullion/cimlayer"
)

// A layer is read with the directories on the way to what it changes, although their
// entries say the same as those of the parent, and without the others: Windows imports no
// file whose directories have no entries before it.
func TestAncestorsAreListed(t *testing.T) {
	p := newPlace(t)
	p.mustWrite("base", nil, append(baseItems(t), dir(`Files\deep`), dir(`Files\deep\er`)))
	p.mustWrite("fork", []string{"base"}, []item{dir(`Files`), dir(`Files\deep`), dir(`Files\deep\er`), file(`Files\deep\er\new`, "new")})
	r, err := cimlayer.Open(p.at("fork"), p.chain("base"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got []string
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Path)
	}
	if want := []string{`Files`, `Files\deep`, `Files\deep\er`, `Files\deep\er\new`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A reader of a fork reads the directories that have changed and no others: the tables
// that the fork shares with its parent lead to nothing new.
func TestSharedDirectoriesAreNotRead(t *testing.T) {
	p := newPlace(t)
	base := baseItems(t)
	for d := range 20 {
		base = append(base, dir(fmt.Sprintf(`Files\many%d`, d)))
		for n := range 100 {
			base = append(base, file(fmt.Sprintf(`Files\many%d\f%d`, d, n), "content"))
		}
	}
	p.mustWrite("base", nil, base)
	p.mustWrite("fork", []string{"base"}, []item{dir(`Files`), dir(`Files\many3`), file(`Files\many3\new`, "new")})
	r, err := cimlayer.Open(p.at("fork"), p.chain("base"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got []string
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Path)
	}
	if want := []string{`Files`, `Files\many3`, `Files\many3\new`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	// Twice the 101 names of one directory of 20, and the names of the root, of Files
	// and of the directories with hives.
	if n := r.Visited(); n < 202 || n > 600 {
		t.Errorf("the reader visited %d names of more than 2,000", n)
	}
}
