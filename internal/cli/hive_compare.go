package cli

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"

	"github.com/mullion/mullion/compare"
	"github.com/mullion/mullion/regf"
	"github.com/spf13/cobra"
)

func newHiveCompareCommand(c *console, f *hiveFlags) *cobra.Command {
	var opt regf.CompareOptions
	from := newHiveSource(f)
	cmd := &cobra.Command{
		Use:   "compare A B [KEY]",
		Short: "List the differences between two hives",
		Long: `Print one line for each key, value, class, descriptor or flag that differs: "+"
if only B has it, "-" if only A has it, "~" if it changed. A key that only one
hive has is printed once, without its subkeys. The exit status is 1 if there
are differences. --json prints one object per line and lists all that is in such
a key, as mullion diff does. With KEY, only that key and its subkeys are
compared.

A and B are hives or images.

` + imageHiveHelp,
		Example: `  mullion hive compare SOFTWARE.old SOFTWARE
  mullion hive compare oci:layout:v1 oci:layout:v2 'HKLM\SOFTWARE\Vendor'`,
		Args: cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			key := ""
			if len(args) == 3 {
				key = args[2]
			}
			return from.pair(cmd.Context(), c, args[:2], key, func(a, b *regf.Hive, keys [2]string) error {
				w := bufio.NewWriter(c.out)
				var sum diffSummary
				list := newDiffJSON(c)
				options := compare.HiveOptions{CompareOptions: opt, Unfold: c.json}
				for d, err := range compare.Differences(cmd.Context(), compareKeys(a, b, keys, args, opt), options) {
					if err != nil {
						return errors.Join(hiveError(args[0], err), w.Flush(), list.w.Flush())
					}
					sum.Registry.Count(d.Kind())
					if c.json {
						err = list.hive(hiveRoot{}, d)
					} else {
						_, err = w.WriteString(differenceLine(d))
					}
					if err != nil {
						return err
					}
				}
				if c.json {
					sum.HasRegistry, sum.Hives = true, 1
					if err := list.end(&sum); err != nil {
						return err
					}
				}
				if err := w.Flush(); err != nil || sum.same() {
					return err
				}
				return errFound
			})
		},
	}
	cmd.Flags().BoolVar(&opt.Times, "times", false, "compare the times of keys too")
	from.add(cmd)
	return cmd
}

// compareKeys compares a key of two hives. One of them may lack it.
func compareKeys(a, b *regf.Hive, keys [2]string, files []string, opt regf.CompareOptions) iter.Seq2[regf.Difference, error] {
	if len(regf.SplitPath(keys[0])) == 0 && len(regf.SplitPath(keys[1])) == 0 {
		return regf.Compare(a, b, opt)
	}
	return func(yield func(regf.Difference, error) bool) {
		inA, pathA, errA := hiveKey(a, files[0], keys[0])
		inB, path, errB := hiveKey(b, files[1], keys[1])
		missingA, missingB := errors.Is(errA, regf.ErrNotFound), errors.Is(errB, regf.ErrNotFound)
		switch {
		case errA != nil && !missingA, missingA && missingB:
			yield(regf.Difference{}, errA)
		case errB != nil && !missingB:
			yield(regf.Difference{}, errB)
		case missingA:
			yield(regf.Difference{Kind: regf.Added, Path: path, B: inB}, nil)
		case missingB:
			yield(regf.Difference{Kind: regf.Removed, Path: pathA, A: inA}, nil)
		default:
			regf.CompareKeys(inA, inB, path, opt)(yield)
		}
	}
}

