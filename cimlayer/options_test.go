package cimlayer_test

import (
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/winfs"
)

// TestImageOptions: the image has the version and the GUID of the options, and a fork of
// it that version too. A parent in the options is ignored.
func TestImageOptions(t *testing.T) {
	p := newPlace(t)
	guid := winfs.GUID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	o := cimfs.Options{Version: cimfs.V1, GUID: guid, Parent: "absent.cim"}
	p.mustWrite("base", nil, baseItems(t), cimlayer.WithImageOptions(o))
	p.mustWrite("fork", []string{"base"}, nil)
	for _, name := range []string{"base", "fork"} {
		im, err := cimfs.Open(p.at(name).Images, name+".cim")
		if err != nil {
			t.Fatal(err)
		}
		if im.Version() != cimfs.V1 || (im.GUID() == guid) != (name == "base") {
			t.Errorf("%s: version %v, GUID %v", name, im.Version(), im.GUID())
		}
		im.Close()
	}
}
