package cli

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/mullion/mullion/history"
	"github.com/mullion/mullion/image"
)

// maxWasted is the number of files that "inspect --waste" lists as text.
const maxWasted = 30

const wasteHelp = `--waste reads the layers and prints instead which of their bytes a container
does not see, because layers above replace or delete them: for each layer, in
total, and by file, the most bytes first. The efficiency is the visible part of
all bytes. A file that a hard link keeps counts as visible, and so do delta
hives, to which the layers above add. docs/history.md defines the figures.`

// wasteReport is the output of "mullion inspect --waste --json".
type wasteReport struct {
	Reference  string        `json:"reference"`
	Digest     string        `json:"digest"`
	Total      int64         `json:"total"`
	Visible    int64         `json:"visible"`
	Wasted     int64         `json:"wasted"`
	Efficiency float64       `json:"efficiency"`
	Layers     []wastedLayer `json:"layers"`
	Files      []wastedFile  `json:"files"`
}

type wastedLayer struct {
	Index   int           `json:"index"`
	Digest  string        `json:"digest"`
	Size    int64         `json:"size"`
	Wasted  int64         `json:"wasted"`
	History *layerHistory `json:"history,omitempty"`
}

type wastedFile struct {
	Path    wtf8         `json:"path"`
	Wasted  int64        `json:"wasted"`
	Removed bool         `json:"removed"`
	Copies  []wastedCopy `json:"copies"`
}

type wastedCopy struct {
	Layer jsonLayer `json:"layer"`
	Size  int64     `json:"size"`
}

// printWaste reads the layers of an image and prints what they waste.
func (c *console) printWaste(ctx context.Context, img *image.Image) error {
	thrifty()
	w, err := history.Survey(ctx, img.Sources(ctx), c.limits)
	if err != nil {
		return imageHint(err)
	}
	c.stopProgress()
	out := &wasteReport{
		Reference: img.Reference().String(), Digest: string(img.Digest()),
		Total: w.Total, Visible: w.Visible, Wasted: w.Wasted, Efficiency: math.Round(w.Efficiency()*1e6) / 1e6,
		Layers: []wastedLayer{}, Files: []wastedFile{},
	}
	histories := historiesOf(img)
	for i, l := range img.Layers() {
		row := wastedLayer{Index: i, Digest: string(l.Descriptor.Digest), Size: w.Layers[i].Size, Wasted: w.Layers[i].Wasted}
		if histories != nil {
			row.History = histories[i]
		}
		out.Layers = append(out.Layers, row)
	}
	if !c.json {
		return out.print(c, w.Files)
	}
	for _, f := range w.Files {
		x := wastedFile{Path: wtf8(f.Path), Wasted: f.Wasted, Removed: f.Removed}
		for _, k := range f.Copies {
			of := jsonLayer{Index: k.Layer, Digest: out.Layers[k.Layer].Digest}
			x.Copies = append(x.Copies, wastedCopy{of, k.Size})
		}
		out.Files = append(out.Files, x)
	}
	return c.printJSON(out)
}

func (r *wasteReport) print(c *console, files []history.WastedFile) error {
	var b strings.Builder
	fmt.Fprintf(&b, "LAYER  %-19s  %15s  %15s\n", "DIGEST", "SIZE", "WASTED")
	for _, l := range r.Layers {
		fmt.Fprintf(&b, "%-5d  %-19.19s  %15s  %15s\n", l.Index, l.Digest, c.size(l.Size), c.size(l.Wasted))
		if l.History != nil {
			if line := cmp.Or(l.History.CreatedBy, l.History.Comment); line != "" {
				fmt.Fprintf(&b, "       %s\n", visible(line))
			}
		}
	}
	fmt.Fprintf(&b, "%-26s  %15s  %15s\nefficiency %.2f %%\n", "total", c.size(r.Total), c.size(r.Wasted), 100*r.Efficiency)
	for i, f := range files {
		if i == 0 {
			fmt.Fprintf(&b, "\n%15s  %6s  %-8s  PATH\n", "WASTED", "COPIES", "STATE")
		}
		if i == maxWasted {
			rest := int64(0)
			for _, f := range files[i:] {
				rest += f.Wasted
			}
			fmt.Fprintf(&b, "%15s  in %d more files; --json lists all\n", c.size(rest), len(files)-i)
			break
		}
		state := "replaced"
		if f.Removed {
			state = "removed"
		}
		fmt.Fprintf(&b, "%15s  %6d  %-8s  %s\n", c.size(f.Wasted), len(f.Copies), state, visible(f.Path))
	}
	return c.printText(b.String())
}
