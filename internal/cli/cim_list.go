package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/internal/ctxio"
	"github.com/mullion/mullion/winfs"
	"github.com/spf13/cobra"
)

// cimEntry is one name in the manifest that "cim ls --json" prints. The script
// contrib/windows/verify-cim.ps1 compares it with the files on a Windows mount of the
// image.
type cimEntry struct {
	Path       wtf8        `json:"path"`
	ID         uint32      `json:"id"`
	Kind       string      `json:"kind"` // file or directory
	Attributes uint32      `json:"attributes"`
	Creation   string      `json:"creation"`
	LastAccess string      `json:"last_access"`
	LastWrite  string      `json:"last_write"`
	Change     string      `json:"change"`
	Security   string      `json:"security,omitempty"` // hex, self-relative
	EAs        []cimEA     `json:"eas,omitempty"`
	ReparseTag string      `json:"reparse_tag,omitempty"`
	Reparse    string      `json:"reparse,omitempty"` // hex, whole buffer
	Target     wtf8        `json:"target,omitempty"`
	Size       *int64      `json:"size,omitempty"` // of files
	Sparse     bool        `json:"sparse,omitempty"`
	Stored     string      `json:"stored,omitempty"` // "image" for an executable stored with aligned sections
	SHA256     string      `json:"sha256,omitempty"` // empty for a sparse stream, which is all zeros
	Streams    []cimStream `json:"streams,omitempty"`
	Links      []wtf8      `json:"links,omitempty"` // all names of a file with hard links
	Parent     uint32      `json:"parent,omitempty"`
}

type cimEA struct {
	Name  string `json:"name"`
	Flags byte   `json:"flags"`
	Value string `json:"value"` // hex
}

type cimStream struct {
	Name   wtf8   `json:"name"`
	Size   int64  `json:"size"`
	Sparse bool   `json:"sparse,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
}

func newCIMListCommand(c *console) *cobra.Command {
	var long bool
	cmd := &cobra.Command{
		Use:   "ls IMAGE.cim [PATH]",
		Short: "List the tree of an image",
		Long: `List every name in the image, or in the tree at PATH. -l adds attributes, last
write time and size. --json prints one object per line with all metadata and
the SHA-256 of every stream; verify-cim.ps1 reads this manifest.`,
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
	cmd.Flags().BoolVarP(&long, "long", "l", false, "print attributes, last write time and size")
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
		case l.long:
			return l.c.printf("%s %s %15d %s\n", f.Attributes(), f.Times().LastWrite, f.Size(), path)
		}
		return l.c.printf("%s\n", path)
	})
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
	t := f.Times()
	e := cimEntry{Path: wtf8(path), ID: uint32(f.ID()), Kind: "file", Attributes: uint32(f.Attributes()),
		Creation: t.Creation.String(), LastAccess: t.LastAccess.String(), LastWrite: t.LastWrite.String(), Change: t.Change.String(),
		Links: l.links[f.ID()], Parent: uint32(f.ParentID())}
	if f.IsDir() {
		e.Kind = "directory"
	}
	for _, fill := range []func(*cimEntry, *cimfs.File) error{fillSecurity, fillEAs, fillReparse} {
		if err := fill(&e, f); err != nil {
			return err
		}
	}
	if err := fillStreams(ctx, &e, f); err != nil {
		return err
	}
	return l.c.printJSONLine(e)
}

func fillSecurity(e *cimEntry, f *cimfs.File) error {
	sd, err := f.Security()
	e.Security = hex.EncodeToString(sd)
	return err
}

func fillEAs(e *cimEntry, f *cimfs.File) error {
	b, err := f.EAs()
	if err != nil {
		return err
	}
	list, err := winfs.DecodeEAs(b)
	for _, ea := range list {
		e.EAs = append(e.EAs, cimEA{ea.Name, ea.Flags, hex.EncodeToString(ea.Value)})
	}
	return err
}

func fillReparse(e *cimEntry, f *cimfs.File) error {
	b, err := f.Reparse()
	if err != nil || len(b) == 0 {
		return err
	}
	e.Reparse, e.ReparseTag = hex.EncodeToString(b), winfs.ReparseTagName(f.ReparseTag())
	if p, err := winfs.ParseReparse(b); err == nil {
		e.Target = wtf8(p.Target())
	}
	return nil
}

func fillStreams(ctx context.Context, e *cimEntry, f *cimfs.File) error {
	if !f.IsDir() {
		s, err := f.Data()
		if err != nil {
			return err
		}
		size := s.Size()
		e.Size, e.Sparse = &size, s.Sparse()
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
		e.Streams = append(e.Streams, cimStream{wtf8(s.Name()), s.Size(), s.Sparse(), d})
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
