package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
	"github.com/spf13/cobra"
)

func newHiveCommand(c *console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hive",
		Short: "Read, change, merge and repair registry hives",
		Long: `The hive commands work on registry hives: SYSTEM, SOFTWARE, NTUSER.DAT, the BCD
store, and the delta hives of container layers.

KEY is the path of a key below the root of the hive, without the root's name,
separated by backslashes: 'ControlSet001\Services'. Case is ignored. What a
hive does not contain is understood too, and a note says how: the place of the
hive, as in 'HKLM\SYSTEM\Select', and CurrentControlSet, the control set that
Select\Current names. A KEY that begins with a backslash is taken as it is, and
so is one that begins with a key of the hive's root.

In KEY, and in the NAME of -v, characters that cannot be typed and backslashes
that are part of a name are written as \\uXXXX: two backslashes, the letter u
and four hexadecimal digits, one UTF-16 code unit. Names are printed in the same
form, so that they can be copied. Put them in single quotes.

A hive that was not closed is dirty: its last changes are in its transaction
logs. Dirty hives are rejected unless --log replays the logs in memory, or
--allow-dirty accepts the hive without its last changes.

Creating a key sets its time and that of its parent key to the current time, or
to the value of the environment variable SOURCE_DATE_EPOCH. Other edits keep
the times of keys.`,
	}
	f := &hiveFlags{}
	f.add(cmd)
	for _, sub := range []func(*console, *hiveFlags) *cobra.Command{
		newHiveQueryCommand, newHiveAddCommand, newHiveDeleteCommand, newHiveExportCommand, newHiveImportCommand,
		newHiveCompareCommand, newHiveDiffCommand, newHiveMergeCommand, newHiveDumpCommand, newHiveCheckCommand,
		newHiveRecoverCommand, newHiveRepairCommand, newHiveNewCommand, newHiveOSVersionCommand, newHiveEnableCimBootCommand,
		newHiveBCDCommand,
	} {
		cmd.AddCommand(sub(c, f))
	}
	return cmd
}

// hiveFlags are the flags for opening hives, shared by all hive commands.
type hiveFlags struct {
	allowDirty bool
	editDirty  bool
	logs       []string
	mode       string
	pristine   bool // open for editing: harmless faults are errors too
}

func (f *hiveFlags) add(cmd *cobra.Command) {
	p := cmd.PersistentFlags()
	p.BoolVar(&f.allowDirty, "allow-dirty", false, "accept a dirty hive without its last changes")
	p.StringArrayVar(&f.logs, "log", nil, "replay the transaction log `F` first; may be repeated")
	p.StringVar(&f.mode, "mode", "strict", "`MODE` for damage that could hide data: strict stops, report continues and lists it, salvage also reads a hive without a root key")
}

func (f *hiveFlags) options() (*regf.Options, error) {
	clock, err := hiveClock()
	if err != nil {
		return nil, err
	}
	opt := &regf.Options{AllowDirty: f.allowDirty, EditDirty: f.editDirty, AllowHarmless: !f.pristine, Clock: clock}
	for _, m := range []regf.Mode{regf.Strict, regf.Report, regf.Salvage} {
		if m.String() == f.mode {
			opt.Mode = m
			return opt, nil
		}
	}
	return nil, usagef("--mode must be strict, report or salvage")
}

// hiveClock returns the clock for edits: nil for the current time, or the fixed time
// from SOURCE_DATE_EPOCH, with which the same edits produce the same bytes.
func hiveClock() (func() winfs.Filetime, error) {
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		return nil, nil
	}
	sec, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return nil, usagef("SOURCE_DATE_EPOCH=%s: not a number of seconds", epoch)
	}
	t, err := winfs.FiletimeFromTime(time.Unix(sec, 0))
	if err != nil {
		return nil, usagef("SOURCE_DATE_EPOCH=%s: %v", epoch, err)
	}
	return func() winfs.Filetime { return t }, nil
}

