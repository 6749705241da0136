package wctransport

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Writer writes a transport directory. It implements layer.Writer and layer.ExtentWriter.
//
// The format holds less than others, and Add refuses the rest: a directory must have its
// entry before the entries in it, hard links name files of the same layer, and whiteouts
// hide only single names.
//
// Windows writes a utility VM to the final directory and has none in a transport
// directory. Writer stores it next to Files, encoded in the same way, so that a base layer
// survives the conversion to this format and back.
type Writer struct{ w writer }

var (
	_ layer.Writer         = (*Writer)(nil)
	_ layer.ExtentWriter   = (*Writer)(nil)
	_ layer.DirectoryMaker = (*Writer)(nil)
)

// writer is the part of a Writer that is particular to transport directories.
type writer struct {
	layerdir.Writer
	buf   *bufio.Writer
	tombs hostfs.File
	tombW *bufio.Writer
}

// Create returns a writer of a transport directory at path. The path must not exist, and
// its parent folder must. The directory appears at path only when Commit returns nil. A
// killed process leaves a hidden folder next to path, which the next Create for the same
// path removes.
func Create(path string, opts ...Option) (*Writer, error) {
	return create(path, opts, func(o *layerdir.Options) (*layerdir.Staging, error) { return layerdir.NewStaging(path, o) })
}

// CreateIn is like [Create] in an open directory. name is a single
// component. root stays the caller's, who closes it after the writer.
func CreateIn(root *os.Root, name string, opts ...Option) (*Writer, error) {
	return create(filepath.Join(root.Name(), name), opts, func(o *layerdir.Options) (*layerdir.Staging, error) { return layerdir.NewStagingIn(root, name, o) })
}

func create(path string, opts []Option, open func(*layerdir.Options) (*layerdir.Staging, error)) (*Writer, error) {
	o := layerdir.NewOptions(opts)
	stage, err := open(&o)
	if err != nil {
		return nil, &layer.Error{Op: "create transport directory", Layer: path, Offset: -1, Err: err}
	}
	public := &Writer{writer{buf: bufio.NewWriterSize(nil, 64<<10)}}
	w := &public.w
	w.Start(path, w, o, stage)
	w.Strict, w.Room = true, len(layerdir.MetaSuffix)
	w.Metadata.Index.Flags |= layerdir.IndexTransport
	if err := w.begin(); err != nil {
		w.Close()
		return nil, &layer.Error{Op: "create transport directory", Layer: path, Offset: -1, Err: err}
	}
	return public, nil
}

// Add implements layer.Writer.
func (w *Writer) Add(e *layer.Entry) error { return w.w.Add(e) }

// AddStream implements layer.Writer.
func (w *Writer) AddStream(s *layer.Stream) error { return w.w.AddStream(s) }

// Write implements layer.Writer.
func (w *Writer) Write(p []byte) (int, error) { return w.w.Write(p) }

// WriteHole implements layer.ExtentWriter.
func (w *Writer) WriteHole(n int64) error { return w.w.WriteHole(n) }

// Commit implements layer.Writer: it makes the hard links, completes tombstones.txt, makes
// everything durable and publishes the directory.
func (w *Writer) Commit() error { return w.w.Commit() }

// DirectoriesMade implements layer.DirectoryMaker.
func (w *Writer) DirectoriesMade() int64 { return w.w.DirectoriesMade() }

// Close implements layer.Writer.
func (w *Writer) Close() error { return w.w.Close() }

// begin selects where times are kept. It probes the root itself, because a directory that
// does not need .mullion must not have it.
func (w *writer) begin() error {
	if hostfs.NativeObjects {
		return nil
	}
	return w.Metadata.Choose(w.Options.Metadata, w.Stage.Root)
}

