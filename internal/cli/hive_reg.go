package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/regf/regtext"
	"github.com/spf13/cobra"
)

func newHiveExportCommand(c *console, f *hiveFlags) *cobra.Command {
	var opt regtext.Options
	var out outputFlags
	var utf8, old bool
	cmd := &cobra.Command{
		Use:   "export HIVE [KEY]",
		Short: "Write a key and all below it as .reg text",
		Long: `Writes a key and everything below it as .reg text, the whole hive without KEY:
Windows Registry Editor Version 5.00 in UTF-16, as Windows writes it. The text
cannot hold class names, descriptors and times. In a delta hive, what hides the
layer below is written as a deletion.

Names that a line of text cannot hold, with line breaks, a NUL or, in keys, a
backslash, are left out: a comment in the text and a message name each of them, and
the exit status is 1.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case utf8 && old:
				return usagef("REGEDIT4 is not in UTF-8: --utf8 or --regedit4")
			case utf8:
				opt.Encoding = regtext.UTF8
			case old:
				opt.Version = 4
			}
			var left leftOut
			opt.Skip = func(s regtext.Skipped) {
				what := "key " + quote(s.Key)
				if s.Value {
					what += ": value " + quote(s.Name)
				}
				left.print(c, args[0], fmt.Errorf("%s is left out: %w", what, s.Err))
			}
			err := f.read(cmd.Context(), c, args, func(_ *regf.Hive, k regf.Key, _ string) error {
				return out.write(c, func(w io.Writer) error { return hiveError(args[0], regtext.Export(w, k, opt)) })
			})
			return left.end(c, args[0], err)
		},
	}
	cmd.Flags().StringVar(&opt.Prefix, "prefix", regtext.DefaultPrefix, "`PATH` that stands for the root of the hive")
	cmd.Flags().BoolVar(&utf8, "utf8", false, "UTF-8 instead of UTF-16")
	cmd.Flags().BoolVar(&old, "regedit4", false, "the older REGEDIT4 form, in Windows-1252")
	out.add(cmd, "the text")
	return cmd
}

// leftOut reports the entries that a command omits, a line each up to maxLeftOut lines.
type leftOut struct{ printed, more, harmless int }

const maxLeftOut = 50

func (l *leftOut) print(c *console, file string, err error) {
	if l.printed == maxLeftOut {
		l.more++
		return
	}
	l.printed++
	fmt.Fprintf(c.err, "%s: %s\n", file, escapeControl(err.Error()))
}

// end returns err, or errFound where something that counts was left out.
func (l *leftOut) end(c *console, file string, err error) error {
	if l.more > 0 {
		fmt.Fprintf(c.err, "%s: %d more\n", file, l.more)
	}
	if err == nil && l.printed+l.more > l.harmless {
		return errFound
	}
	return err
}

func newHiveImportCommand(c *console, f *hiveFlags) *cobra.Command {
	var opt regtext.ImportOptions
	var out outputFlags
	var strict bool
	cmd := &cobra.Command{
		Use:   "import HIVE FILE.reg",
		Short: "Apply .reg text to a hive",
		Long: `Makes the changes of a .reg file, version 5 or REGEDIT4, in UTF-16 or UTF-8; - is
standard input. The hive is changed in place, atomically; -o writes the result
elsewhere.

The text is read as regedit reads it: a malformed key or value is left out. Each is
named with its line, and the exit status is 1. Lines that are no key and no value are
named too and change nothing. With --strict the first of either kind is an error, and
the hive stays as it is.

Paths in the file begin with a place in the registry where the hive would be loaded.
Without --prefix it is found from --key or else from the first key:
HKEY_LOCAL_MACHINE\X or HKEY_USERS\X, or another HKEY_ name alone; paths without one
begin at the root, which is [] itself.`,
		Example: `  mullion hive import SOFTWARE both.reg --key 'HKEY_LOCAL_MACHINE\SOFTWARE'
  mullion hive import SYSTEM both.reg --key 'HKEY_LOCAL_MACHINE\SYSTEM'`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := c.in
			if args[1] != "-" {
				file, err := openfile.Stream(cmd.Context(), args[1])
				if err != nil {
					return about(args[1], plain(err))
				}
				defer file.Close()
				in = file
			}
			var left leftOut
			if !strict {
				opt.Skip = func(e *regtext.LineError) {
					if errors.Is(e, regtext.ErrStray) {
						left.harmless++
					}
					left.print(c, args[1], fmt.Errorf("line %d is left out: %w", e.Line, e.Err))
				}
			}
			err := f.edit(cmd.Context(), c, args[0], &out, func(h *regf.Hive) error {
				n, err := regtext.Import(h, in, opt)
				if err == nil && n.Outside > 0 && n.Keys == 0 {
					return about(args[1], fmt.Errorf("none of its %d keys is %s or below it", n.Outside, opt.Key))
				}
				if err == nil {
					c.notef("%d keys made, %d deleted, %d values set, %d deleted", n.KeysMade, n.KeysDeleted, n.ValuesSet, n.ValuesDeleted)
					if n.Outside > 0 {
						c.notef("%d keys of the file are not below %s", n.Outside, opt.Key)
					}
				}
				switch {
				case errors.Is(err, regtext.ErrOtherHive) && opt.Key == "":
					err = hintf(err, "--key KEY applies what the file says of one hive")
				case errors.Is(err, regtext.ErrSyntax) && strict:
					err = hintf(err, "without --strict malformed lines are left out, as regedit leaves them out")
				}
				return about(args[1], err)
			})
			return left.end(c, args[1], err)
		},
	}
	cmd.Flags().StringVar(&opt.Prefix, "prefix", "", "`PATH` in the file that stands for the root of the hive")
	cmd.Flags().StringVar(&opt.Key, "key", "", "only this `KEY` of the file and those below it")
	cmd.Flags().BoolVar(&opt.Raw, "raw", false, "keep REG_EXPAND_SZ and REG_MULTI_SZ without a NUL at the end as they are")
	cmd.Flags().BoolVar(&strict, "strict", false, "change nothing unless every line is good")
	out.addInPlace(cmd, "the changed hive")
	return cmd
}
