package draft

import "errors"

// Errors of drafts, in a *layer.Error with the operation and the path. Others are
// fs.ErrNotExist, fs.ErrExist, layer.ErrNotDirectory, layer.ErrLinkTarget, layer.ErrWhiteout,
// a winfs.NameError and layer.ErrLimit.
var (
	// ErrIsDir reports a directory where a file is needed.
	ErrIsDir = errors.New("is a directory")
	// ErrNotEmpty reports a directory that is not empty.
	ErrNotEmpty = errors.New("directory is not empty")
	// ErrLinkOutside reports a path that leads through a link whose target is not in the
	// image.
	ErrLinkOutside = errors.New("leads through a link out of the image")
	// ErrLinkLoop reports a path that leads through more links than Windows follows.
	ErrLinkLoop = errors.New("leads through too many links")
	// ErrNoParent reports a new name in a directory that does not exist. It is also
	// fs.ErrNotExist.
	ErrNoParent = errors.New("the directory does not exist")
	// ErrDefect reports a file or directory of a lower layer whose metadata is damaged, which
	// the new layer would have to repeat.
	ErrDefect = errors.New("damaged in a layer below")
	// ErrContent reports that a content does not have the size that it had announced.
	ErrContent = errors.New("content has changed")
)