// AddEntry is the form's part of Add.
func (w *writer) AddEntry(e *layer.Entry) error {
	if err := layerdir.CheckEntry(e); err != nil {
		return err
	}
	if first, _, _ := strings.Cut(e.Path, `\`); layerdir.RootTree(first) == "" {
		return fmt.Errorf("%w: only Files, Hives and UtilityVM may be in a transport directory", layer.ErrUnsupported)
	}
	switch e.Kind {
	case layer.Opaque:
		return fmt.Errorf("%w: a transport directory cannot hide all of a directory, only single names", layer.ErrUnsupported)
	case layer.Whiteout:
		return w.addTombstone(e)
	case layer.Link:
		return w.AddLink(e)
	}
	d, id, err := w.Locate(e.Path, e.Kind)
	if err != nil {
		return err
	}
	n := w.Tree.At(id)
	if e.Kind == layer.Dir {
		if err := w.MakeDirectory(d, id); err != nil {
			return err
		}
		n.Flags |= layerdir.NodeDir
		if e.IsReparsePoint() {
			// The placeholder stays empty, since nothing is accepted below it.
			n.Flags |= layerdir.NodeReparse
		}
	} else {
		n.Flags |= layerdir.NodeFile
	}
	n.Flags |= layerdir.NodeOwn | layerdir.NodeHost
	if winfs.Under(e.Path, layerdir.HivesName) {
		if e.Kind == layer.Dir {
			w.Object, err = w.Objects.Directory(d, w.HostName(id), layerdir.Normal(e))
		} else {
			w.Object, err = w.CreateFile(d, id, e)
		}
		return err
	}
	var f hostfs.File
	if e.Kind == layer.Dir {
		f, err = d.Create(w.HostName(id)+layerdir.MetaSuffix, layerdir.OpenMode)
	} else {
		err = w.Make(id, func(name string) error {
			f, err = d.Create(name, layerdir.ModeOf(e.Path))
			return err
		})
	}
	if err != nil {
		return err
	}
	o, err := newFileWriter(w.Metadata, f, w.buf, e)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w.Object = o
	return nil
}

// addTombstone appends a line to tombstones.txt, whose paths are relative to Files, or
// for a name in the utility VM an item to the index.
func (w *writer) addTombstone(e *layer.Entry) error {
	id := w.Tree.AddPath(e.Path)
	if w.Tree.At(id).Flags&layerdir.NodeWhiteout != 0 {
		return layer.ErrDuplicate
	}
	w.Tree.At(id).Flags |= layerdir.NodeWhiteout
	if !winfs.Under(e.Path, layerdir.FilesName) {
		return w.Metadata.Index.Item(layerdir.ItemWhiteout, e.Path, "", nil) // the file knows no others
	}
	line := e.Path[len(layerdir.FilesName):]
	if len(line) > maxTombstone {
		return fmt.Errorf("%w: longer than a line of %s may be", layer.ErrUnsupported, layerdir.TombstoneName)
	}
	if err := w.startTombstones(); err != nil {
		return err
	}
	_, err := w.tombW.WriteString(line + "\n")
	return err
}

func (w *writer) startTombstones() error {
	if w.tombs != nil {
		return nil
	}
	f, err := w.Stage.Root.Create(layerdir.TombstoneName, layerdir.OpenMode)
	if err != nil {
		return err
	}
	w.tombs, w.tombW = f, bufio.NewWriter(layerdir.WriterOnly{File: f})
	_, err = w.tombW.WriteString(tombstoneHeader + "\n")
	return err
}

// Complete is the form's part of Commit.
func (w *writer) Complete() error {
	if err := w.startTombstones(); err != nil {
		return err
	}
	err := w.tombW.Flush()
	if err == nil && w.Options.Sync == SyncFiles {
		err = w.tombs.Sync()
	}
	f := w.tombs
	w.tombs = nil
	if err := hostfs.FirstError(err, f.Close()); err != nil {
		return err
	}
	if err := w.MakeLinks(); err != nil {
		return err
	}
	if w.Options.Finish != nil {
		if err := w.RunFinish(); err != nil {
			return err
		}
	}
	return w.Publish(false)
}

// FindBelow finds nothing: links of a transport directory name files of the same layer.
func (w *writer) FindBelow(string) (layerdir.ParentFile, error) { return layerdir.ParentFile{}, nil }

// Lower returns the number of parents, of which the form knows none.
func (w *writer) Lower() int { return 0 }

// Release closes tombstones.txt, which is open unless the layer was committed.
func (w *writer) Release() error {
	if w.tombs == nil {
		return nil
	}
	f := w.tombs
	w.tombs = nil
	return f.Close()
}
