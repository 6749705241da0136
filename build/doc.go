// Package build makes Windows container images out of others, on any operating system: it
// adds layers of files, changes configurations, puts layers on another base and makes one
// layer of several.
//
// # An image that is being made
//
// Every function works on an [image.Assembly], the documents and layers of an image before it
// is written. So they combine, and nothing is written before all have succeeded:
//
//	a, err := image.NewAssembly(base)
//	defer a.Close()
//	_, err = build.Append(ctx, a, build.AppendOptions{}, "program.tar", "settings")
//	err = build.Configure(a, build.Changes{SetEnv: []string{`APP=C:\app`}})
//	done, err := a.Write(ctx, "docker://example.com/app:1")
//
// Layers that are not changed keep their blobs, and a destination that has them does not get
// them again.
//
// # Files of other systems
//
// A layer for Windows has its files below Files, and each file and directory has a security
// descriptor. An ordinary directory or tar has neither. [Append] gives a new file the
// descriptor that Windows would give it in its directory, and finds the names of the base
// without regard to case, so that program files\App is a directory in Program Files. What
// Windows cannot hold is an error, and never left out: devices, sockets, names with the
// characters of paths, names that differ in case alone.
//
// # Registry
//
// The registry of an image is that of its base layer, with the delta hives of the layers above
// merged in. [Squash] folds the deltas of several layers into one for each hive, or merges them
// with the hives of the base layer.
//
// # Same input, same bytes
//
// No function looks at a clock. Times in documents are those that the caller gives; without
// one, the members are left out or stay as the base has them.
package build
