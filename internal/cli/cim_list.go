package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/internal/ctxio"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/spf13/cobra"
)

// cimEntry is one name in the manifest that "cim ls --json" prints: an entry as ls prints
// it, and what only an image of CimFS has. The script contrib/windows/verify-cim.ps1
// compares it with the files on a Windows mount of the image.
type cimEntry struct {
	*jsonEntry
	ID           uint32 `json:"id"`
	Parent       uint32 `json:"parent,omitempty"`
	Sparse       bool   `json:"sparse,omitempty"`
	Stored       string `json:"stored,omitempty"`       // "image" for an executable stored with aligned sections
	SHA256       string `json:"sha256,omitempty"`       // as that of a stream
	SecurityData string `json:"securityData,omitempty"` // hex, self-relative
	Names        []wtf8 `json:"names,omitempty"`        // all paths of a file with hard links
}

func newCIMListCommand(c *console) *cobra.Command {
	var long bool
	cmd := &cobra.Command{
		Use:   "ls IMAGE.cim [PATH]",
		Short: "List the tree of an image",
		Long: `List every name in the image, or in the tree at PATH. -l adds attributes, kind,
size, creation and write time, and owner, as "mullion ls" does. --json prints
one object per line with all metadata and the SHA-256 of every stream;
verify-cim.ps1 reads this manifest.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			im, err := openCIM(cmd.Context(), args[0], nil)
			if err != nil {
				return err
			}
			defer im.Close()
			im.ListOddNames()
			l := &cimLister{c: c, im: im, long: long}
			if len(args) > 1 {
				if l.below, err = canonical(im, insidePath(args[1])); err != nil {
					return about(args[0], err)
				}
			}
			return about(args[0], l.list(cmd.Context()))
		},
	}
	cmd.Flags().BoolVarP(&long, "long", "l", false, "print attributes, kind, size, times and owner")
	c.addBytes(cmd)
	return cmd
}

// canonical returns a path in the spelling of the image.
func canonical(im *cimfs.Image, path string) (string, error) {
	if _, err := im.Lookup(path); err != nil || path == "" {
		return "", err
	}
	dir, base := winfs.SplitPath(path)
	up, err := canonical(im, dir)
	if err != nil {
		return "", err
	}
	f, err := im.Lookup(dir)
	if err != nil {
		return "", err
	}
	for e, err := range f.Entries() {
		if err != nil {
			return "", err
		}
		if winfs.EqualFold(e.Name, base) {
			return winfs.JoinPath(up, e.Name), nil
		}
	}
	return path, nil
}

type cimLister struct {
	rows  rows
	c     *console
	im    *cimfs.Image
	long  bool
	below string
	links map[cimfs.FileID][]wtf8 // names of files that have several
}

func (l *cimLister) list(ctx context.Context) error {
	if l.c.json {
		if err := l.findLinks(); err != nil {
			return err
		}
	}
	return l.im.Walk(func(path string, f *cimfs.File) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if l.below != "" && path != l.below && !winfs.Under(path, l.below) {
			return nil
		}
		switch {
		case l.c.json:
			return l.manifest(ctx, path, f)
		case path == "":
			return nil
		case !l.long && !l.c.colour:
			return l.c.printf("%s\n", path)
		}
		r, err := l.row(path, f)
		if err != nil {
			return err
		}
		return l.c.printRow(r, l.long, path)
	})
}

// row returns a name without its alternate streams.
func (l *cimLister) row(path string, f *cimfs.File) (row, error) {
	e := &layer.Entry{Path: path, Kind: layer.File, Attributes: f.Attributes(), Times: f.Times()}
	if f.IsDir() {
		e.Kind = layer.Dir
	} else {
		e.Size = f.Size()
	}
	var err error
	if e.Security, err = f.Security(); err != nil {
		return row{}, err
	}
	b, err := f.EAs()
	if err != nil {
		return row{}, err
	}
	if e.EAs, err = winfs.DecodeEAs(b); err != nil {
		return row{}, err
	}
	if e.Reparse, err = f.Reparse(); err != nil {
		return row{}, err
	}
	return l.rows.of(e), nil
}

// findLinks lists the names of every file that has several.
func (l *cimLister) findLinks() error {
	first := make(map[cimfs.FileID]string)
	l.links = make(map[cimfs.FileID][]wtf8)
	return l.im.Walk(func(path string, f *cimfs.File) error {
		if f.IsDir() {
			return nil
		}
		if old, ok := first[f.ID()]; ok {
			if l.links[f.ID()] == nil {
				l.links[f.ID()] = []wtf8{wtf8(old)}
			}
			l.links[f.ID()] = append(l.links[f.ID()], wtf8(path))
			return nil
		}
		first[f.ID()] = path
		return nil
	})
}

func (l *cimLister) manifest(ctx context.Context, path string, f *cimfs.File) error {
	r, err := l.row(path, f)
	if err != nil {
		return err
	}
	sd, err := f.Security()
	if err != nil {
		return err
	}
	e := cimEntry{jsonEntry: r.jsonEntry, ID: uint32(f.ID()), Parent: uint32(f.ParentID()),
		SecurityData: hex.EncodeToString(sd), Names: l.links[f.ID()]}
	e.Links = len(e.Names)
	if err := fillStreams(ctx, &e, f); err != nil {
		return err
	}
	return l.c.printJSONLine(e)
}

func fillStreams(ctx context.Context, e *cimEntry, f *cimfs.File) error {
	if !f.IsDir() {
		s, err := f.Data()
		if err != nil {
			return err
		}
		e.Sparse = s.Sparse()
		if s.Type() == cimfs.ImageStream {
			e.Stored = "image"
		}
		if e.SHA256, err = digest(ctx, s); err != nil {
			return err
		}
	}
	streams, err := f.Streams()
	for _, s := range streams {
		d, err := digest(ctx, s)
		if err != nil {
			return err
		}
		e.Streams = append(e.Streams, jsonStream{wtf8(s.Name()), s.Size(), s.Sparse(), d})
	}
	return err
}

// digest returns the SHA-256 of a stream in hex, or "" for a sparse stream, which may be
// too large to hash.
func digest(ctx context.Context, s *cimfs.Stream) (string, error) {
	if s.Sparse() {
		return "", nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, ctxio.Reader(ctx, s.Reader())); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
