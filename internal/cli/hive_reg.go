package cli

import (
	"io"
	"os"

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
layer below is written as a deletion.`,
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
			return f.read(c, args, func(_ *regf.Hive, k regf.Key, _ string) error {
				return out.write(c, func(w io.Writer) error { return hiveError(args[0], regtext.Export(w, k, opt)) })
			})
		},
	}
	cmd.Flags().StringVar(&opt.Prefix, "prefix", regtext.DefaultPrefix, "`PATH` that stands for the root of the hive")
	cmd.Flags().BoolVar(&utf8, "utf8", false, "UTF-8 instead of UTF-16")
	cmd.Flags().BoolVar(&old, "regedit4", false, "the older REGEDIT4 form, in Windows-1252")
	out.add(cmd, "the text")
	return cmd
}

func newHiveImportCommand(c *console, f *hiveFlags) *cobra.Command {
	var opt regtext.ImportOptions
	var out outputFlags
	cmd := &cobra.Command{
		Use:   "import HIVE FILE.reg",
		Short: "Apply .reg text to a hive",
		Long: `Makes the changes of a .reg file, version 5 or REGEDIT4, in UTF-16 or UTF-8; - is
standard input. The hive is changed in place, atomically and only if every line is
good; -o writes the result elsewhere.

Paths in the file begin with a place in the registry where the hive would be loaded.
Without --prefix it is found from the first key: HKEY_LOCAL_MACHINE\X or
HKEY_USERS\X, or another HKEY_ name alone; paths without one begin at the root.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := c.in
			if args[1] != "-" {
				file, err := os.Open(args[1])
				if err != nil {
					return about(args[1], plain(err))
				}
				defer file.Close()
				in = file
			}
			return f.edit(c, args[0], &out, func(h *regf.Hive) error {
				n, err := regtext.Import(h, in, opt)
				if err == nil {
					c.notef("%d keys made, %d deleted, %d values set, %d deleted", n.KeysMade, n.KeysDeleted, n.ValuesSet, n.ValuesDeleted)
				}
				return about(args[1], err)
			})
		},
	}
	cmd.Flags().StringVar(&opt.Prefix, "prefix", "", "`PATH` in the file that stands for the root of the hive")
	out.add(cmd, "the changed hive")
	return cmd
}
