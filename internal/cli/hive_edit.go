package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mullion/mullion/regf"
	"github.com/spf13/cobra"
)

func newHiveAddCommand(c *console, f *hiveFlags) *cobra.Command {
	var name, typ, data string
	var out outputFlags
	cmd := &cobra.Command{
		Use:   "add HIVE KEY",
		Short: "Create a key or set a value, like reg add",
		Long: `Create a key and any missing parent keys. With -v, also set a value of the key.
The hive is changed in place, atomically, unless -o names another file.

DATA has the form that reg add accepts: text; decimal or 0x numbers for
REG_DWORD and REG_QWORD; strings separated by \0 for REG_MULTI_SZ; hexadecimal
for all other types. TYPE may be a number.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			withValue := cmd.Flags().Changed("value")
			if !withValue && (cmd.Flags().Changed("type") || cmd.Flags().Changed("data")) {
				return usagef("-t and -d need -v; an empty name is the default value")
			}
			t, err := parseType(typ)
			if err != nil {
				return err
			}
			b, err := parseData(t, data)
			if err != nil && withValue {
				return err
			}
			return f.edit(cmd.Context(), c, args[0], &out, func(h *regf.Hive) error {
				path, err := c.resolveKey(h, args[0], args[1])
				if err != nil {
					return err
				}
				k, err := makeKey(h, path)
				if err != nil || !withValue {
					return err
				}
				return k.SetValue(regf.UnescapeName(name), t, b)
			})
		},
	}
	cmd.Flags().StringVarP(&name, "value", "v", "", "set the value `NAME`; an empty name is the default value")
	cmd.Flags().StringVarP(&typ, "type", "t", "REG_SZ", "`TYPE` of the value: REG_SZ, REG_DWORD, ... or a number")
	cmd.Flags().StringVarP(&data, "data", "d", "", "`DATA` of the value")
	out.addInPlace(cmd, "the changed hive")
	return cmd
}

// makeKey returns a key and creates it if it does not exist.
func makeKey(h *regf.Hive, path string) (regf.Key, error) {
	k, err := h.Root(), error(nil)
	for _, name := range regf.SplitPath(path) {
		if k, err = k.Subkey(name); err != nil {
			break
		}
	}
	if errors.Is(err, regf.ErrNotFound) || err == nil && k.Layer() == regf.LayerTombstone {
		for _, name := range regf.SplitPath(path) {
			if strings.Contains(name, `\`) {
				return k, fmt.Errorf("key %s does not exist and cannot be created: in Windows, key names have no backslashes", quotePath(path))
			}
		}
		return h.CreatePath(path)
	}
	return k, err
}

func newHiveDeleteCommand(c *console, f *hiveFlags) *cobra.Command {
	var name string
	var out outputFlags
	cmd := &cobra.Command{
		Use:   "delete HIVE KEY",
		Short: "Delete a key with its subkeys, or a value, like reg delete",
		Long: `Delete a key with all its values and subkeys, or with -v one value of the key.
The hive is changed in place, atomically, unless -o names another file.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			withValue := cmd.Flags().Changed("value")
			if !withValue && len(regf.SplitPath(args[1])) == 0 {
				return usagef("the root of a hive cannot be deleted")
			}
			return f.edit(cmd.Context(), c, args[0], &out, func(h *regf.Hive) error {
				path, err := c.resolveKey(h, args[0], args[1])
				if err != nil {
					return err
				}
				k, _, err := hiveKey(h, args[0], path)
				if err != nil {
					return err
				}
				if !withValue && len(regf.SplitPath(path)) == 0 {
					return usagef("the root of a hive cannot be deleted")
				}
				if !withValue {
					return k.DeleteTree()
				}
				name := regf.UnescapeName(name)
				if _, err := hiveValue(k, args[0], name); err != nil {
					return err
				}
				return k.DeleteValue(name)
			})
		},
	}
	cmd.Flags().StringVarP(&name, "value", "v", "", "delete only the value `NAME`; an empty name is the default value")
	out.addInPlace(cmd, "the changed hive")
	return cmd
}

func newHiveNewCommand(c *console, _ *hiveFlags) *cobra.Command {
	var out outputFlags
	cmd := &cobra.Command{
		Use:   "new -o OUT",
		Short: "Create an empty hive",
		Long: `Create a hive of version 1.5 that contains only a root key, as the Windows
offline registry library does.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if out.path == "" {
				return usagef("-o OUT is missing")
			}
			clock, err := hiveClock()
			if err != nil {
				return err
			}
			return writeHive(c, regf.New(&regf.Options{Clock: clock}), &out)
		},
	}
	out.add(cmd, "the hive")
	return cmd
}

// writeHive writes a hive to the file of -o, or to standard output for "-".
func writeHive(c *console, h *regf.Hive, out *outputFlags) (err error) {
	defer func() { err = errors.Join(err, h.Close()) }()
	return out.write(c, func(w io.Writer) error { return hiveError(out.path, h.WriteImage(w)) })
}
