package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/mullion/mullion/internal/ctxio"
	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/regf/regtext"
	"github.com/spf13/cobra"
)

func newHiveExportCommand(c *console, f *hiveFlags) *cobra.Command {
	var opt regtext.Options
	var out outputFlags
	var utf8, old bool
	from := newHiveSource(f)
	cmd := &cobra.Command{
		Use:   "export HIVE|IMAGE [KEY]",
		Short: "Write a key with its subkeys as .reg text",
		Long: `Write a key with its values and subkeys, or without KEY the whole hive, as .reg
text: Windows Registry Editor Version 5.00 in UTF-16, as Windows writes it, and
in UTF-8 on a terminal. The format has no class names, security descriptors and
times. In a delta hive, keys and values that hide data of the layer below are
written as deletions.

Names that the text cannot represent are omitted: those with line breaks or a
NUL and, in keys, a backslash. Each is reported in a comment in the text and on
standard error, and the exit status is 2.

` + imageHiveHelp,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case utf8 && old:
				return usagef("--utf8 and --regedit4 exclude each other: REGEDIT4 text is not UTF-8")
			case utf8, c.terminal && out.path == "" && !old:
				opt.Encoding = regtext.UTF8
			case old:
				opt.Version = 4
			}
			var left leftOut
			opt.Skip = func(s regtext.Skipped) {
				name := "key " + quote(s.Key)
				if s.Value {
					name += ": value " + quote(s.Name)
				}
				left.add(c, args[0], fmt.Errorf("%s is left out: %w", name, s.Err))
			}
			if n := from.hive(args); n != 0 && !cmd.Flags().Changed("prefix") {
				opt.Prefix = registryLongRoots[n]
			}
			err := from.read(cmd.Context(), c, args, func(_ *regf.Hive, k regf.Key, _ string) error {
				return out.write(c, func(w io.Writer) error { return hiveError(args[0], regtext.Export(w, k, opt)) })
			})
			return left.end(c, args[0], err)
		},
	}
	cmd.Flags().StringVar(&opt.Prefix, "prefix", regtext.DefaultPrefix, "`PATH` that the text uses for the root of the hive")
	cmd.Flags().BoolVar(&utf8, "utf8", false, "write UTF-8 instead of UTF-16")
	cmd.Flags().BoolVar(&old, "regedit4", false, "write the older REGEDIT4 format, in Windows-1252")
	out.add(cmd, "the text")
	from.add(cmd)
	return cmd
}

// leftOut prints the parts of the input that a command skips, one per line, up to
// maxLeftOut lines.
type leftOut struct{ printed, more, harmless int }

const maxLeftOut = 50

func (l *leftOut) add(c *console, file string, err error) {
	if l.printed == maxLeftOut {
		l.more++
		return
	}
	l.printed++
	fmt.Fprintf(c.err, "%s: %s\n", visible(file), visible(err.Error()))
}

// end returns err, or errPartial if err is nil and a part that is not harmless was
// skipped.
func (l *leftOut) end(c *console, file string, err error) error {
	if l.more > 0 {
		fmt.Fprintf(c.err, "%s: %d more\n", visible(file), l.more)
	}
	if err == nil && l.printed+l.more > l.harmless {
		return errPartial
	}
	return err
}

// pipedText is the size for which room is made if that of the text is not known. Room that
// is not used takes no memory.
const pipedText = 512 << 20

func newHiveImportCommand(c *console, f *hiveFlags) *cobra.Command {
	var opt regtext.ImportOptions
	var out outputFlags
	var strict bool
	cmd := &cobra.Command{
		Use:   "import HIVE FILE.reg",
		Short: "Apply .reg text to a hive",
		Long: `Apply the changes in a .reg file, version 5 or REGEDIT4, in UTF-16 or UTF-8;
"-" reads standard input. The hive is changed in place, atomically, unless -o
names another file.

The text is parsed as regedit parses it: a malformed key or value is skipped.
Each is reported with its line number, and the exit status is 2. Lines that are
neither a key nor a value are reported too and have no effect. With --strict,
the first such line is an error, and the hive is not changed.

Paths in the file include the place where the registry mounts the hive. Without
--prefix, that place is derived from --key, or otherwise from the first key:
HKEY_LOCAL_MACHINE\X or HKEY_USERS\X, or another HKEY_ name alone. Paths
without such a prefix start at the root, which is written as [].`,
		Example: `  mullion hive import SOFTWARE both.reg --key 'HKEY_LOCAL_MACHINE\SOFTWARE'
  mullion hive import SYSTEM both.reg --key 'HKEY_LOCAL_MACHINE\SYSTEM'`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			thrifty()
			opt.Size = pipedText
			in := ctxio.Detach(cmd.Context(), c.in)
			if args[1] != "-" {
				file, err := openfile.Stream(cmd.Context(), args[1])
				if err != nil {
					return about(args[1], plain(err))
				}
				defer file.Close()
				if st, err := file.Stat(); err == nil && st.Mode().IsRegular() {
					opt.Size = st.Size()
				}
				in = file
			}
			var left leftOut
			if !strict {
				opt.Skip = func(e *regtext.LineError) {
					if errors.Is(e, regtext.ErrStray) {
						left.harmless++
					}
					left.add(c, args[1], fmt.Errorf("line %d is left out: %w", e.Line, e.Err))
				}
			}
			err := f.edit(cmd.Context(), c, args[0], &out, func(h *regf.Hive) error {
				opt.Locate = c.importedKey(h, args[0], opt.Prefix != "")
				n, err := regtext.Import(h, in, opt)
				if err == nil && n.Outside > 0 && n.Keys == 0 {
					return about(args[1], fmt.Errorf("none of its %d keys is %s or below it", n.Outside, opt.Key))
				}
				if err == nil {
					c.notef("%s created, %d deleted, %s set, %d deleted", counted(n.KeysMade, "key"), n.KeysDeleted, counted(n.ValuesSet, "value"), n.ValuesDeleted)
					if n.Outside > 0 {
						c.notef("not below %s: %s of the file", opt.Key, counted(n.Outside, "key"))
					}
				}
				switch {
				case errors.Is(err, regtext.ErrOtherHive) && opt.Key == "":
					err = hintf(err, "--key KEY applies only the keys of one hive")
				case errors.Is(err, regtext.ErrSyntax) && strict:
					err = hintf(err, "without --strict malformed lines are left out, as regedit leaves them out")
				}
				return about(args[1], err)
			})
			return left.end(c, args[1], err)
		},
	}
	cmd.Flags().StringVar(&opt.Prefix, "prefix", "", "`PATH` that the file uses for the root of the hive")
	cmd.Flags().StringVar(&opt.Key, "key", "", "apply only this `KEY` of the file and its subkeys")
	cmd.Flags().BoolVar(&opt.Raw, "raw", false, "keep REG_EXPAND_SZ and REG_MULTI_SZ without a NUL at the end as they are")
	cmd.Flags().BoolVar(&strict, "strict", false, "change nothing unless every line is good")
	out.addInPlace(cmd, "the changed hive")
	return cmd
}
