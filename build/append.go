package build

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/internal/ctxio"
	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/internal/plaindir"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
	"github.com/mullion/mullion/wintar"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// AppendOptions are the options of Append.
type AppendOptions struct {
	// Format is the compression of layers that are made.
	Format blob.Format
	// Latest, if set, is the time that files get which are younger.
	Latest *time.Time
	// Created is the time of the layers in the history.
	Created *time.Time
	// Limits bound what is read.
	Limits layer.Limits
	// Stdin is what the source "-" is read from.
	Stdin io.Reader
	// Read, if set, is called with the number of bytes that were read of a source.
	Read func(n int64)
}

// Append puts one layer for each source on top of an image: a directory, a tar, plain or
// compressed with gzip or zstd, or "-" for a tar from Stdin.
//
// A tar whose first entry is in Files, Hives or UtilityVM, or has a record of Windows metadata,
// is a layer for Windows and stays byte for byte. It is read once, to verify it and to find its
// digests; the error is ErrLayer if Windows would refuse it. It must stay where it is until the
// assembly was written.
//
// What any other tar or a directory has becomes the content of drive C. Names are compared with
// those of the image without regard to case, and those that exist keep their spelling.
// Directories that exist keep their metadata; a file that exists keeps its descriptor. What is
// new gets the descriptor that Windows gives to a file that an administrator makes in its
// directory. Owners and modes of other systems are not used. Symbolic links become those of
// Windows, which are relative to drive C where they begin with a slash. A name that begins with
// .wh. hides what is below it. Of two files in a tar with the same name the last counts.
//
// Such a source is read twice, first its names alone, and a compressed tar decompressed twice.
// Memory grows with the names, by some 50 bytes for each, and not with their content.
func Append(ctx context.Context, a *image.Assembly, opt AppendOptions, sources ...string) ([]*image.Layer, error) {
	var made []*image.Layer
	for _, s := range sources {
		l, err := appendOne(ctx, a, &opt, s)
		if err != nil {
			return nil, fmt.Errorf("append %s: %w", s, err)
		}
		made = append(made, l)
	}
	return made, nil
}

func appendOne(ctx context.Context, a *image.Assembly, opt *AppendOptions, name string) (*image.Layer, error) {
	s, err := openSource(ctx, a, opt, name)
	if err != nil {
		return nil, err
	}
	h := &ocispec.History{Created: utc(opt.Created), CreatedBy: "mullion append " + s.label}
	if s.dir == "" {
		native, err := isNative(ctx, s)
		if err != nil {
			return nil, err
		}
		if native {
			return appendNative(ctx, a, opt, s, h)
		}
	}
	return appendOrdinary(ctx, a, opt, s, h)
}

// source is a directory or the bytes of a tar.
type source struct {
	label string // the last part of its name
	dir   string
	open  func() (io.ReadCloser, error)
}

