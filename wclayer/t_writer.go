package wclayer

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// TransportWriter writes a transport directory. It implements layer.Writer and
// layer.ExtentWriter.
//
// The form is narrower than others, and what it cannot say is refused: a
// directory must have its entry before anything in it, hard links name files of
// the same layer, and only single names are hidden.
//
// Windows has no utility VM in such a directory: it is written to the final one at
// once. Here it stands beside Files and is encoded as that is, so that nothing of a
// base layer is lost on the way through this form.
type TransportWriter struct{ w transportWriter }

var (
	_ layer.Writer         = (*TransportWriter)(nil)
	_ layer.ExtentWriter   = (*TransportWriter)(nil)
	_ layer.DirectoryMaker = (*TransportWriter)(nil)
)

// transportWriter is the part of a Writer that is particular to transport directories.
type transportWriter struct {
	treeWriter
	buf   *bufio.Writer
	tombs file
	tombW *bufio.Writer
}

// CreateTransport begins to write a transport directory at path, which must not
// exist; the folder it stands in must. What [Create] says of Commit and of killed
// processes holds here too.
func CreateTransport(path string, opts ...Option) (*TransportWriter, error) {
	return createTransport(path, opts, func(o *options) (*staging, error) { return newStaging(path, o) })
}

// CreateTransportIn is CreateTransport in an open directory. name is a single
// component. root stays the caller's, who closes it after the writer.
func CreateTransportIn(root *os.Root, name string, opts ...Option) (*TransportWriter, error) {
	return createTransport(filepath.Join(root.Name(), name), opts, func(o *options) (*staging, error) { return newStagingIn(root, name, o) })
}

func createTransport(path string, opts []Option, open func(*options) (*staging, error)) (*TransportWriter, error) {
	o := newOptions(opts)
	stage, err := open(&o)
	if err != nil {
		return nil, &layer.Error{Op: "create transport directory", Layer: path, Offset: -1, Err: err}
	}
	public := &TransportWriter{transportWriter{buf: bufio.NewWriterSize(nil, 64<<10)}}
	w := &public.w
	w.start(path, w, o, stage)
	w.strict, w.room = true, len(metaSuffix)
	w.keep.index.flags |= indexTransport
	if err := w.begin(); err != nil {
		w.Close()
		return nil, &layer.Error{Op: "create transport directory", Layer: path, Offset: -1, Err: err}
	}
	return public, nil
}

// Add implements layer.Writer.
func (w *TransportWriter) Add(e *layer.Entry) error { return w.w.Add(e) }

// AddStream implements layer.Writer.
func (w *TransportWriter) AddStream(s *layer.Stream) error { return w.w.AddStream(s) }

// Write implements layer.Writer.
func (w *TransportWriter) Write(p []byte) (int, error) { return w.w.Write(p) }

// WriteHole implements layer.ExtentWriter.
func (w *TransportWriter) WriteHole(n int64) error { return w.w.WriteHole(n) }

// Commit implements layer.Writer: it makes the hard links, completes tombstones.txt, makes
// everything durable and publishes the directory.
func (w *TransportWriter) Commit() error { return w.w.Commit() }

// DirectoriesMade implements layer.DirectoryMaker.
func (w *TransportWriter) DirectoriesMade() int64 { return w.w.DirectoriesMade() }

// Close implements layer.Writer.
func (w *TransportWriter) Close() error { return w.w.Close() }

// begin chooses where times are kept. The probe is the root itself, because the
// folder of this package must not be there if it is not needed.
func (w *transportWriter) begin() error {
	if nativeObjects {
		return nil
	}
	return w.keep.choose(w.o.metadata, w.stage.root)
}

