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
	var filesOnly, registryOnly bool
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare the files and registry of two images or layers",
		Long: `Compare two images as containers see them, or two layers. Each difference is
printed on one line as added, removed or changed: first files, then registry
keys and values. The exit status is 1 if there are differences.

A changed file is followed by the aspects that differ: kind, name, attributes,
creation, access, write, change, security, eas, reparse, objectid, size,
content, streams, links.

The registry of an image is the base layer's hives with the delta hives of all
layers merged in. If both layers have only delta hives, the deltas are
compared. A key that exists on one side only is printed once, without its
subkeys. Key timestamps are ignored.

` + referenceHelp,
		Example: `  mullion diff oci:layout:v1 oci:layout:v2
  mullion diff --ignore times,security --files-only tar:a.tar.gz wclayer:dir
  mullion diff --registry-only docker://registry/app:1 docker://registry/app:2
  mullion diff --json oci:layout:v1 oci:layout:v2 | jq -r .key`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			skip, err := parseAspects(ignore)
			if err != nil {
				return err
			}
			if err := flags.check(args...); err != nil {
				return err
			}
			switch {
			case filesOnly && registryOnly:
				return usagef("--files-only and --registry-only leave nothing to compare")
			case args[0] == "tar:-" && args[1] == "tar:-":
				return usagef("standard input is one layer, not two")
			}
			var differ, registryDiffers bool
			if !registryOnly {
				if differ, err = flags.diffFiles(cmd.Context(), c, args, skip); err != nil {
					return err
				}
			}
			if !filesOnly && !registryOnly && (args[0] == "tar:-" || args[1] == "tar:-") {
				c.warnf("standard input can be read once: the registry is not compared; --registry-only does")
				filesOnly = true
			}
			if !filesOnly {
				if registryDiffers, err = flags.diffRegistry(cmd.Context(), c, [2]string(args), skip); err != nil {
					return err
				}
			}
			if differ || registryDiffers {
				return errFound
			}
			return nil
		},
	}
	flags.add(cmd)
	cmd.Flags().StringSliceVar(&ignore, "ignore", nil, "ignore these `ASPECTS`, for example times,security; times covers all four timestamps")
	cmd.Flags().BoolVar(&filesOnly, "files-only", false, "do not compare the registry")
	cmd.Flags().BoolVar(&registryOnly, "registry-only", false, "compare only the registry")
	return cmd
}

// diffFiles prints the differences between the files and reports whether there are any.
func (f *contentFlags) diffFiles(ctx context.Context, c *console, args []string, skip layer.Aspect) (bool, error) {
	a, closeA, err := f.side(ctx, c, args[0])
	if err != nil {
		return false, about(args[0], err)
	}
	b, closeB, err := f.side(ctx, c, args[1])
	if err != nil {
		return false, errors.Join(about(args[1], err), closeA())
	}
	changes, err := layer.Diff(ctx, a, b, layer.IgnoreAspects(skip), layer.WithDiffLimits(c.limits))
	if err = errors.Join(err, closeA(), closeB()); err != nil {
		return false, err
	}
	for i := range changes {
		if err := c.printChange(&changes[i]); err != nil {
			return false, err
		}
	}
	return len(changes) > 0, nil
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
				return 0, usagef("--ignore %s: not an aspect that is compared", w)
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
