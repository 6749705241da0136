package cli

import (
	"errors"
	"io"
	"io/fs"

	"github.com/mullion/mullion/internal/atomicfile"
	"github.com/mullion/mullion/layer"
	"github.com/spf13/cobra"
)

// outputFlags are -o FILE and --force.
type outputFlags struct {
	path  string
	force bool
}

// add defines the flags on a command.
func (o *outputFlags) add(cmd *cobra.Command, what string) {
	cmd.Flags().StringVarP(&o.path, "output", "o", "", "write "+what+" to this new `FILE`")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace FILE if it exists")
}

// addInPlace defines the flags on a command that without -o changes the hive it reads.
func (o *outputFlags) addInPlace(cmd *cobra.Command, what string) {
	o.add(cmd, what)
	cmd.Flags().Lookup("force").Usage = "replace FILE if it exists; without -o, change a hive that has several hard links under one of its names"
}

// write calls fill with a temporary file beside FILE and publishes it under its
// name when fill returns nil. Without -o it is standard output that is filled.
func (o *outputFlags) write(c *console, fill func(io.Writer) error) error {
	if o.path == "" || o.path == "-" {
		return fill(c.out)
	}
	return writeFile(o.path, o.force, func(f *atomicfile.File) error { return fill(f) })
}

// writeFile makes the file at path, complete or not at all.
func writeFile(path string, force bool, fill func(*atomicfile.File) error) error {
	f, err := atomicfile.Create(path, force)
	if err != nil {
		return about(path, existsHint(err))
	}
	defer f.Close()
	if err := fill(f); err != nil {
		return err
	}
	return about(path, existsHint(f.Commit()))
}

// newFolderHint says what to do about a folder that exists.
func newFolderHint(err error) error {
	if errors.Is(err, layer.ErrExists) {
		return hintf(err, "name a folder that does not exist")
	}
	return err
}

func existsHint(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return hintf(err, "--force replaces it")
	}
	return err
}
