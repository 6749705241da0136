package plaindir

import (
	"errors"

	"golang.org/x/sys/unix"
)

// syncEachFile is off where the whole file system can be flushed once at the end.
const syncEachFile = false

// syncTree makes everything that was written durable.
func (w *Writer) syncTree() error {
	f, err := w.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}