// pair calls fn with the two hives of a command and then prints their findings.
func (f *hiveFlags) pair(ctx context.Context, c *console, args []string, fn func(a, b *regf.Hive) error) (err error) {
	a, err := f.open(ctx, c, args[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	b, err := f.open(ctx, c, args[1])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	err = fn(a, b)
	if err != nil && !silent(err) {
		return err
	}
	return errors.Join(err, c.findings(args[0], a), c.findings(args[1], b))
}

func differenceLine(d *compare.HiveChange) string {
	sign := map[compare.Kind]string{compare.Added: "+", compare.Removed: "-", compare.Changed: "~"}[d.Kind()]
	s := sign + " " + hiveHeading(d.Path)
	was, is := differenceSides(&d.Difference)
	switch {
	case d.Field == regf.FieldKey:
		return s + "\n"
	case d.Field == regf.FieldValue:
		s += " value " + quoteName(d.Name)
	default:
		s += " " + d.Field.String()
	}
	switch d.Kind() {
	case compare.Added:
		return s + ": " + is + "\n"
	case compare.Removed:
		return s + ": " + was + "\n"
	}
	return s + ": " + was + " -> " + is + "\n"
}

// maxShownData is the number of characters of data that a line shows.
const maxShownData = 200

// showValue returns the type and the data of a value as text.
func showValue(v regf.Value) string {
	if v.Tombstone() {
		return "tombstone"
	}
	data, _ := v.Data() // it could be read when it was compared
	cut := ""
	if len(data) > 4*maxShownData {
		data, cut = data[:4*maxShownData], "..."
	}
	text := valueText(v.Type(), data)
	if r := []rune(text); len(r) > maxShownData {
		text, cut = string(r[:maxShownData]), "..."
	}
	return v.Type().String() + " " + text + cut
}

// differenceSides returns both sides of a difference as text.
func differenceSides(d *regf.Difference) (was, is string) {
	show := func(k regf.Key, v regf.Value) string {
		switch d.Field {
		case regf.FieldValue:
			if !v.Valid() {
				return ""
			}
			return showValue(v)
		case regf.FieldClass:
			s, _ := k.Class()
			return quote(s)
		case regf.FieldSecurity:
			sd, _ := k.Security()
			if _, sddl := securityOf(sd); sddl != "" {
				return sddl
			}
			return hex.EncodeToString(sd)
		case regf.FieldFlags:
			return fmt.Sprintf("%#x/%d/%d", uint16(k.Flags()), k.VirtualFlags(), k.UserFlags())
		case regf.FieldLayer:
			if k.InheritClass() {
				return k.Layer().String() + ", class inherited"
			}
			return k.Layer().String()
		}
		return k.LastWrite().String()
	}
	return show(d.A, d.ValueA), show(d.B, d.ValueB)
}

func newHiveDiffCommand(c *console, f *hiveFlags) *cobra.Command {
	var opt regf.DiffOptions
	var out outputFlags
	cmd := &cobra.Command{
		Use:   "diff A B -o DELTA",
		Short: "Create the delta hive that turns A into B",
		Long: `Write a delta hive, as container layers contain it, that turns A into B when it
is merged over A. It covers keys, values, classes, descriptors, flags, times
and the order of values.

In a merge, the values of a delta precede those of the layers below. If B has
the values of a key in another order, the delta contains all values up to the
last one that is out of order, unless --ignore-value-order is set. A key whose
descriptor differs is replaced with all its values, and all its subkeys are
listed, because a merge otherwise uses the descriptor of the lowest layer.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out.path == "" {
				return usagef("-o DELTA is missing")
			}
			return f.pair(cmd.Context(), c, args, func(a, b *regf.Hive) error {
				for i, h := range []*regf.Hive{a, b} {
					if h.Layered() {
						return about(args[i], hintf(errors.New("this is a delta hive"), "merge it over its base first"))
					}
				}
				delta, err := regf.Diff(a, b, &opt)
				if err != nil {
					return hiveError(args[0], err)
				}
				return writeHive(c, delta, &out)
			})
		},
	}
	cmd.Flags().BoolVar(&opt.IgnoreValueOrder, "ignore-value-order", false, "ignore differences in the order of values")
	out.add(cmd, "the delta")
	return cmd
}
