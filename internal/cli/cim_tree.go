package cli

import (
	"context"
	"os"
	"strings"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/internal/plaindir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winsec"
)

// openTree opens a layer reference or a plain directory for reading.
func (c *console) openTree(ctx context.Context, ref string) (layer.Reader, error) {
	if l, ok := parseLayerRef(ref); ok {
		r, err := l.open(ctx, c, &layerOptions{limits: c.limits})
		return r, about(ref, err)
	}
	if strings.HasSuffix(strings.ToLower(ref), ".cim") {
		return cimFormat.open(ctx, c, ref, nil)
	}
	r, err := plaindir.Open(ref, plaindir.Options{FileSecurity: winsec.BuilderFile(), DirSecurity: winsec.BuilderDirectory()})
	if err != nil {
		if info, statErr := os.Stat(ref); statErr == nil && info.Mode().IsRegular() {
			err = hintf(err, "a tar is named tar:%s", ref)
		}
		return nil, about(ref, err)
	}
	return r, nil
}

// createTree returns a writer for a layer reference or a plain directory.
func (c *console) createTree(ctx context.Context, ref string) (layer.Writer, error) {
	if l, ok := parseLayerRef(ref); ok {
		w, err := l.create(ctx, c, &layerOptions{limits: c.limits})
		return w, about(ref, err)
	}
	w, err := plaindir.Create(ref)
	return w, about(ref, err)
}

// warnLost prints a warning about metadata that a plain directory could not store.
func (c *console) warnLost(dst layer.Writer) {
	if w, ok := dst.(*plaindir.Writer); ok {
		if lost := w.Lost().String(); lost != "" {
			c.warnf("a plain directory cannot hold: %s", lost)
		}
	}
}

// copyLayer copies src to dst within the limits. It shows progress unless the file that
// src reads has a progress bar.
func (c *console) copyLayer(ctx context.Context, dst layer.Writer, src layer.Reader, label string, opts ...layer.CopyOption) (layer.Stats, error) {
	opts = append(opts, layer.WithLimits(c.limits))
	if !c.drawn() {
		bar := c.progress(label, 0)
		defer bar.done()
		var shown int64
		opts = append(opts, layer.WithProgress(func(p layer.Progress) {
			bar.add(p.Bytes - shown)
			shown = p.Bytes
		}))
	}
	return layer.Copy(ctx, dst, src, opts...)
}

// asLayer returns the reader of what a layer must be that has the tree of src: of a merged
// image one base layer. The caller closes src and not the result.
func asLayer(src layer.Reader) (layer.Reader, error) {
	r, ok := src.(*cimReader)
	if !ok {
		return src, nil
	}
	if merged, err := cimlayer.IsMerged(r.im); !merged || err != nil {
		return src, err
	}
	return cimlayer.NewBaseReader(r.im)
}

// cimReader is a reader of an image that closes the image.
type cimReader struct {
	*cimlayer.ImageReader
	im *cimfs.Image
}

func (r *cimReader) Close() error {
	if err := r.ImageReader.Close(); err != nil {
		r.im.Close()
		return err
	}
	return r.im.Close()
}
