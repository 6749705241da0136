package fusefs

import "log/slog"

// Options are the options of Mount. The zero value, or nil, is a plain mount.
type Options struct {
	// Name is shown as the source of the mount; "mullion" if empty.
	Name string
	// DriveRoot is the directory in the tree from which absolute links on drive C: are
	// resolved; DriveRoot, "Files", if empty. "." is the root of the tree.
	DriveRoot string
	// AllowOther grants users other than the one who mounts access to the files, as far as
	// the modes of the files allow it. Users other than root can set it only if
	// /etc/fuse.conf has user_allow_other.
	AllowOther bool
	// SameProcess declares that the process that serves the tree opens files in it, too.
	// Its runtime must then learn that they cannot be polled before it can wait for itself;
	// for that, one is opened while mounting. A process that is killed at that moment does
	// not end until its connection is aborted (Linux), so leave this off in a process that
	// only serves. On macOS it is always on.
	SameProcess bool
	// Log receives the errors of damaged files, which programs see as EIO. nil disables
	// logging.
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