// open opens a hive and replays the logs named by --log in memory. If a command opens
// several hives, the logs belong to the dirty one.
func (f *hiveFlags) open(ctx context.Context, c *console, path string) (*regf.Hive, error) {
	opt, err := f.options()
	if err != nil {
		return nil, err
	}
	if err := f.checkLogs(); err != nil {
		return nil, err
	}
	h, err := regf.Open(path, opt)
	if len(f.logs) > 0 && (errors.Is(err, regf.ErrDirty) || err == nil && h.Dirty()) {
		if h != nil {
			if err := h.Close(); err != nil {
				return nil, hiveError(path, err)
			}
		}
		image, _, err := f.recover(ctx, c, path)
		if err != nil {
			return nil, err
		}
		h, err = regf.OpenBytes(image, opt)
		return h, hiveError(path, err)
	}
	return h, hiveError(path, err)
}

// checkLogs opens the files named by --log: one that is missing is an error for a clean
// hive too, although none is replayed over it.
func (f *hiveFlags) checkLogs() error {
	for _, name := range f.logs {
		log, err := openfile.Regular(name)
		if err == nil {
			err = log.Close()
		}
		if err != nil {
			return about(name, plain(err))
		}
	}
	return nil
}

// readRegular reads a regular file.
func readRegular(name string) ([]byte, error) {
	f, err := openfile.Regular(name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

// recover replays the logs over the file at path.
func (f *hiveFlags) recover(ctx context.Context, c *console, path string) ([]byte, *regf.Recovery, error) {
	hive, err := readRegular(path)
	if err != nil {
		return nil, nil, about(path, plain(err))
	}
	logs := make([][]byte, len(f.logs))
	for i, name := range f.logs {
		if logs[i], err = readRegular(name); err != nil {
			return nil, nil, about(name, plain(err))
		}
	}
	image, rep, err := regf.Recover(ctx, hive, logs...)
	for i, l := range rep.Logs {
		if l.Stop != nil {
			c.notef("%s: %d of %d entries used, then at %#x: %v", f.logs[i], l.Applied, l.Found, l.Offset, l.Stop)
			if err != nil {
				err = fmt.Errorf("%w; %s at %#x: %w", err, f.logs[i], l.Offset, l.Stop)
			}
		}
	}
	if errors.Is(err, regf.ErrTruncated) {
		err = &cutError{err, image, rep.Missing}
	}
	return image, rep, hiveError(path, err)
}

// cutError is regf.ErrTruncated with the remaining part of the hive.
type cutError struct {
	error
	image   []byte
	missing []regf.MissingPart
}

func (e *cutError) Error() string {
	n := int64(0)
	for _, m := range e.missing {
		n += m.Size
	}
	return fmt.Sprintf("%v: %d bytes, from %#x in the bins on, are neither in the file nor in a log", regf.ErrTruncated, n, e.missing[0].Offset)
}

func (e *cutError) Unwrap() error { return e.error }

// plain removes the operation and path from errors of the file system, because the
// message names the subject already.
func plain(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// hiveError adds the path, key and cell of an error in a hive; the command adds advice.
func hiveError(path string, err error) error {
	if err == nil {
		return nil
	}
	var cut *cutError
	if errors.As(err, &cut) { // before the regf.Error inside is unwrapped, which would lose the image
		return about(path, &hiveFault{path, cut})
	}
	var re *regf.Error
	if errors.As(err, &re) {
		where := ""
		if re.Path != "" {
			where = fmt.Sprintf("key %s: ", quotePath(re.Path))
		}
		if re.Offset >= 0 && errors.Is(err, regf.ErrCorrupt) {
			where = fmt.Sprintf("%scell %#x: ", where, re.Offset)
		}
		if re.Path != "" || re.Offset >= 0 || re.Hive != "" {
			var hinted *hintedError
			hasHint := errors.As(err, &hinted)
			err = fmt.Errorf("%s%w", where, plain(re.Err))
			if hasHint {
				err = hintf(err, "%s", hinted.hint)
			}
		}
	}
	return about(path, &hiveFault{path, err})
}

// findings prints the faults that reading h has skipped. It returns errPartial if one
// of them is not harmless, because the output of the command may then be incomplete.
func (c *console) findings(file string, h *regf.Hive) error {
	var err error
	for _, f := range h.Findings() {
		fmt.Fprintf(c.err, "%s: %s\n", visible(file), visible(f.String()))
		if !regf.Harmless(f.Rule) {
			err = errPartial
		}
	}
	return err
}

// hiveKey returns a key and its path in the spelling of the hive. It does not use
// Key.Path, which follows parent pointers that can be damaged. The error for a missing
// key names the deepest existing one.
func hiveKey(h *regf.Hive, file, path string) (k regf.Key, deepest string, err error) {
	k = h.Root()
	if !k.Valid() {
		return k, "", about(file, errors.New("the hive has no readable root key"))
	}
	var names []string
	for _, part := range regf.SplitPath(path) {
		sub, err := k.Subkey(part)
		if errors.Is(err, regf.ErrNotFound) {
			where := "the root"
			if deepest != "" {
				where = quotePath(deepest)
			}
			err = &missingKeyError{fmt.Sprintf("key %s does not exist: the deepest key that exists is %s", quotePath(path), where)}
			return k, deepest, about(file, keyHint(path, err))
		}
		if err != nil {
			return k, deepest, hiveError(file, err)
		}
		k = sub
		names = append(names, k.Name())
		deepest = regf.JoinPath(names...)
	}
	return k, deepest, nil
}

// missingKeyError is regf.ErrNotFound in the words of the command line.
type missingKeyError struct{ text string }

func (e *missingKeyError) Error() string { return e.text }
func (e *missingKeyError) Unwrap() error { return regf.ErrNotFound }

// keyHint adds advice for paths that contain slashes.
func keyHint(path string, err error) error {
	if strings.Contains(path, "/") {
		return hintf(err, "the names in KEY are separated by backslashes")
	}
	return err
}

// hiveValue returns a value of a key.
func hiveValue(k regf.Key, file, name string) (regf.Value, error) {
	v, err := k.Value(name)
	if errors.Is(err, regf.ErrNotFound) {
		where := "the root"
		if p := k.Path(); p != "" {
			where = "key " + quotePath(p)
		}
		what := "value " + quoteName(name)
		if name == "" {
			what = "the default value"
		}
		return v, about(file, fmt.Errorf("%s does not exist in %s", what, where))
	}
	return v, hiveError(file, err)
}

// edit opens a hive, calls change and writes the result in place, or to the file of -o.
func (f *hiveFlags) edit(ctx context.Context, c *console, path string, out *outputFlags, change func(*regf.Hive) error) (err error) {
	if namesImage(path) {
		return hintf(usagef("%s is no hive file: hives are changed in files", quote(path)), `mullion cat IMAGE 'Hives\SOFTWARE_BASE' -o FILE takes a hive out of an image`)
	}
	if out.path == "" && !out.force {
		if err := oneName(path); err != nil {
			return err
		}
	}
	insisting := *f
	insisting.editDirty, insisting.pristine = f.allowDirty, true
	h, err := insisting.open(ctx, c, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if h.Dirty() {
		fmt.Fprintf(c.err, "%s: the changes in its logs are discarded\n", visible(path))
	}
	if err := change(h); err != nil {
		return hiveError(path, err)
	}
	if out.path != "" {
		return out.write(c, func(w io.Writer) error { return hiveError(path, h.WriteImage(w)) })
	}
	target := path
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSymlink != 0 {
		// The link is kept and its target replaced.
		if target, err = filepath.EvalSymlinks(path); err != nil {
			return about(path, plain(err))
		}
	}
	if err := storeHive(h, target, true); err != nil {
		return err
	}
	c.wroteFile(path)
	return nil
}

// oneName refuses to change a hive in place that has several hard links, as Hives\SYSTEM_BASE
// and the SYSTEM of the config directory are in a base layer: the new file has one name,
// and under the others the hive stays as it was.
func oneName(path string) error {
	n, err := hardLinks(path)
	switch {
	case err != nil:
		return about(path, plain(err))
	case n > 1:
		err := fmt.Errorf("the file has %d names (hard links), and only this one would get the changed hive", n)
		return about(path, hintf(err, "--force changes it under this name alone, -o OUT writes the changed hive elsewhere"))
	}
	return nil
}

// storeHive writes the memory image of a hive to a file.
func storeHive(h *regf.Hive, path string, force bool) error {
	return writeFile(path, force, func(f io.Writer) error { return hiveError(path, h.WriteImage(f)) })
}

// quote quotes a name or path for a message. Unprintable characters are escaped;
// backslashes are not doubled.
func quote(s string) string { return `"` + escapeControl(s) + `"` }
