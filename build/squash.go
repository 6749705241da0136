package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// SquashOptions are the options of Squash.
type SquashOptions struct {
	// Format is the compression of the layer.
	Format blob.Format
	// Created is its time in the history.
	Created *time.Time
	// Limits bound what is read.
	Limits layer.Limits
}

// Squash makes one layer of the layers from the one with the number from on, 0 being the base:
// the image shows the same files and the same registry as before. The layers below stay as
// they are.
//
// Files that the layers have replaced or removed among themselves are no part of the new layer.
// Whiteouts of files below stay, hard links to them too, see [layer.Flatten]. The delta hives
// become one for each hive, which means the same over any hive below (regf.MergeOptions, Fold).
// With from 0 the result is a base layer: the deltas are merged with its hives, and there are
// no whiteouts.
//
// The history keeps the entries of the layers, as entries without a layer, and gets one for the
// new layer.
//
// Every layer is read, those from from on twice, unless the image has a cache that knows their
// names. Memory is at most 400 bytes for each entry of all layers, and what merging the hives
// takes. An error leaves the assembly as it was.
func Squash(ctx context.Context, a *image.Assembly, from int, opt SquashOptions) (_ *image.Layer, err error) {
	layers := a.Layers()
	if from < 0 || from >= len(layers) {
		return nil, fmt.Errorf("%w: no layer has the number %d; the image has %d, from 0", ErrConfig, from, len(layers))
	}
	sources := make([]layer.Source, len(layers))
	for n, l := range layers {
		sources[n] = l.Source(ctx)
	}
	flat, err := layer.Flatten(ctx, sources, from, layer.WithUnionLimits(opt.Limits))
	if err != nil {
		return nil, fmt.Errorf("squash: %w", err)
	}
	defer func() { err = errors.Join(err, flat.Close()) }()
	s := &squashed{view: flat.View(), from: from, files: map[hives.Name]hiveFile{}}
	defer func() { err = errors.Join(err, s.closeFiles()) }()
	if err := s.hives(ctx, sources); err != nil {
		return nil, fmt.Errorf("squash: %w", err)
	}
	if s.Reader, err = flat.Open(); err != nil {
		return nil, err
	}
	before := a.History()
	if err := a.Truncate(from); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	history, err := emptied(before, len(a.History()))
	if err == nil {
		a.SetHistory(history)
		l, addErr := a.AddLayer(ctx, s, opt.Format, &ocispec.History{Created: utc(opt.Created),
			CreatedBy: fmt.Sprintf("mullion squash --from %d", from), Comment: fmt.Sprintf("%d layers as one", len(layers)-from)})
		if addErr == nil {
			return l, nil
		}
		err = fmt.Errorf("squash: %w", addErr)
	}
	for _, l := range layers[from:] {
		err = errors.Join(err, a.KeepLayer(l, nil))
	}
	a.SetHistory(before)
	return nil, err
}

// emptied returns a history in which the entries from the n-th on have no layers.
func emptied(history []json.RawMessage, n int) ([]json.RawMessage, error) {
	for i := n; i < len(history); i++ {
		var h ocispec.History
		if err := json.Unmarshal(history[i], &h); err != nil {
			return nil, fmt.Errorf("%w: history: %v", image.ErrManifest, err)
		}
		h.EmptyLayer = true
		raw, err := json.Marshal(h)
		if err != nil {
			return nil, err
		}
		history[i] = raw
	}
	return history, nil
}

// squashed is a flattened layer in which hives are replaced.
type squashed struct {
	layer.Reader
	view  *layer.View
	from  int
	files map[hives.Name]hiveFile

	entry layer.Entry
	hive  *hiveFile // content of the current entry, or nil
	state streamState
	left  io.Reader
}

// hiveFile is a hive in a temporary file.
type hiveFile struct {
	*tempfile.File
	size int64
}

func (s *squashed) closeFiles() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// nothing is a layer without entries.
type nothing struct{}

func (nothing) Open() (layer.Reader, error)        { return nothing{}, nil }
func (nothing) Next() (*layer.Entry, error)        { return nil, io.EOF }
func (nothing) NextStream() (*layer.Stream, error) { return nil, io.EOF }
func (nothing) Read([]byte) (int, error)           { return 0, io.EOF }
func (nothing) Close() error                       { return nil }