// addEntry is the form's part of Add.
func (w *transportWriter) addEntry(e *layer.Entry) error {
	if err := checkEntry(e); err != nil {
		return err
	}
	if first, _, _ := strings.Cut(e.Path, `\`); rootTree(first) == "" {
		return fmt.Errorf("%w: only Files, Hives and UtilityVM may be in a transport directory", layer.ErrUnsupported)
	}
	switch e.Kind {
	case layer.Opaque:
		return fmt.Errorf("%w: a transport directory cannot hide all of a directory, only single names", layer.ErrUnsupported)
	case layer.Whiteout:
		return w.addTombstone(e)
	case layer.Link:
		return w.addLink(e)
	}
	d, id, err := w.locate(e.Path, e.Kind)
	if err != nil {
		return err
	}
	n := w.tree.at(id)
	if e.Kind == layer.Dir {
		if err := w.makeDirectory(d, id); err != nil {
			return err
		}
		n.flags |= nodeDir
		if e.IsReparsePoint() {
			// The placeholder stays empty, since nothing is accepted below it.
			n.flags |= nodeReparse
		}
	} else {
		n.flags |= nodeFile
	}
	n.flags |= nodeOwn | nodeHost
	if winfs.Under(e.Path, hivesName) {
		if e.Kind == layer.Dir {
			w.obj, err = w.objects.directory(d, w.hostName(id), normal(e))
		} else {
			w.obj, err = w.createFile(d, id, e)
		}
		return err
	}
	var f file
	if e.Kind == layer.Dir {
		f, err = d.create(w.hostName(id)+metaSuffix, openMode)
	} else {
		err = w.make(id, func(name string) error {
			f, err = d.create(name, modeOf(e.Path))
			return err
		})
	}
	if err != nil {
		return err
	}
	o, err := newTransportObject(w.keep, f, w.buf, e)
	if err != nil {
		return errors.Join(err, f.close())
	}
	w.obj = o
	return nil
}

// addTombstone appends a line to tombstones.txt, whose paths are relative to Files, or
// for a name in the utility VM an item to the index.
func (w *transportWriter) addTombstone(e *layer.Entry) error {
	id := w.tree.addPath(e.Path)
	if w.tree.at(id).flags&nodeWhiteout != 0 {
		return layer.ErrDuplicate
	}
	w.tree.at(id).flags |= nodeWhiteout
	if !winfs.Under(e.Path, filesName) {
		return w.keep.index.item(itemWhiteout, e.Path, "", nil) // the file knows no others
	}
	line := e.Path[len(filesName):]
	if len(line) > maxTombstone {
		return fmt.Errorf("%w: longer than a line of %s may be", layer.ErrUnsupported, tombstoneName)
	}
	if err := w.startTombstones(); err != nil {
		return err
	}
	_, err := w.tombW.WriteString(line + "\n")
	return err
}

func (w *transportWriter) startTombstones() error {
	if w.tombs != nil {
		return nil
	}
	f, err := w.stage.root.create(tombstoneName, openMode)
	if err != nil {
		return err
	}
	w.tombs, w.tombW = f, bufio.NewWriter(writerOnly{f})
	_, err = w.tombW.WriteString(tombstoneHeader + "\n")
	return err
}

// complete is the form's part of Commit.
func (w *transportWriter) complete() error {
	if err := w.startTombstones(); err != nil {
		return err
	}
	err := w.tombW.Flush()
	if err == nil && w.o.sync == SyncFiles {
		err = w.tombs.sync()
	}
	f := w.tombs
	w.tombs = nil
	if err := firstError(err, f.close()); err != nil {
		return err
	}
	if err := w.makeLinks(); err != nil {
		return err
	}
	if w.o.finish != nil {
		if err := w.runFinish(); err != nil {
			return err
		}
	}
	return w.publish(false)
}

// findBelow finds nothing: links of a transport directory name files of the same layer.
func (w *transportWriter) findBelow(string) (parentFile, error) { return parentFile{}, nil }

// lower returns the number of parents, of which the form knows none.
func (w *transportWriter) lower() int { return 0 }

// release closes tombstones.txt, which is open unless the layer was committed.
func (w *transportWriter) release() error {
	if w.tombs == nil {
		return nil
	}
	f := w.tombs
	w.tombs = nil
	return f.close()
}
