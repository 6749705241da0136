package fusefs

import "log/slog"

// Options of Mount. The zero value, or nil, is a plain mount.
type Options struct {
	// Name is shown as the source of the mount; "mullion" if empty.
	Name string
	// DriveRoot is the directory in the tree that absolute links on drive C: count
	// from; DriveRoot, "Files", if empty. "." is the root of the tree.
	DriveRoot string
	// AllowOther lets other users than the one who mounts see the files. It is
	// always on for root.
	AllowOther bool
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
