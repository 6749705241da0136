package cimfs_test

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimfs/internal/plaincim"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/winfs"
)

// agree reads an image with the package and with the independent reader and fails
// the test at every difference. It returns what the independent reader saw.
func agree(t *testing.T, dir, name string) *plaincim.Tree {
	t.Helper()
	plain, err := plaincim.Read(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	im, err := cimfs.Open(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	if im.GUID() != plain.GUID || uint32(im.Version()) != plain.Major || im.NumFiles() != int64(len(plain.Files)-1) {
		t.Errorf("GUID %s, version %d, %d files; plain: %s, %d, %d", im.GUID(), im.Version(), im.NumFiles(),
			plain.GUID, plain.Major, len(plain.Files)-1)
	}
	for _, d := range differences(im, plain) {
		t.Error(d)
	}
	return plain
}

// differences compares the tree of an image, every lookup and every file. What the
// package refuses to read is a difference that begins with "refused".
func differences(im *cimfs.Image, plain *plaincim.Tree) (out []string) {
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	type named struct {
		path string
		id   uint32
	}
	var ours, theirs []named
	files := map[uint32]*cimfs.File{}
	if err := im.Walk(func(path string, f *cimfs.File) error {
		ours = append(ours, named{path, uint32(f.ID())})
		files[uint32(f.ID())] = f
		return nil
	}); err != nil {
		return []string{"refused: " + err.Error()}
	}
	plain.Walk(func(path string, n *plaincim.Node) { theirs = append(theirs, named{path, n.File.ID}) })
	if !slices.Equal(ours, theirs) {
		return []string{fmt.Sprintf("names %v, plain %v", ours, theirs)}
	}
	for _, n := range theirs {
		for _, p := range []string{n.path, plain.Upper(n.path)} {
			if f, err := im.Lookup(p); err != nil {
				say("refused: lookup %q: %v", p, err)
			} else if uint32(f.ID()) != n.id {
				say("lookup %q: file %d, want %d", p, f.ID(), n.id)
			}
		}
	}
	for id, f := range files {
		for _, s := range fileDiff(plain.Major, f, plain.Files[id]) {
			say("file %d: %s", id, s)
		}
	}
	return out
}

// fileDiff compares all that is known of one file.
func fileDiff(major uint32, f *cimfs.File, p *plaincim.File) (out []string) {
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	want := winfs.Attributes(0)
	for i, bit := range []winfs.Attributes{winfs.AttrReadOnly, winfs.AttrHidden, winfs.AttrSystem, winfs.AttrArchive, winfs.AttrSparse} {
		if p.Flags&(1<<i) != 0 {
			want |= bit
		}
	}
	if p.Directory {
		want |= winfs.AttrDirectory
	}
	if p.Reparse != nil {
		want |= winfs.AttrReparsePoint
	}
	if f.Attributes() != want || f.IsDir() != p.Directory {
		say("attributes %v, directory %v; plain %v, %v", f.Attributes(), f.IsDir(), want, p.Directory)
	}
	times := winfs.Times{Creation: p.Creation, LastAccess: p.Access, LastWrite: p.Write, Change: p.Change}
	if f.Times() != times {
		say("times %v, plain %v", f.Times(), times)
	}
	buffer := func(what string, get func() ([]byte, error), plain []byte) {
		if b, err := get(); err != nil || !bytes.Equal(b, plain) {
			say("%s %x (%v), plain %x", what, b, err, plain)
		}
	}
	buffer("descriptor", f.Security, p.Security)
	buffer("EAs", f.EAs, p.EA)
	buffer("reparse data", f.Reparse, p.Reparse)
	if f.ReparseTag() != p.ReparseTag || uint32(f.ParentID()) != p.Parent {
		say("reparse tag %#x, parent %d; plain %#x, %d", f.ReparseTag(), f.ParentID(), p.ReparseTag, p.Parent)
	}
	links, err := f.Links()
	var plain []cimfs.Link
	for _, l := range p.Links {
		plain = append(plain, cimfs.Link{Parent: cimfs.FileID(l.ID), Name: l.Name})
	}
	if err != nil || !slices.Equal(links, plain) {
		say("links %v (%v), plain %v", links, err, plain)
	}
	if !p.Directory {
		s, err := f.Data()
		if err != nil {
			say("data: %v", err)
		} else {
			out = append(out, streamDiff(s, p.Main)...)
		}
	}
	streams, err := f.Streams()
	if err != nil || len(streams) != len(p.Streams) || f.HasStreams() != (len(streams) > 0) {
		say("%d streams (%v), plain %d", len(streams), err, len(p.Streams))
		return out
	}
	for i, s := range streams {
		out = append(out, streamDiff(s, p.Streams[i])...)
	}
	return out
}

func streamDiff(s *cimfs.Stream, p plaincim.Stream) []string {
	if s.Name() != p.Name || s.Size() != int64(p.Size) || uint8(s.Type()) != p.Type || s.Sparse() != p.Sparse {
		return []string{fmt.Sprintf("stream %q of %d bytes, type %d, sparse %v; plain %q, %d, %d, %v",
			s.Name(), s.Size(), s.Type(), s.Sparse(), p.Name, p.Size, p.Type, p.Sparse)}
	}
	if p.Sparse {
		// The whole of it may be larger than memory; its ends tell enough.
		buf := make([]byte, min(s.Size(), 4096))
		for _, off := range []int64{0, s.Size() - int64(len(buf))} {
			n, err := s.ReadAt(buf, off)
			if n != len(buf) || err != nil && err != io.EOF || len(bytes.Trim(buf, "\x00")) != 0 {
				return []string{fmt.Sprintf("stream %q: %d bytes of a hole at %d: %v", p.Name, n, off, err)}
			}
		}
		return nil
	}
	b, err := io.ReadAll(s.Reader())
	if err != nil || !bytes.Equal(b, p.Data) {
		return []string{fmt.Sprintf("stream %q: %d bytes (%v) are not the %d of the plain reader", p.Name, len(b), err, len(p.Data))}
	}
	// From somewhere in the middle, over what may be a mapping's edge.
	for _, m := range append(p.Mappings, plaincim.Mapping{Offset: uint32(len(p.Data) / 2)}) {
		from := max(int64(m.Offset)-3, 0)
		to := min(from+7, s.Size())
		if from >= to {
			continue
		}
		part := make([]byte, to-from)
		if _, err := s.ReadAt(part, from); err != nil && err != io.EOF || !bytes.Equal(part, p.Data[from:to]) {
			return []string{fmt.Sprintf("stream %q: bytes at %#x are %x (%v), plain %x", p.Name, from, part, err, p.Data[from:to])}
		}
	}
	return nil
}

func TestReadersAgreeOnCorpus(t *testing.T) {
	agree(t, testenv.Corpus(t, "cim", "hello-v3"), "hello.cim")
	agree(t, testenv.Corpus(t, "cim", "synthetic-v1"), "synthetic.cim")
}