// hives folds the deltas of the layers, or merges them with the hives of the base layer.
func (s *squashed) hives(ctx context.Context, sources []layer.Source) (err error) {
	if s.from > 0 { // what is in the place of a base layer's hives is a file like others
		sources = append([]layer.Source{nothing{}}, sources[s.from:]...)
	}
	found, err := image.FindHives(ctx, sources)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	for _, n := range hives.All() {
		var deltas []*regf.Hive
		for i := range found.Layers() {
			h, err := found.InLayer(i, n, hives.Delta)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return errors.Join(fmt.Errorf("layer %d: %s: %w", s.layerOf(i), n.Path(hives.Delta), err), closeHives(deltas))
			}
			deltas = append(deltas, h)
		}
		if err := errors.Join(s.fold(ctx, found, n, deltas), closeHives(deltas)); err != nil {
			return fmt.Errorf("hive %v: %w", n, err)
		}
	}
	return nil
}

// layerOf returns the number of a layer in the image by that among those in which hives were
// looked for.
func (s *squashed) layerOf(i int) int {
	if s.from > 0 {
		return s.from + i - 1
	}
	return i
}

func closeHives(list []*regf.Hive) error {
	var errs []error
	for _, h := range list {
		errs = append(errs, h.Close())
	}
	return errors.Join(errs...)
}

// fold makes the hive of the new layer, unless one of the layers has it as it is.
func (s *squashed) fold(ctx context.Context, found *image.Hives, n hives.Name, deltas []*regf.Hive) (err error) {
	if len(deltas) == 0 || s.from > 0 && len(deltas) == 1 {
		return nil
	}
	f, err := tempfile.Create("", "mullion-hive-")
	if err != nil {
		return err
	}
	s.files[n] = hiveFile{f, 0}
	var size int64
	if s.from > 0 {
		size, err = regf.MergeTo(ctx, f, deltas, &regf.MergeOptions{Fold: true})
	} else {
		h, viewErr := found.View(ctx, n)
		if viewErr != nil {
			return viewErr
		}
		defer func() { err = errors.Join(err, h.Close()) }()
		size, err = h.WriteImageAt(f)
	}
	s.files[n] = hiveFile{f, size}
	return err
}

// Next implements layer.Reader.
func (s *squashed) Next() (*layer.Entry, error) {
	for {
		e, err := s.Reader.Next()
		if err != nil {
			return nil, err
		}
		s.hive, s.state = nil, noStream
		n, form, ok := hives.Match(e.Path)
		if !ok || e.Kind != layer.File && e.Kind != layer.Link {
			return e, nil
		}
		if s.from == 0 && form == hives.Delta {
			continue // it is part of the hive
		}
		f, made := s.files[n]
		if !made || (s.from == 0) != (form == hives.Config) {
			return e, nil
		}
		if e.Kind == layer.Link { // the file that it names again keeps its content
			it, err := s.view.Lookup(e.Path)
			if err != nil {
				return nil, err
			}
			e = &it.Entry
		}
		s.entry = *e
		s.entry.Size, s.entry.NoMain = f.size, false
		s.hive, s.state = &f, beforeStream
		return &s.entry, nil
	}
}

// NextStream implements layer.Reader. Alternate streams of a hive are those of the file.
func (s *squashed) NextStream() (*layer.Stream, error) {
	switch {
	case s.hive == nil:
		return s.Reader.NextStream()
	case s.state == beforeStream:
		if _, err := s.Reader.NextStream(); err != nil && err != io.EOF {
			return nil, err
		}
		s.state, s.left = inStream, io.NewSectionReader(s.hive, 0, s.hive.size)
		return &layer.Stream{Size: s.hive.size}, nil
	}
	s.state = noStream
	return s.Reader.NextStream()
}

// Read implements layer.Reader.
func (s *squashed) Read(p []byte) (int, error) {
	if s.state == inStream {
		return s.left.Read(p)
	}
	return s.Reader.Read(p)
}
