//go:build !linux

package plaindir

import (
	"errors"
	"os"
	"runtime"
)

const syncEachFile = true

// syncTree makes the directories durable; the files are already.
func (w *Writer) syncTree() error {
	for d := range w.made {
		if err := syncDir(w.root, d); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(root *os.Root, dir string) error {
	if runtime.GOOS == "windows" { // a directory cannot be flushed there
		return nil
	}
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
