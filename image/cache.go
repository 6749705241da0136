package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/mullion/mullion/internal/cache"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layerindex"
)

// DefaultCacheSize is the usual limit of a [Cache] in bytes.
const DefaultCacheSize = cache.DefaultLimit

// DefaultCacheDir returns the usual directory of a [Cache]: mullion in the cache directory
// of the user, $XDG_CACHE_HOME or its like.
func DefaultCacheDir() (string, error) { return cache.DefaultDir() }

// Cache is a directory in which the indexes of layers (package layerindex) and answers made
// of them are kept, so that a layer is read once for all questions about it. The directory
// is private to the user. What is damaged in it, or not the user's alone, is made again,
// and of a cache that fails nothing fails but its use. It is safe for concurrent use, also
// by several processes.
type Cache struct {
	dir  *cache.Dir
	note func(error)
}

// OpenCache opens the cache in a directory, which is made if it does not exist. When its
// files have more than limit bytes together, those that were not used for the longest time
// are removed. note is called with the errors of the cache, which nothing else reports; it
// may be nil and must be safe for concurrent use. The caller closes the cache after the
// images that use it.
func OpenCache(dir string, limit int64, note func(error)) (*Cache, error) {
	d, err := cache.Open(dir, limit)
	if err != nil {
		return nil, err
	}
	if note == nil {
		note = func(error) {}
	}
	return &Cache{d, note}, nil
}

// Close closes the directory.
func (c *Cache) Close() error { return c.dir.Close() }

// WithCache makes an image answer from the indexes in a cache, and leave an index of each
// layer there that it has read to the end. Without a cache an index lives as long as its
// image.
func WithCache(c *Cache) Option { return func(o *options) { o.cache = c } }

// indexName is the name of the index of a layer in a cache.
func (l *Layer) indexName() string {
	_, blob, _ := strings.Cut(string(l.Descriptor.Digest), ":")
	_, plain, _ := strings.Cut(string(l.DiffID), ":")
	return fmt.Sprintf("%.64s-%.32s.index", blob, plain)
}

// index returns the index of the layer that is at hand, nil if there is none.
func (l *Layer) index() *layerindex.Index {
	if l.origin != nil {
		return l.origin.index()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.img.opts.cache; l.known == nil && c != nil && !l.looked {
		x, err := l.load(c)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.note(fmt.Errorf("%v: the index in the cache is not used: %w", l, err))
			if err := c.dir.Remove(l.indexName()); err != nil {
				c.note(err)
			}
		}
		l.known = x
	}
	l.looked = true
	return l.known
}

// load opens the index in the cache.
func (l *Layer) load(c *Cache) (*layerindex.Index, error) {
	f, err := c.dir.Get(l.indexName())
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	x, err := layerindex.Open(f, info.Size())
	if err == nil && (x.Digest() != string(l.Descriptor.Digest) || x.DiffID() != string(l.DiffID) || x.StoredSize() != l.Descriptor.Size) {
		err = fmt.Errorf("%w: it is that of another layer", layerindex.ErrDamaged)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if l.expands(x) {
		return nil, f.Close() // reading the layer reports it
	}
	return x, nil
}

// expands reports whether a layer is beyond the limit of the image for decompression.
func (l *Layer) expands(x *layerindex.Index) bool {
	ratio := l.img.opts.limits.WithDefaults().Ratio
	return ratio > 0 && x.PlainSize() > layer.RatioFloor && x.PlainSize()/ratio > x.StoredSize()
}

// keep makes a new index that of the layer, and puts it into the cache. From there it is
// opened again, because that takes less memory.
func (l *Layer) keep(x *layerindex.Index) {
	if l.origin != nil {
		l.origin.keep(x)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known != nil {
		x.Close()
		return
	}
	l.known = x
	c := l.img.opts.cache
	if c == nil {
		return
	}
	if err := c.dir.Put(l.indexName(), x.Encode); err != nil {
		c.note(fmt.Errorf("%v: the index is not kept: %w", l, err))
		return
	}
	if kept, err := l.load(c); err == nil && kept != nil {
		l.known = kept
		x.Close()
	}
}

// distrust removes an index whose map has turned out to be damaged, so that the next use of
// the layer makes it again.
func (l *Layer) distrust(err error) {
	if l.origin != nil {
		l.origin.distrust(err)
		return
	}
	c := l.img.opts.cache
	if c == nil {
		return
	}
	c.note(fmt.Errorf("%v: the index in the cache is removed: %w", l, err))
	if err := c.dir.Remove(l.indexName()); err != nil {
		c.note(err)
	}
}

// forget closes the index.
func (l *Layer) forget() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.known
	l.known, l.looked = nil, true
	if x == nil {
		return nil
	}
	return x.Close()
}

// maxAnswer bounds a file of an answer.
const maxAnswer = 16 << 20

// answerName is the name of an answer in a cache. The configuration of an image names the
// content of all layers, and its digest is part of the name.
func (i *Image) answerName(kind string) string {
	_, digits, _ := strings.Cut(string(i.manifest.Manifest.Config.Digest), ":")
	return fmt.Sprintf("%.64s-%s.answer", digits, kind)
}

// Answer fills v, as encoding/json decodes it, with what the cache has kept under a kind
// for the image, and reports whether there was anything. The kind names the question and
// the form of v, in lower-case letters and digits. An image that was opened with a limit below
// its default has no answers, for nothing tells whether they can be found under it.
func (i *Image) Answer(kind string, v any) bool {
	c := i.opts.cache
	if c == nil || !i.opts.limits.Allow(layer.Limits{}) {
		return false
	}
	f, err := c.dir.Get(i.answerName(kind))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.note(err)
		}
		return false
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxAnswer))
	if err == nil {
		// The SHA-256 of the document in hex is its first line.
		const line = 2*sha256.Size + 1
		err = layerindex.ErrDamaged
		if len(raw) > line {
			if sum := sha256.Sum256(raw[line:]); hex.EncodeToString(sum[:])+"\n" == string(raw[:line]) {
				err = json.Unmarshal(raw[line:], v)
			}
		}
	}
	if err != nil {
		c.note(fmt.Errorf("the answer %s in the cache is not used: %w", kind, err))
		if err := c.dir.Remove(i.answerName(kind)); err != nil {
			c.note(err)
		}
		return false
	}
	return true
}

// Keep keeps v, as encoding/json encodes it, for Answer. It must follow from the layers and
// the configuration of the image alone. Nothing is kept while a layer has no index: its
// blob was not read to the end then, and may be another than the configuration names,
// which other images have too. Nor is it kept with a limit above its default, without which
// there might be no answer.
func (i *Image) Keep(kind string, v any) {
	c := i.opts.cache
	if c == nil || !(layer.Limits{}).Allow(i.opts.limits) {
		return
	}
	for _, l := range i.layers {
		if l.index() == nil {
			return
		}
	}
	raw, err := json.Marshal(v)
	if bytes.Contains(raw, []byte(`\ufffd`)) || bytes.Contains(raw, []byte("\ufffd")) {
		return // names that are not Unicode would come back as others
	}
	if err == nil && len(raw) < maxAnswer/2 {
		err = c.dir.Put(i.answerName(kind), func(w io.Writer) error {
			sum := sha256.Sum256(raw)
			_, err := fmt.Fprintf(w, "%x\n%s", sum, raw)
			return err
		})
	}
	if err != nil {
		c.note(fmt.Errorf("the answer %s is not kept: %w", kind, err))
	}
}
