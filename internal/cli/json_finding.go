package cli

import (
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/finding/report"
	"github.com/mullion/mullion/image"
)

// jsonFinding is a line of a check. Offset counts in bytes from the start of Layer or File, or
// for a cell of a hive from the end of the base block.
type jsonFinding struct {
	Severity finding.Severity `json:"severity"`
	Rule     string           `json:"rule"`
	Layer    *jsonLayer       `json:"layer,omitempty"`
	File     wtf8             `json:"file,omitempty"` // a layer on its own, or a file of a set
	Path     wtf8             `json:"path,omitempty"`
	Value    wtf8             `json:"value,omitempty"`
	Offset   *int64           `json:"offset,omitempty"`
	Message  wtf8             `json:"message"`
	Hint     wtf8             `json:"hint,omitempty"`
	Fixed    bool             `json:"fixed,omitempty"`
}

// layerNames maps the names of layers in findings to the layers.
type layerNames map[string]*jsonLayer

// add names the layers of an image, and returns the names.
func (n layerNames) add(img *image.Image) (names []string) {
	for i, l := range img.Layers() {
		n[l.String()] = &jsonLayer{i, string(l.Descriptor.Digest)}
		names = append(names, l.String())
	}
	return names
}

func (n layerNames) finding(f finding.Finding) jsonFinding {
	out := jsonFinding{Severity: f.Severity, Rule: f.Rule, Layer: n[f.Layer], Path: wtf8(f.Path), Value: wtf8(f.Value),
		Message: wtf8(f.Message), Hint: wtf8(f.Hint)}
	if out.Layer == nil {
		out.File = wtf8(f.Layer)
	}
	if f.Offset >= 0 {
		out.Offset = &f.Offset
	}
	return out
}

// subjectOf returns what a check of an image is about, and names its layers.
func (f *checkFlags) subjectOf(name string, img *image.Image) report.Subject {
	if f.layers == nil {
		f.layers = layerNames{}
	}
	return report.Subject{Name: name, URI: referenceURI(name), Layers: f.layers.add(img)}
}
