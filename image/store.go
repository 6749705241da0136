package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
	"github.com/opencontainers/go-digest"
)

// StoredLayer is one layer of an image in a store.
type StoredLayer struct {
	ChainID digest.Digest `json:"chainID"`
	DiffID  digest.Digest `json:"diffID"`
	Image   string        `json:"image"` // from the store's directory, with slashes
	Files   string        `json:"files"` // the layer's directory next to the image, likewise

	Made bool `json:"-"` // by this call; otherwise it was there
}

// StoredImage is the record of an image in a store, images/HEX.json, where HEX is
// the digest of the manifest. The configuration is stored next to it, as
// images/HEX.config.json. A record is written when all its layers are stored.
type StoredImage struct {
	Reference string        `json:"reference"`
	Manifest  digest.Digest `json:"manifest"`
	Config    digest.Digest `json:"config"`
	Layers    []StoredLayer `json:"layers"` // base first
}

// storeRecords is the directory of records in a store.
const storeRecords = "images"

// UnpackStore writes every layer to a store as a CIM, base first, and then the record of
// the image. A layer that the store has, from any image, is not read again; if several
// processes unpack the same layer, one of them does the work. While a layer is checked
// and made durable, the next one is already being read.
//
// The CIM of the last layer has the merged tree, including Hives with the merged hives.
// After an error the layers that were complete and verified stay, without a record.
func (i *Image) UnpackStore(ctx context.Context, store *cimlayer.Store, opts ...cimlayer.Option) ([]StoredLayer, error) {
	ahead := &readAhead{ctx: ctx, layers: i.layers, store: store}
	defer ahead.close()
	var done []StoredLayer
	var parents []string // base first
	for n, l := range i.layers {
		chain := string(l.ChainID)
		made, err := store.Add(ctx, chain, parents, func(w layer.Writer) error {
			r, err := ahead.take(n)
			if err != nil {
				return err
			}
			defer r.Close()
			if _, err := layer.Copy(ctx, w, r, layer.WithLimits(i.opts.limits)); err != nil {
				return err
			}
			return ahead.begin(n + 1)
		}, opts...)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", l, err)
		}
		s, err := i.stored(store, l)
		if err != nil {
			return nil, err
		}
		s.Made = made
		done = append(done, s)
		parents = append(parents, chain)
	}
	return done, i.record(ctx, store, done)
}

// stored describes a layer in the store.
func (i *Image) stored(store *cimlayer.Store, l *Layer) (StoredLayer, error) {
	loc, err := store.Location(string(l.ChainID))
	if err != nil {
		return StoredLayer{}, err
	}
	s := StoredLayer{ChainID: l.ChainID, DiffID: l.DiffID}
	for _, p := range []struct {
		to   *string
		path string
	}{{&s.Image, loc.String()}, {&s.Files, loc.Files}} {
		rel, err := filepath.Rel(store.Dir(), p.path)
		if err != nil {
			return s, err
		}
		*p.to = filepath.ToSlash(rel)
	}
	return s, nil
}

// record writes the configuration and then the record, unless they exist.
func (i *Image) record(ctx context.Context, store *cimlayer.Store, layers []StoredLayer) (err error) {
	if err := store.Root().Mkdir(storeRecords, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	dir, err := publish.OpenFolder(store.Root(), storeRecords)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	// Files that have their content already are not written again.
	if err := publish.Sweep(dir, publish.Options{}); err != nil {
		return err
	}
	name := i.Digest().Encoded()
	r := StoredImage{Reference: i.ref.String(), Manifest: i.Digest(), Config: i.manifest.Manifest.Config.Digest, Layers: layers}
	if r.Layers == nil {
		r.Layers = []StoredLayer{}
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	unlock, err := publish.LockIn(ctx, dir, "."+name+".lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := replaceFile(dir, name+".config.json", i.rawConfig); err != nil {
		return err
	}
	return replaceFile(dir, name+".json", append(text, '\n'))
}

// replaceFile writes the content of a file, completely or not at all. A file that has
// the content already is left alone.
func replaceFile(dir *os.Root, name string, content []byte) error {
	if same, err := hasContent(dir, name, content); same || err != nil {
		return err
	}
	f, err := publish.CreateIn(dir, name, publish.Options{Replace: true})
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Commit()
}

// hasContent reports whether a file has a content. Anything but a regular
// file is not opened and counts as different; of a regular file no more is read than needed.
func hasContent(dir *os.Root, name string, content []byte) (bool, error) {
	f, err := publish.OpenPlain(dir, name, false)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, publish.ErrForeign) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	old, err := io.ReadAll(io.LimitReader(f, int64(len(content))+1))
	return bytes.Equal(old, content), err
}

// readAhead opens the next layer while the one before it is being committed. A blob
// reader runs ahead of its consumer by a few MiB, so the next layer is fetched and
// inflated in that time.
type readAhead struct {
	ctx    context.Context
	layers []*Layer
	store  *cimlayer.Store
	next   layer.Reader
	index  int
}

// begin opens a layer that the store does not have. An error is kept until take.
func (a *readAhead) begin(index int) error {
	if index >= len(a.layers) {
		return nil
	}
	l := a.layers[index]
	if there, err := a.store.Has(string(l.ChainID)); there || err != nil {
		return err
	}
	if r, err := l.Open(a.ctx); err == nil {
		a.next, a.index = r, index
	}
	return nil
}

// take returns the reader of a layer. The caller closes it.
func (a *readAhead) take(index int) (layer.Reader, error) {
	if a.next != nil && a.index == index {
		r := a.next
		a.next = nil
		return r, nil
	}
	a.close()
	return a.layers[index].Open(a.ctx)
}

// close closes the readers that were not taken.
func (a *readAhead) close() {
	if a.next != nil {
		a.next.Close()
		a.next = nil
	}
}
