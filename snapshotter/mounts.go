package snapshotter

import (
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
)

// The forms of a mount, and the options of the CimFS form, which are those of the
// snapshotter on Windows (docs/spec/layers.md, "Mounts of containerd").
const (
	cimMount      = "CimFS"
	bindMount     = "bind"
	cimPathOption = "cimpath="
	parentDirs    = "parentLayerPaths="
	parentImages  = "parentCimPaths="

	// viewName is the directory in that of a snapshot where its view is mounted.
	viewName = "fs"
)

// labelParentChain is set by the unpacker of containerd 2 on the layers above the
// first, even if it names the parent only at Commit.
const labelParentChain = "containerd.io/snapshot/parent-chain-id"

// nativeMount is the mount that a program on Windows can use and that asks a differ to
// apply a layer. Other systems can't mount it, so a differ that doesn't know its type
// fails instead of losing the metadata of the layer.
func (s *Service) nativeMount(id string, kind snapshots.Kind, own string, parents []string) ([]mount.Mount, error) {
	options := []string{"rw"}
	if kind == snapshots.KindView {
		options[0] = "ro"
	}
	// Windows names the image of a snapshot by its number; ours has the name of its
	// layer, which may not be known yet.
	image := filepath.Join(s.store.Dir(), "cim-layers", id+".cim")
	if own != "" {
		loc, err := s.store.Location(own)
		if err != nil {
			return nil, err
		}
		image = loc.String()
	}
	options = append(options, cimPathOption+image)
	if len(parents) > 0 {
		var dirs, images []string
		for _, p := range parents {
			loc, err := s.store.Location(p)
			if err != nil {
				return nil, err
			}
			dirs, images = append(dirs, loc.Files), append(images, loc.String())
		}
		for _, o := range []struct {
			name  string
			paths []string
		}{{parentDirs, dirs}, {parentImages, images}} {
			b, err := json.Marshal(o.paths)
			if err != nil {
				return nil, err
			}
			options = append(options, o.name+string(b))
		}
	}
	return []mount.Mount{{Type: cimMount, Source: s.dir(id), Options: options}}, nil
}

// snapshotOf returns the number of the snapshot of this service that mounts are of,
// "" if they are of none.
func (s *Service) snapshotOf(mounts []mount.Mount) string {
	if len(mounts) != 1 || mounts[0].Target != "" {
		return ""
	}
	source := filepath.Clean(mounts[0].Source)
	switch mounts[0].Type {
	case cimMount:
	case bindMount:
		if filepath.Base(source) != viewName {
			return ""
		}
		source = filepath.Dir(source)
	default:
		return ""
	}
	dir, id := filepath.Split(source)
	if filepath.Clean(dir) != filepath.Join(s.root, snapshotsName) || !isID(id) {
		return ""
	}
	return id
}

// isID reports whether a name is that of a snapshot's directory: the number that
// containerd's storage package chose.
func isID(name string) bool {
	n, err := strconv.ParseUint(name, 10, 64)
	return err == nil && strconv.FormatUint(n, 10) == name
}

// removedID returns the number of a snapshot whose directory is being removed.
func removedID(name string) (string, bool) {
	id, ok := strings.CutPrefix(name, removedPrefix)
	return id, ok && isID(id)
}