func openSource(ctx context.Context, a *image.Assembly, opt *AppendOptions, name string) (*source, error) {
	if name == "-" {
		if opt.Stdin == nil {
			return nil, fmt.Errorf("%w: there is no standard input", fs.ErrInvalid)
		}
		return spool(ctx, a, opt.Stdin, "-")
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	label := filepath.Base(abs)
	if info.IsDir() {
		return &source{label: label, dir: name}, nil
	}
	if !info.Mode().IsRegular() {
		f, err := openfile.Stream(ctx, name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return spool(ctx, a, f, label)
	}
	return &source{label: label, open: func() (io.ReadCloser, error) { return openfile.Regular(name) }}, nil
}

// spool copies what can be read once to a temporary file that ends with the assembly.
func spool(ctx context.Context, a *image.Assembly, r io.Reader, label string) (*source, error) {
	f, err := tempfile.Create("", "mullion-source-")
	if err != nil {
		return nil, err
	}
	a.CloseWith(f)
	n, err := io.Copy(f, ctxio.Reader(ctx, r))
	if err != nil {
		return nil, err
	}
	return &source{label: label, open: func() (io.ReadCloser, error) {
		return struct {
			*io.SectionReader
			io.Closer
		}{io.NewSectionReader(f, 0, n), io.NopCloser(nil)}, nil
	}}, nil
}

// isNative reports whether a tar is a layer for Windows.
func isNative(ctx context.Context, s *source) (_ bool, err error) {
	rc, err := s.open()
	if err != nil {
		return false, err
	}
	b, err := blob.NewReader(ctx, rc, blob.WithCloser(rc))
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	for tr := tar.NewReader(b); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return false, fmt.Errorf("%w: the archive is empty", layer.ErrCorrupt)
		}
		if err != nil {
			return false, fmt.Errorf("%w: not a tar: %w", layer.ErrCorrupt, err)
		}
		p, err := tarPath(h.Name)
		if h.Typeflag == tar.TypeXGlobalHeader || err == nil && p == "" {
			continue
		}
		for key := range h.PAXRecords {
			if strings.HasPrefix(key, "MSWINDOWS.") {
				return true, nil
			}
		}
		for _, root := range []string{layer.RootFiles, layer.RootHives, layer.RootUtilityVM} {
			if p == root || strings.HasPrefix(p, root+`\`) {
				return true, nil
			}
		}
		return false, nil
	}
}

// appendNative adds a layer for Windows as it is.
func appendNative(ctx context.Context, a *image.Assembly, opt *AppendOptions, s *source, h *ocispec.History) (*image.Layer, error) {
	base := len(a.Layers()) == 0
	read := opt.Read
	open := func() (io.ReadCloser, error) {
		rc, err := s.open()
		if err != nil || read == nil {
			return rc, err
		}
		count := &counted{rc, read}
		read = nil // what is read again is that of the destination
		return count, nil
	}
	place := wintar.HasParents()
	if base {
		place = wintar.Base()
	}
	return a.AddBlob(ctx, open, func(r io.Reader) error {
		for f, err := range wintar.Check(ctx, r, wintar.Label(s.label), wintar.WithLimits(opt.Limits), place) {
			if err != nil {
				return err
			}
			if f.Severity == finding.Error {
				return &layer.Error{Op: "read layer", Layer: s.label, Entry: f.Path, Offset: f.Offset, Err: fmt.Errorf("%w: %s: %s", ErrLayer, f.Rule, f.Message)}
			}
		}
		return nil
	}, h)
}

// counted reports the progress of reading.
type counted struct {
	io.ReadCloser
	read func(int64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.read(int64(n))
	return n, err
}

// appendOrdinary converts a directory or tar to a layer.
func appendOrdinary(ctx context.Context, a *image.Assembly, opt *AppendOptions, s *source, h *ocispec.History) (_ *image.Layer, err error) {
	p := newPlan(opt.Limits)
	r, err := s.reader(ctx, opt, nil)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(p.learn(ctx, r), r.Close()); err != nil {
		return nil, err
	}
	c := &converter{ctx: ctx, plan: p, dirs: map[string]*directory{}, heirs: map[string]heirs{},
		opt: conversion{label: s.label, contained: s.dir != "", base: len(a.Layers()) == 0}}
	if opt.Latest != nil {
		if c.opt.latest, err = winfs.FiletimeFromTime(*opt.Latest); err != nil {
			return nil, err
		}
	}
	if !c.opt.base {
		img, err := a.Image()
		if err != nil {
			return nil, err
		}
		tree, err := img.Tree(ctx)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, tree.Close()) }()
		c.tree = tree
	}
	if c.src, err = s.reader(ctx, opt, opt.Read); err != nil {
		return nil, err
	}
	return a.AddLayer(ctx, c, opt.Format, h)
}

// reader opens the source as a layer whose paths begin below Files.
func (s *source) reader(ctx context.Context, opt *AppendOptions, read func(int64)) (layer.Reader, error) {
	if s.dir != "" {
		return plaindir.Open(s.dir, plaindir.Options{})
	}
	rc, err := s.open()
	if err != nil {
		return nil, err
	}
	if read != nil {
		rc = &counted{rc, read}
	}
	return openTar(ctx, s.label, rc, opt.Limits)
}

// defaults are the descriptors where no layer below has one.
func defaults() heirs { return heirs{winsec.BuilderFile(), winsec.BuilderDirectory()} }

// inheritFile returns the descriptor of a new file or directory: administrators own it.
func inheritFile(parent []byte, dir bool) ([]byte, error) {
	return winsec.InheritFile(parent, winsec.SID{}, winsec.SID{}, dir)
}
