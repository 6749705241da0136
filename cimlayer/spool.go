package cimlayer

import (
	"errors"
	"io"
	"os"

	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
)

// spool keeps alternate streams of queued files until Commit, in a file that is
// never published.
type spool struct {
	root *os.Root
	f    *publish.Part
	size int64
}

const spoolName = ".mullion-spool"

type spooledStream struct {
	layer.Stream
	at int64
}

func newSpool(root *os.Root) (*spool, error) {
	f, err := publish.CreatePart(root, spoolName, 0o600)
	if err != nil {
		return nil, err
	}
	return &spool{root: root, f: f}, nil
}

func (s *spool) Write(p []byte) (int, error) {
	n, err := s.f.WriteAt(p, s.size)
	s.size += int64(n)
	return n, err
}

func (s *spool) copyTo(w io.Writer, st *spooledStream) error {
	_, err := copyTo(w, io.NewSectionReader(s.f, st.at, st.Size))
	return err
}

func (s *spool) remove() error {
	return errors.Join(s.f.Close(), publish.Remove(s.root, spoolName))
}

// copyTo is io.Copy with a large buffer and no detours.
func copyTo(w io.Writer, r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, 1<<20))
}
