package snapshotter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"

	"github.com/mullion/mullion/internal/publish"
)

// recordName is the file in a snapshot's directory that says which layer it is.
const recordName = "layer"

// maxRecord bounds a record in bytes: a chain of thousands of layers.
const maxRecord = 1 << 20

// record says which layer a snapshot is. Every committed snapshot has one, and an
// active one that a layer was applied to.
type record struct {
	// DiffID and Size are of the layer's uncompressed tar; empty for a snapshot that
	// changes nothing.
	DiffID digest.Digest `json:"diffID,omitempty"`
	Size   int64         `json:"size,omitempty"`
	// Blob is the blob that the layer was made of and verified against, if one was.
	Blob digest.Digest `json:"blob,omitempty"`
	// Layers are the chain IDs of the tree that the snapshot shows, its own layer first
	// and then those below it. A snapshot that changes nothing has those of its parent,
	// and the empty tree has none. All of them stay in the store while the record is
	// there.
	Layers []string `json:"layers"`
	// Written is set if the layer holds the writes to the snapshot's view. In an active
	// snapshot it is the trace of an unfinished Commit and has no effect.
	Written bool `json:"written,omitempty"`
}

// baseFirst returns the layers of a tree in the order that the other packages take.
// Records and the mounts of containerd have the topmost layer first.
func baseFirst(layers []string) []string {
	layers = slices.Clone(layers)
	slices.Reverse(layers)
	return layers
}

// layerOver returns the record of a layer with this diff ID over a tree.
func layerOver(parents []string, diffID digest.Digest, size int64) *record {
	return &record{DiffID: diffID, Size: size, Layers: append([]string{chainOver(parents, diffID)}, parents...)}
}

// chainOver returns the chain ID of a layer over a tree.
func chainOver(parents []string, diffID digest.Digest) string {
	if len(parents) == 0 {
		return diffID.String()
	}
	return identity.ChainID([]digest.Digest{digest.Digest(parents[0]), diffID}).String()
}

// over reports whether the record's layer is directly over a tree.
func (r *record) over(parents []string) bool {
	return len(r.Layers) == len(parents)+1 && slices.Equal(r.Layers[1:], parents)
}

// readRecord returns nil if a snapshot has no record.
func (s *Service) readRecord(id string) (*record, error) {
	name := filepath.Join(s.dir(id), recordName)
	if st, err := os.Lstat(name); err == nil && st.Size() > maxRecord {
		return nil, fmt.Errorf("%s: %d bytes are no record of a snapshot", name, st.Size())
	}
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, c := range append(slices.Clone(r.Layers), r.DiffID.String()) {
		if c == "" && r.DiffID == "" {
			continue
		}
		if err := digest.Digest(c).Validate(); err != nil {
			return nil, fmt.Errorf("%s: %.100q: %w", name, c, err)
		}
	}
	return r, nil
}

// writeRecord makes a record durable. After an error there is none.
func (s *Service) writeRecord(id string, r *record) error {
	if err := s.step("record", id); err != nil {
		return err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := publish.Create(filepath.Join(s.dir(id), recordName), publish.Options{Replace: true, Private: true})
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Commit()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		err = errors.Join(err, s.dropRecord(id))
	}
	return err
}

// dropRecord removes a record.
func (s *Service) dropRecord(id string) error {
	return removeFile(s.dir(id), recordName)
}

// removeFile removes a file, which need not exist.
func removeFile(dir, name string) error {
	root, err := os.OpenRoot(dir)
	if err == nil {
		err = errors.Join(publish.Remove(root, name), root.Close())
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

// dir is the directory of a snapshot.
func (s *Service) dir(id string) string { return filepath.Join(s.root, snapshotsName, id) }
