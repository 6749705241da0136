package dockerfile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mullion/mullion/build/internal/content"
	"github.com/mullion/mullion/build/internal/draft"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// builder holds what a build opens, and closes it.
type builder struct {
	opt      *Options
	images   map[imageKey]*opened
	contexts map[string]*content.Context // build contexts, by directory
	close    []func() error              // in the order in which they were opened
}

type imageKey struct{ reference, platform string }

// opened is an image that a stage begins with or copies from.
type opened struct {
	*image.Image
	name  string // as FROM has it, "" if the reference is a build context's
	hives *image.Hives
	files image.Tree
}

func (b *builder) closeLater(f func() error) { b.close = append(b.close, f) }

// Close closes everything, the last first.
func (b *builder) Close() error {
	var errs []error
	for _, f := range slices.Backward(b.close) {
		errs = append(errs, f())
	}
	b.close = nil
	return errors.Join(errs...)
}

func (b *builder) warn(w Warning) {
	if b.opt.Warn != nil {
		b.opt.Warn(w)
	}
}

func (b *builder) progress(s Step) {
	if b.opt.Progress != nil {
		b.opt.Progress(s)
	}
}

// open opens an image, once for each reference and platform.
func (b *builder) open(ctx context.Context, reference string, p image.Platform) (*opened, error) {
	opts := slices.Clone(b.opt.Image)
	if p.OS == "" {
		p = b.opt.Platform
	}
	key := imageKey{reference, p.String()}
	if o := b.images[key]; o != nil {
		return o, nil
	}
	if p.OS != "" {
		if p.OS != "windows" {
			return nil, fmt.Errorf("%w: platform %s; stages are made of Windows images", ErrUnsupported, p)
		}
		opts = append(opts, image.WithPlatform(p))
	}
	img, err := image.Open(ctx, reference, opts...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", short(reference, 200), err)
	}
	b.closeLater(img.Close)
	if got := img.Platform(); got.OS != "windows" {
		return nil, fmt.Errorf("%w: %s is an image for %s; stages are made of Windows images", ErrUnsupported, short(reference, 200), got)
	}
	o := &opened{Image: img}
	b.images[key] = o
	b.closeLater(o.closeParts)
	return o, nil
}

func (o *opened) closeParts() error {
	var errs []error
	if o.files != nil {
		errs = append(errs, o.files.Close())
	}
	if o.hives != nil {
		errs = append(errs, o.hives.Close())
	}
	return errors.Join(errs...)
}

// tree returns the merged tree of the image.
func (o *opened) tree(ctx context.Context) (draft.Lower, error) {
	if len(o.Layers()) == 0 {
		return draft.NoLower, nil
	}
	if o.files == nil {
		t, err := o.Tree(ctx)
		if err != nil {
			return nil, err
		}
		o.files = t
	}
	return o.files, nil
}

// hive opens a hive as a container of the image sees it.
func (o *opened) hive(ctx context.Context, n hives.Name) (*regf.Hive, error) {
	if o.hives == nil {
		found, err := image.FindHives(ctx, o.Sources(ctx))
		if err != nil {
			return nil, err
		}
		o.hives = found
	}
	return o.hives.View(ctx, n)
}

// now returns the time of what the instructions of a stage make.
func (b *builder) now(st *stage) winfs.Filetime {
	t := b.opt.Epoch
	if t.IsZero() && st.img != nil && st.img.Config().Created != nil {
		t = *st.img.Config().Created
	}
	f, err := winfs.FiletimeFromTime(t)
	if t.IsZero() || err != nil { // nothing says a time, or it is one that Windows cannot have
		f, _ = winfs.FiletimeFromTime(time.Unix(0, 0))
	}
	return f
}
