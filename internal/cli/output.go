package cli

import (
	"errors"
	"io"
	"io/fs"

	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
	"github.com/spf13/cobra"
)

// outputFlags are -o FILE and --force.
type outputFlags struct {
	path  string
	force bool
}

// add defines the flags on a command.
func (o *outputFlags) add(cmd *cobra.Command, content string) {
	cmd.Flags().StringVarP(&o.path, "output", "o", "", "write "+content+" to the new `FILE`")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace FILE if it exists")
}

// addInPlace defines the flags on a command that without -o changes the hive it reads.
func (o *outputFlags) addInPlace(cmd *cobra.Command, content string) {
	o.add(cmd, content)
	cmd.Flags().Lookup("output").Usage = "write " + content + " to the new `FILE` instead of in place"
	cmd.Flags().Lookup("force").Usage = "replace FILE if it exists; without -o, edit a hive under this name only even if it has other hard links"
}

// write calls fill with a temporary file beside FILE and publishes it under its
// name when fill returns nil. Without -o it is standard output that is filled.
func (o *outputFlags) write(c *console, fill func(io.Writer) error) error {
	if o.path == "" || o.path == "-" {
		return fill(c.out)
	}
	return writeFile(o.path, o.force, fill)
}

// writeFile makes the file at path, complete or not at all. A new registry hive is for
// the own user alone, wherever it comes from.
func writeFile(path string, force bool, fill func(io.Writer) error) error {
	f, err := publish.Create(path, publish.Options{Replace: force})
	if err != nil {
		return about(path, existsHint(err))
	}
	defer f.Close()
	if err := fill(&hiveGuard{f: f}); err != nil {
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

// hiveGuard keeps a file to the own user if it begins as a hive does. The file is in a
// private folder until it is complete, so that the first bytes are early enough.
type hiveGuard struct {
	f     *publish.File
	head  []byte
	known bool
}

func (w *hiveGuard) Write(b []byte) (int, error) {
	if !w.known {
		w.head = append(w.head, b[:min(len(b), len(hiveMagic)-len(w.head))]...)
		if w.known = len(w.head) == len(hiveMagic); w.known && string(w.head) == hiveMagic {
			if err := w.f.MakePrivate(); err != nil {
				return 0, err
			}
		}
	}
	return w.f.Write(b)
}

// hiveMagic is how a registry hive begins.
const hiveMagic = "regf"
