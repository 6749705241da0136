package wctransport

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
)

// FuzzTransportFile reads any bytes as a transport file and, if that works, holds
// that what is written again reads the same.
func FuzzTransportFile(f *testing.F) {
	for _, v := range transportVectors {
		f.Add(testenv.Hex(f, v.bytes), false)
	}
	f.Add([]byte(dirStream), true)
	f.Add([]byte{}, false)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte, isDir bool) {
		e := layer.Entry{Path: `Files\f`, Kind: layer.File}
		if isDir {
			e.Kind = layer.Dir
		}
		limits := layerdir.NewOptions(nil).Limits
		limits.MetadataLen = 1 << 16
		c, err := readFile(bytes.NewReader(b), &e, limits)
		if err != nil {
			return
		}
		var logical int64
		for _, s := range c.Streams {
			if logical += s.Size; s.Size < 0 || logical < 0 || logical > 1<<20 {
				return // valid, but too long to compare
			}
		}
		read := func(e *layer.Entry, c *layerdir.Content) *layertest.Layer {
			rec := &layertest.Recorder{}
			r := &oneEntry{e: e, Walker: layerdir.Walker{Content: c}}
			if _, err := layer.Copy(context.Background(), rec, r); err != nil {
				t.Skip(err) // metadata that no layer may have
			}
			return &rec.Layer
		}
		want := read(&e, c)
		path := filepath.Join(dir, "f")
		d, err := hostfs.OpenDirectory(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		os.Remove(path)
		out, err := d.Create("f", layerdir.OpenMode)
		if err != nil {
			t.Fatal(err)
		}
		keep := layerdir.NewMetadataWriter(d)
		keep.Index.Open = func() (hostfs.File, error) { return nil, os.ErrInvalid }
		keep.Xattr = true
		o, err := newFileWriter(keep, ignoreRecord{out}, bufioWriter(), &want.Items[0].Entry)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range want.Items[0].Streams {
			if err := o.Stream(&layer.Stream{Name: s.Name, Size: int64(len(s.Data)), Sparse: s.Sparse}); err != nil {
				t.Fatal(err)
			}
			at := int64(0)
			if !s.Sparse {
				if err := o.WriteBytes(s.Data); err != nil && len(s.Data) > 0 {
					t.Fatal(err)
				}
				continue
			}
			for _, x := range s.Extents {
				if x.Offset > at {
					o.Hole(x.Offset - at)
				}
				if err := o.WriteBytes(s.Data[x.Offset : x.Offset+x.Length]); err != nil {
					t.Fatal(err)
				}
				at = x.Offset + x.Length
			}
			if at < int64(len(s.Data)) {
				o.Hole(int64(len(s.Data)) - at)
			}
		}
		if err := o.Finish(false); err != nil {
			t.Fatal(err)
		}
		again, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		e2 := layer.Entry{Path: e.Path, Kind: e.Kind}
		c2, err := readFile(bytes.NewReader(again), &e2, limits)
		if err != nil {
			t.Fatalf("written again: %v\n%x\n%x", err, b, again)
		}
		format := layertest.Format{}
		if diff := format.Compare(want, read(&e2, c2), true); diff != nil {
			t.Fatalf("%s\n%x\n%x", strings.Join(diff, "\n"), b, again)
		}
	})
}

// ignoreRecord is a file that keeps no times.
type ignoreRecord struct{ hostfs.File }

func (ignoreRecord) SetRecord([]byte) error { return nil }

func (ignoreRecord) SetTimes(winfs.Times) error { return nil }

// oneEntry reads a single entry.
type oneEntry struct {
	layerdir.Walker
	e    *layer.Entry
	done bool
}

// FuzzTombstones holds that whatever is read comes back once, in file order, and
// is a valid path below Files.
func FuzzTombstones(f *testing.F) {
	f.Add([]byte(tombstoneHeader + "\n\\a\n\\b\\c\r\n\n\\absent\\x"))
	f.Add([]byte(tombstoneHeader))
	f.Add([]byte("\\a\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ts, err := parseTombstones(bytes.NewReader(b), layerdir.NewOptions(nil).Limits)
		if err != nil {
			return
		}
		var out strings.Builder
		out.WriteString(tombstoneHeader + "\n")
		for _, p := range ts.paths {
			if err := winfs.ValidatePath(p); err != nil || !strings.HasPrefix(p, `Files\`) {
				t.Fatalf("%q: %v", p, err)
			}
			out.WriteString(p[len(layerdir.FilesName):] + "\n")
		}
		again, err := parseTombstones(strings.NewReader(out.String()), layerdir.NewOptions(nil).Limits)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(ts.paths, again.paths) {
			t.Fatalf("%q, then %q", ts.paths, again.paths)
		}
		n := 0
		for _, p := range ts.paths {
			dir, _ := winfs.SplitPath(p)
			n += len(ts.in(strings.ToUpper(dir)))
		}
		if n += len(ts.rest()); n != len(ts.paths) {
			t.Fatalf("%d of %d are returned", n, len(ts.paths))
		}
	})
}

func (r *oneEntry) Next() (*layer.Entry, error) {
	if r.done {
		return nil, io.EOF
	}
	r.done = true
	return r.e, nil
}

func (r *oneEntry) Close() error { return nil }

func bufioWriter() *bufio.Writer { return bufio.NewWriter(nil) }
