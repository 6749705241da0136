package cimlayer_test

import (
	"errors"
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
