package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/spf13/cobra"
)

// changed is a difference as --json prints it.
type changed struct {
	Change string       `json:"change"` // added, removed or changed
	Path   wtf8         `json:"path"`
	What   []string     `json:"what,omitempty"`
	Before *changedSide `json:"before,omitempty"`
	After  *changedSide `json:"after,omitempty"`
}

type changedSide struct {
	Kind       string `json:"kind"`
	Target     wtf8   `json:"target,omitempty"`
	Attributes uint32 `json:"attributes"`
	Size       int64  `json:"size"`
	Written    string `json:"written,omitempty"`
}

func newDiffCommand(c *console) *cobra.Command {
	var flags contentFlags
	var ignore []string
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare the files of two images or layers",
		Long: `Compare the files of two images, as containers would see them, or of two layers, and
print what was added, removed or changed, one path a line. Of what changed is told what:
kind, name, attributes, creation, access, write, change, security, eas, reparse,
objectid, size, content, streams, links. The status is 1 if anything differs.

` + referenceHelp,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			skip, err := parseAspects(ignore)
			if err != nil {
				return err
			}
			a, closeA, err := flags.side(cmd.Context(), c, args[0])
			if err != nil {
				return about(args[0], err)
			}
			b, closeB, err := flags.side(cmd.Context(), c, args[1])
			if err != nil {
				return errors.Join(about(args[1], err), closeA())
			}
			changes, err := layer.Diff(cmd.Context(), a, b, layer.IgnoreAspects(skip), layer.WithDiffLimits(c.limits))
			if err = errors.Join(err, closeA(), closeB()); err != nil {
				return err
			}
			for i := range changes {
				if err := c.printChange(&changes[i]); err != nil {
					return err
				}
			}
			if len(changes) > 0 {
				return errFound
			}
			return nil
		},
	}
	flags.add(cmd)
	cmd.Flags().StringSliceVar(&ignore, "ignore", nil, "do not compare these, `times,security`; times is all four")
	return cmd
}

// side opens one side of a comparison: a layer, or the merged view of an image.
func (f *contentFlags) side(ctx context.Context, c *console, ref string) (layer.Source, func() error, error) {
	source, done, err := f.openLayer(ctx, c, ref)
	if err != nil {
		return nil, nil, err
	}
	if source != nil {
		return layer.SourceFunc(func() (layer.Reader, error) {
			r, err := source.Open()
			return r, about(ref, err)
		}), done, nil
	}
	view, done, err := f.openView(ctx, c, ref)
	if err != nil {
		return nil, nil, err
	}
	return view.Source(), done, nil
}

// parseAspects reads the words of --ignore.
func parseAspects(words []string) (layer.Aspect, error) {
	var set layer.Aspect
	for _, w := range words {
		a := layer.AspectTimes
		if w != "times" {
			for a = 1; a <= layer.AspectLinks && a.String() != w; a <<= 1 {
			}
			if a > layer.AspectLinks {
				return 0, usagef("--ignore %s: nothing of that name is compared", w)
			}
		}
		set |= a
	}
	return set, nil
}

func (c *console) printChange(ch *layer.Change) error {
	if !c.json {
		what := ""
		if ch.What != 0 {
			what = " (" + ch.What.String() + ")"
		}
		return c.printf("%-7s %s%s\n", ch.Kind, ch.Path, what)
	}
	out := changed{Change: ch.Kind.String(), Path: wtf8(ch.Path), Before: sideOf(ch.Before), After: sideOf(ch.After)}
	if ch.What != 0 {
		out.What = strings.Split(ch.What.String(), ",")
	}
	return c.printJSONLine(out)
}

func sideOf(s *layer.Side) *changedSide {
	if s == nil {
		return nil
	}
	return &changedSide{s.Kind.String(), wtf8(s.Target), uint32(s.Attributes), s.Size, showTime(s.Times.LastWrite)}
}
