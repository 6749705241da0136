package hives

import (
	"errors"
	"fmt"

	"github.com/mullion/mullion/layer"
)

// ErrBaseDelta says that a base layer has a delta hive, which has nothing to apply to.
var ErrBaseDelta = errors.New("a base layer has no delta hives")

// Place tells what an entry of a layer is to the registry of the image. It is the one
// rule of which files make that registry, for those who unpack a layer, look into one or
// check it:
//
//   - In a base layer the files in the config directory are the hives.
//   - In a layer with parents they are files like others, and Hives holds deltas. In a base
//     layer a delta is ErrBaseDelta.
//   - What unpacking makes, Hives\SYSTEM_BASE and its siblings, is no part of any layer
//     that comes as a sequence of entries. A layer that could bring it would replace the
//     registry of the layers below: it is layer.ErrDuplicate.
//   - A hive is a file of its own. A hard link is layer.ErrLinkTarget.
//
// ok is false where the entry is no hive. base says that the layer is known to have no
// parents.
func Place(e *layer.Entry, base bool) (n Name, f Form, ok bool, err error) {
	n, f, ok = Match(e.Path)
	if !ok || e.Kind == layer.Whiteout || e.Kind == layer.Opaque {
		return 0, 0, false, nil
	}
	switch {
	case f == Base:
		return n, f, true, fmt.Errorf("the file is made when a layer is unpacked and may not be part of one: %w", layer.ErrDuplicate)
	case e.Kind == layer.Link:
		return n, f, true, fmt.Errorf("a hive may not be a hard link: %w", layer.ErrLinkTarget)
	case e.Kind != layer.File:
		return 0, 0, false, nil
	case f == Delta && base:
		return n, f, true, fmt.Errorf("%v: %w", n, ErrBaseDelta)
	}
	return n, f, true, nil
}
