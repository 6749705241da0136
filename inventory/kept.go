package inventory

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"

	"github.com/mullion/mullion/image"
)

// answerKind names a kept inventory. The number goes up with its form, or with what the
// catalogers find.
const answerKind = "inventory5"

// keptKind is the kind of the answer for a set of options.
func keptKind(key string) string {
	if key == "" {
		return answerKind
	}
	sum := sha256.Sum256([]byte(key))
	return fmt.Sprintf("%sx%x", answerKind, sum[:6])
}

// maxKept is the size in bytes of an inventory that is kept, before compression.
const maxKept = 256 << 20

// kept is an inventory in the cache of an image: compressed, a document in JSON for each
// component and then for each skipped item.
type kept struct {
	Components int
	Skipped    int
	Flate      []byte
}

// keepInventory keeps an inventory in the cache of its image. One that has text that is not
// Unicode is not kept, since it would come back as another.
func keepInventory(img *image.Image, key string, inv *Inventory) {
	k := kept{Components: len(inv.Components), Skipped: len(inv.Skipped)}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		return
	}
	size := 0
	put := func(v any) bool {
		raw, err := json.Marshal(v)
		if err != nil || bytes.Contains(raw, []byte(`\ufffd`)) || bytes.Contains(raw, []byte("\ufffd")) {
			return false
		}
		if size += len(raw); size > maxKept {
			return false
		}
		_, err = w.Write(append(raw, '\n'))
		return err == nil
	}
	for i := range inv.Components {
		if !put(&inv.Components[i]) {
			return
		}
	}
	for i := range inv.Skipped {
		if !put(&inv.Skipped[i]) {
			return
		}
	}
	if w.Close() == nil {
		k.Flate = packed.Bytes()
		img.Keep(keptKind(key), k)
	}
}

// keptInventory returns what keepInventory has kept, nil if there is nothing that can be read.
func keptInventory(img *image.Image, key string) *Inventory {
	var k kept
	if !img.Answer(keptKind(key), &k) {
		return nil
	}
	d := json.NewDecoder(io.LimitReader(flate.NewReader(bytes.NewReader(k.Flate)), 2*maxKept))
	inv := &Inventory{Components: []Component{}}
	for range k.Components {
		var c Component
		if d.Decode(&c) != nil {
			return nil
		}
		inv.Components = append(inv.Components, c)
	}
	for range k.Skipped {
		var s Skipped
		if d.Decode(&s) != nil {
			return nil
		}
		inv.Skipped = append(inv.Skipped, s)
	}
	return inv
}
