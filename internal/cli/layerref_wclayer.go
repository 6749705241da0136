package cli

import (
	"context"
	"iter"
	"slices"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wclayer"
	"github.com/mullion/mullion/wctransport"
)

// wclayerFormat is wclayer:DIR, a final layer directory or a transport directory.
var wclayerFormat = &layerFormat{
	scheme: "wclayer",
	flags:  []string{"transport"},
	open: func(_ context.Context, _ *console, name string, o *layerOptions) (layer.Reader, error) {
		return wclayer.Open(name, wclayer.WithLimits(o.limits))
	},
	check: func(ctx context.Context, _ *console, name string, o *layerOptions) iter.Seq2[finding.Finding, error] {
		opts := []wclayer.Option{wclayer.WithLimits(o.limits)}
		switch {
		case o.base:
			opts = append(opts, wclayer.AsBase())
		case len(o.parents) > 0:
			opts = append(opts, wclayer.HasParents())
			if o.below != nil {
				opts = append(opts, wclayer.Below(o.below))
			}
		}
		return wclayer.Check(ctx, name, opts...)
	},
	create: func(_ context.Context, _ *console, name string, o *layerOptions) (layer.Writer, error) {
		if o.transport {
			if len(o.parents) > 0 {
				return nil, usagef("--parent has no effect on a transport directory, which has no parents")
			}
			w, err := wctransport.Create(name, wctransport.WithLimits(o.limits))
			return w, newFolderHint(err)
		}
		parents, err := o.parentFolders()
		if err != nil {
			return nil, err
		}
		w, err := wclayer.Create(name, parents, wclayer.WithLimits(o.limits))
		return w, newFolderHint(err)
	},
}

// parentFolders returns the directories named by --parent, base first.
func (o *layerOptions) parentFolders() ([]string, error) {
	var dirs []string
	for _, p := range slices.Backward(o.parents) {
		ref, err := mustLayerRef(p)
		if err != nil {
			return nil, err
		}
		if ref.format.scheme != "wclayer" {
			return nil, usagef("--parent %s: the parent of a layer directory must be a layer directory, wclayer:DIR", p)
		}
		dirs = append(dirs, ref.name)
	}
	return dirs, nil
}
