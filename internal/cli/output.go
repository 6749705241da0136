package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
	"github.com/spf13/cobra"
)

// outputFlags are -o FILE and --force.
type outputFlags struct {
	path  string
	force bool
	text  bool // without -o the command prints a document or a listing, with --json as JSON
}

// add defines the flags on a command.
func (o *outputFlags) add(cmd *cobra.Command, content string) {
	cmd.Flags().StringVarP(&o.path, "output", "o", "", "write "+content+" to the new `FILE`")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace FILE if it exists")
}

// addInPlace defines the flags on a command that changes its input hive unless -o is
// set.
func (o *outputFlags) addInPlace(cmd *cobra.Command, content string) {
	o.add(cmd, content)
	cmd.Flags().Lookup("output").Usage = "write " + content + " to the new `FILE` instead of in place"
	cmd.Flags().Lookup("force").Usage = "replace FILE if it exists; without -o, edit a hive under this name only even if it has other hard links"
}

// write calls fill with a temporary file in the directory of FILE and renames it to FILE
// if fill returns nil. Without -o, fill writes to standard output.
func (o *outputFlags) write(c *console, fill func(io.Writer) error) error {
	if o.path == "" || o.path == "-" {
		if err := o.checkJSON(c); err != nil {
			return err
		}
		if o.text {
			return fill(c.out)
		}
		return fill(c.content())
	}
	if err := writeFile(o.path, o.force, fill); err != nil {
		return err
	}
	c.wroteFile(o.path)
	return nil
}

// checkJSON rejects --json where the output itself goes to standard output.
func (o *outputFlags) checkJSON(c *console) error {
	if c.json && !o.text && (o.path == "" || o.path == "-") {
		return hintf(usagef("--json describes the file that is written, and this output is not JSON"), "-o FILE")
	}
	return nil
}

// writeFile writes the file at path completely or not at all. A registry hive is
// readable by its owner only.
func writeFile(path string, force bool, fill func(io.Writer) error) error {
	f, err := publish.Create(path, publish.Options{Replace: force})
	if errors.Is(err, fs.ErrNotExist) {
		return about(path, fmt.Errorf("the directory %s does not exist", quote(filepath.Dir(path))))
	}
	if err != nil {
		return about(path, existsHint(err))
	}
	defer f.Close()
	if err := fill(&hiveGuard{f: f}); err != nil {
		return err
	}
	return about(path, existsHint(f.Commit()))
}

// newFolderHint adds advice to the error for an existing directory.
func newFolderHint(err error) error {
	if errors.Is(err, layer.ErrExists) {
		return hintf(err, "name a directory that does not exist")
	}
	return err
}

// newTargetHint is newFolderHint for a command without --force that also writes files.
func newTargetHint(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return hintf(err, "name a file that does not exist")
	}
	return newFolderHint(err)
}

func existsHint(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return hintf(err, "--force replaces it")
	}
	return err
}

// hiveGuard removes the access of other users to a file that starts with the signature
// of a hive. The file is in a private directory until it is complete, so it is never
// accessible before.
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

// hiveMagic is the signature of a registry hive.
const hiveMagic = "regf"
