//go:build !linux

package plaindir

import "github.com/mullion/mullion/internal/publish"

const syncEachFile = true

// syncTree makes the directories durable; the files are already.
func (w *Writer) syncTree() error { return publish.SyncTree(w.root) }
