package snapshotter

import (
	"crypto/sha256"
	"hash"

	"github.com/opencontainers/go-digest"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wintar"
)

// tarSum computes the diff ID of a layer: the digest of its tar, which is written
// nowhere.
type tarSum struct {
	tar  *wintar.Writer
	hash hash.Hash
	size int64
}

func newTarSum() *tarSum {
	t := &tarSum{hash: sha256.New()}
	t.tar = wintar.NewWriter(t)
	return t
}

func (t *tarSum) Write(p []byte) (int, error) {
	t.size += int64(len(p))
	return t.hash.Write(p)
}

func (t *tarSum) finish() (digest.Digest, int64, error) {
	if err := t.tar.Commit(); err != nil {
		return "", 0, err
	}
	return digest.NewDigest(digest.SHA256, t.hash), t.size, nil
}

// both writes one layer twice. It keeps no holes: a tar does not know them.
type both struct{ a, b layer.Writer }

func (w *both) Add(e *layer.Entry) error {
	if err := w.a.Add(e); err != nil {
		return err
	}
	return w.b.Add(e)
}

func (w *both) AddStream(s *layer.Stream) error {
	if err := w.a.AddStream(s); err != nil {
		return err
	}
	return w.b.AddStream(s)
}

func (w *both) Write(p []byte) (int, error) {
	if n, err := w.a.Write(p); err != nil {
		return n, err
	}
	return w.b.Write(p)
}

func (w *both) Commit() error {
	if err := w.a.Commit(); err != nil {
		return err
	}
	return w.b.Commit()
}

func (w *both) Close() error {
	err := w.a.Close()
	if e := w.b.Close(); err == nil {
		err = e
	}
	return err
}
