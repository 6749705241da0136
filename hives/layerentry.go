package hives

import (
	"errors"
	"fmt"

	"github.com/mullion/mullion/layer"
)

// ErrBaseDelta reports that a base layer has a delta hive, although it has no hive below to
// apply it to.
var ErrBaseDelta = errors.New("a base layer has no delta hives")

// Place returns the role of an entry of a layer in the registry of the image. It is the
// only rule for which files make up that registry, for callers that unpack a layer, inspect
// one or check it:
//
//   - In a base layer the files in the config directory are the hives.
//   - In a layer with parents they are ordinary files, and Hives holds deltas. In a base
//     layer a delta is ErrBaseDelta.
//   - The results of unpacking, Hives\SYSTEM_BASE and its siblings, are not allowed in a
//     layer that is a sequence of entries. A layer that could bring one would replace the
//     registry of the layers below: it is layer.ErrDuplicate.
//   - A hive is a file of its own. A hard link is layer.ErrLinkTarget.
//
// ok is false if the entry is no hive. base is set if the layer is known to have no
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
