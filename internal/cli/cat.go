package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/internal/ctxio"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
	"github.com/spf13/cobra"
)

func newCatCommand(c *console) *cobra.Command {
	var flags contentFlags
	var out outputFlags
	cmd := &cobra.Command{
		Use:   "cat IMAGE|LAYER PATH[:STREAM]",
		Short: "Print a file of an image or a layer",
		Long: `Print a file of an image as a container sees it, or of a single layer. A stream
name after the path selects an alternate data stream. A terminal gets text only.

The paths Hives\SYSTEM_BASE, Hives\SOFTWARE_BASE, Hives\SAM_BASE,
Hives\SECURITY_BASE and Hives\DEFAULTUSER_BASE select the registry of the
image: the hives of the base layer with the delta hives of all other layers
merged in. No layer contains these merged hives; "unpack" writes the same ones.

` + referenceHelp,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.check(args[0]); err != nil {
				return err
			}
			path, stream, _ := winfs.CutStream(insidePath(args[1]))
			source, done, err := flags.openLayer(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			if source != nil {
				ref, isRef := parseLayerRef(args[0])
				again := !isRef || ref.reopens()
				return errors.Join(out.write(c, func(w io.Writer) error {
					return flags.catLayer(cmd.Context(), w, source, path, stream, again)
				}), done())
			}
			if n, form, ok := hives.Match(path); ok && form == hives.Base && stream == "" {
				return catHive(cmd.Context(), c, &flags, &out, args[0], n)
			}
			tree, done, err := flags.openTree(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			return errors.Join(out.write(c, func(w io.Writer) error { return catTree(cmd.Context(), w, tree, c.limits, path, stream) }), done())
		},
	}
	flags.add(cmd)
	out.add(cmd, "the content")
	return cmd
}

// catHive prints a merged hive.
func catHive(ctx context.Context, c *console, flags *contentFlags, out *outputFlags, text string, n hives.Name) (err error) {
	r, err := flags.openRegistry(ctx, c, text, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	h, err := r.Open(ctx, n)
	if err != nil {
		return registryHint(err)
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	return out.write(c, func(w io.Writer) error {
		err := h.WriteImage(w)
		var re *regf.Error
		if errors.As(err, &re) && re.Path == "" && re.Offset < 0 {
			return re.Err // of the writer, which the operation of the hive says nothing about
		}
		return registryHint(err)
	})
}

func catTree(ctx context.Context, w io.Writer, t image.Tree, limits layer.Limits, path, stream string) error {
	if _, err := t.Lookup(path); err != nil {
		return notFound(path, err)
	}
	r, err := t.Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	r = layer.LimitReader(r, limits)
	e, err := r.Next()
	if err != nil {
		return err
	}
	return copyStream(ctx, w, r, e, stream)
}

// catLayer finds a file in a single layer. A hard link is followed if the layer can
// be read again, and into the layers below if they are at hand.
func (f *contentFlags) catLayer(ctx context.Context, w io.Writer, source layer.Source, path, stream string, again bool) error {
	target, err := findIn(ctx, w, source, path, stream)
	if err != nil || target == "" {
		return err
	}
	if again {
		target, err = findIn(ctx, w, source, target, stream)
		if err == nil && target == "" || !errors.Is(err, fs.ErrNotExist) && err != nil {
			return err
		}
	}
	if len(f.below) > 0 {
		return catBelow(ctx, w, f.below, f.options.limits, target, stream)
	}
	return hintf(fmt.Errorf("%s is a hard link to %s, which is not in this layer", path, target),
		"name the image instead of the layer, or use that path")
}

func catBelow(ctx context.Context, w io.Writer, below []layer.Source, limits layer.Limits, path, stream string) (err error) {
	view, err := layer.Union(ctx, below, layer.WithUnionLimits(limits))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	return catTree(ctx, w, view, limits, path, stream)
}

// findIn copies the file at path to w; for a hard link it returns the target instead.
func findIn(ctx context.Context, w io.Writer, source layer.Source, path, stream string) (target string, err error) {
	r, err := source.Open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		e, err := r.Next()
		if err == io.EOF {
			return path, notFound(path, fs.ErrNotExist)
		}
		if err != nil {
			return "", err
		}
		if !winfs.EqualFold(e.Path, path) || e.Kind == layer.Opaque {
			continue
		}
		if e.Kind == layer.Link {
			return e.Target, nil
		}
		return "", copyStream(ctx, w, r, e, stream)
	}
}

// copyStream copies a stream of the current entry.
func copyStream(ctx context.Context, w io.Writer, r layer.Reader, e *layer.Entry, stream string) error {
	name := e.Path
	if stream == "" {
		switch {
		case e.IsReparsePoint():
			target := ""
			if p, err := winfs.ParseReparse(e.Reparse); err == nil {
				target = p.Target()
			}
			return fmt.Errorf("%s is a link to %q", name, target)
		case e.Kind == layer.Dir:
			if name == "" {
				name = `\`
			}
			return hintf(fmt.Errorf("%s is a directory", name), "mullion extract writes a directory to disk")
		case e.Kind != layer.File:
			return fmt.Errorf("%s is a %v", name, e.Kind)
		}
	}
	for {
		s, err := r.NextStream()
		if err == io.EOF {
			if stream == "" {
				return nil
			}
			return fmt.Errorf("%s: no stream %q: %w", name, stream, fs.ErrNotExist)
		}
		if err != nil {
			return err
		}
		if winfs.EqualFold(s.Name, stream) {
			_, err := io.Copy(w, ctxio.Reader(ctx, r))
			return err
		}
	}
}
