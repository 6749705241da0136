package snapshotter

import (
	"io/fs"
	"iter"

	"github.com/mullion/mullion/fusefs"
	"github.com/mullion/mullion/winfs"
)

// emptyTree is what a snapshot without parents shows: a directory with nothing in it.
type emptyTree struct{}

func (emptyTree) Root() (fusefs.File, error) { return emptyDir{}, nil }

type emptyDir struct{}

func (emptyDir) ID() uint64                        { return 1 }
func (emptyDir) IsDir() bool                       { return true }
func (emptyDir) Size() int64                       { return 0 }
func (emptyDir) NumLinks() (int, error)            { return 1, nil }
func (emptyDir) Attributes() winfs.Attributes      { return winfs.AttrDirectory }
func (emptyDir) Times() winfs.Times                { return winfs.Times{} }
func (emptyDir) Security() ([]byte, error)         { return nil, nil }
func (emptyDir) EAs() ([]byte, error)              { return nil, nil }
func (emptyDir) Reparse() ([]byte, error)          { return nil, nil }
func (emptyDir) Open() (fusefs.Stream, error)      { return nil, fs.ErrInvalid }
func (emptyDir) Streams() ([]fusefs.Stream, error) { return nil, nil }

func (emptyDir) Child(string) (fusefs.File, error) { return nil, fs.ErrNotExist }

func (emptyDir) Entries() iter.Seq2[fusefs.Entry, error] {
	return func(func(fusefs.Entry, error) bool) {}
}
