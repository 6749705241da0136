package image

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
	"github.com/opencontainers/go-digest"
)

// CreateFunc starts one layer, name in the open directory root. Parents are
// the layers below it, names in root too, base first. The directory is
// passed open because it is not published yet and may have no stable name.
type CreateFunc func(root *os.Root, name string, parents []string) (layer.Writer, error)

// UnpackedLayer is an entry of layers.json, which Unpack writes next to the layers.
type UnpackedLayer struct {
	Name    string        `json:"name"`    // in the folder
	Parents []string      `json:"parents"` // immediate parent first
	DiffID  digest.Digest `json:"diffID"`
	ChainID digest.Digest `json:"chainID"`
}

// LayersFile and ConfigFile are next to the layers in a folder that Unpack made.
const (
	LayersFile = "layers.json"
	ConfigFile = "config.json"
)

// FolderName is the name of the layer in an unpacked image: its number and the start
// of its chain ID. Windows derives the identity of a layer from the last part of its
// path, so layers of different content must not share it.
func (l *Layer) FolderName() string { return fmt.Sprintf("%02d-%.12s", l.Index, l.ChainID.Encoded()) }

// Unpack writes every layer into the folder dir, which must not exist or be empty,
// base first, and layers.json and the configuration next to them. dir does not
// appear before all layers are complete and verified. If it cannot be made, the error is a
// DestinationError.
func (i *Image) Unpack(ctx context.Context, dir string, create CreateFunc) ([]UnpackedLayer, error) {
	out, err := publish.CreateDir(dir, publish.Options{})
	if err != nil {
		return nil, &DestinationError{dir, err}
	}
	defer out.Close()
	var done []UnpackedLayer
	names := []string{}
	for _, l := range i.layers {
		if err := l.unpack(ctx, out.Root(), names, create); err != nil {
			return nil, err
		}
		nearest := slices.Clone(names)
		slices.Reverse(nearest)
		done = append(done, UnpackedLayer{l.FolderName(), nearest, l.DiffID, l.ChainID})
		names = append(names, l.FolderName())
	}
	list, err := json.MarshalIndent(done, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := writePart(out.Root(), LayersFile, append(list, '\n')); err != nil {
		return nil, err
	}
	if err := writePart(out.Root(), ConfigFile, i.rawConfig); err != nil {
		return nil, err
	}
	if err := out.Commit(); err != nil {
		return nil, &DestinationError{dir, err}
	}
	return done, nil
}

// unpack writes one layer.
func (l *Layer) unpack(ctx context.Context, root *os.Root, parents []string, create CreateFunc) error {
	r, err := l.Open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := create(root, l.FolderName(), parents)
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := layer.Copy(ctx, w, placedReader{r.(extentReader), len(parents) == 0}, layer.WithLimits(l.img.opts.limits)); err != nil {
		return err
	}
	return w.Commit()
}

// extentReader is implemented by the reader of a layer's tar.
type extentReader interface {
	layer.Reader
	layer.ExtentReader
}

// placedReader refuses the entries of a layer that may have no part in the registry
// (hives.Place), for writers that keep hives as they come.
type placedReader struct {
	extentReader
	base bool
}

func (r placedReader) Next() (*layer.Entry, error) {
	e, err := r.extentReader.Next()
	if err != nil {
		return nil, err
	}
	if _, _, _, err := hives.Place(e, r.base); err != nil {
		return nil, &layer.Error{Op: "unpack", Entry: e.Path, Offset: -1, Err: err}
	}
	return e, nil
}

// writePart writes a file of a directory that has not been published yet.
func writePart(root *os.Root, name string, raw []byte) error {
	return publish.WritePart(root, name, 0o644, func(w io.Writer) error {
		_, err := w.Write(raw)
		return err
	})
}
