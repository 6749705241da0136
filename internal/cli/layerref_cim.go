package cli

import (
	"context"
	"iter"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
)

// cimFormat is cim:FILE.cim, a CimFS image. With a parent, a fork is written.
var cimFormat = &layerFormat{
	scheme: "cim",
	flags:  []string{"cim-version", "guid"},
	open: func(ctx context.Context, c *console, name string, _ *layerOptions) (layer.Reader, error) {
		im, err := openCIM(ctx, "cim:"+name, nil)
		if err != nil {
			return nil, err
		}
		return &cimReader{cimlayer.NewImageReader(im), im}, nil
	},
	check: func(ctx context.Context, c *console, path string, o *layerOptions) iter.Seq2[finding.Finding, error] {
		return func(yield func(finding.Finding, error) bool) {
			dir, name := splitFile(path)
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				yield(finding.Finding{}, err) // a missing file is an error, not a finding
				return
			}
			bar := c.progress("read", 0)
			defer bar.done()
			opts := cimlayer.CheckOptions{Label: path, Base: o.base, HasParents: len(o.parents) > 0, Below: o.below, Limits: imageLimits(o.limits), Layer: o.limits}
			cimlayer.Check(ctx, &cimFiles{ctx, dir, bar}, name, opts)(yield)
		}
	},
	create: func(_ context.Context, c *console, name string, o *layerOptions) (layer.Writer, error) {
		opts, err := o.cim.options()
		if err != nil {
			return nil, err
		}
		parent, err := o.parentCIM(name)
		if err != nil {
			return nil, err
		}
		return c.createCIM(name, parent, opts)
	},
}

// parentCIM returns the file name of the image that a new image is forked from, or ""
// without --parent. Only the immediate parent is used, because its image contains the
// whole tree.
func (o *layerOptions) parentCIM(name string) (string, error) {
	if len(o.parents) == 0 {
		return "", nil
	}
	ref, err := mustLayerRef(o.parents[0])
	if err != nil {
		return "", err
	}
	if ref.format.scheme != "cim" {
		return "", usagef("--parent %s: the parent of a CimFS image must be a CimFS image, cim:FILE.cim", o.parents[0])
	}
	dir, parent := splitFile(ref.name)
	if out, _ := splitFile(name); !sameDir(dir, out) {
		return "", usagef("%s: a fork lies in the directory of its parent, %s", name, dir)
	}
	return parent, nil
}
