package fusefs

import "log/slog"

// Options of Mount. The zero value, or nil, is a plain mount.
type Options struct {
	// Name is shown as the source of the mount; "mullion" if empty.
	Name string
	// DriveRoot is the directory in the tree that absolute links on drive C: count
	// from; DriveRoot, "Files", if empty. "." is the root of the tree.
	DriveRoot string
	// AllowOther lets other users than the one who mounts see the files, as far as the
	// modes of the files allow it. Who is not root can ask for it only if
	// /etc/fuse.conf has user_allow_other.
	AllowOther bool
	// SameProcess tells that the process that serves the tree opens files in it, too.
	// Its runtime then must learn that they cannot be polled before it can wait for
	// itself, for which one is opened while mounting. A process that is killed in that
	// moment does not end until its connection is aborted (Linux), so who only serves
	// leaves this off. On macOS it is always on.
	SameProcess bool
	// Log gets the errors of damaged files, which programs see as EIO. nil is none.
	Log *slog.Logger
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Name == "" {
		out.Name = "mullion"
	}
	switch out.DriveRoot {
	case "":
		out.DriveRoot = DriveRoot
	case ".":
		out.DriveRoot = ""
	}
	if out.Log == nil {
		out.Log = slog.New(slog.DiscardHandler)
	}
	return out
}
