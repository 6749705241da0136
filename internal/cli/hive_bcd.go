package cli

import (
	"errors"
	"fmt"

	"github.com/mullion/mullion/hives/bcd"
	"github.com/mullion/mullion/regf"
	"github.com/spf13/cobra"
)

// bcdObject is an object of a boot configuration store as --json prints it.
type bcdObject struct {
	ID       string       `json:"id"`
	Alias    string       `json:"alias,omitempty"`
	Type     string       `json:"type"`
	Elements []bcdElement `json:"elements"`
}

type bcdElement struct {
	Type  string `json:"type"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

func newHiveBCDCommand(c *console, f *hiveFlags) *cobra.Command {
	var out outputFlags
	var set, remove bool
	cmd := &cobra.Command{
		Use:   "bcd HIVE [OBJECT ELEMENT [VALUE]]",
		Short: "List or change boot configuration data, like bcdedit",
		Long: `List the objects of a BCD store with their elements, like bcdedit /enum all.

--set OBJECT ELEMENT VALUE sets an element, and --delete OBJECT ELEMENT deletes
one. The store is changed in place, atomically, unless -o names another file.
OBJECT is a GUID or an alias such as {default}. ELEMENT is a name, such as path
or osdevice, or a type in hexadecimal. Devices without public documentation,
including those that boot a CimFS image, are shown but cannot be created.`,
		Args: cobra.RangeArgs(1, 4),
		RunE: func(cmd *cobra.Command, args []string) error {
			want := 1
			switch {
			case set:
				want = 4
			case remove:
				want = 3
			}
			if set && remove || len(args) != want {
				return usagef("want HIVE alone, --set with OBJECT ELEMENT VALUE, or --delete with OBJECT ELEMENT")
			}
			if !set && !remove {
				return newHiveSource(f).read(cmd.Context(), c, args[:1], func(h *regf.Hive, _ regf.Key, _ string) error { return c.listBCD(args[0], h) })
			}
			err := f.edit(cmd.Context(), c, args[0], &out, func(h *regf.Hive) error { return changeBCD(h, args[1:]) })
			if errors.Is(err, bcd.ErrDeviceEncoding) {
				return hintf(err, "on Windows, bcdedit /store makes such devices")
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&set, "set", false, "set an element")
	cmd.Flags().BoolVar(&remove, "delete", false, "delete an element")
	out.addInPlace(cmd, "the changed store")
	return cmd
}

// openBCD opens the store in a hive. That a hive is none is said without the key that it lacks.
func openBCD(h *regf.Hive) (*bcd.Store, error) {
	s, err := bcd.Open(h)
	if errors.Is(err, bcd.ErrNotStore) {
		return nil, bcd.ErrNotStore
	}
	return s, err
}

// changeBCD sets OBJECT ELEMENT VALUE, or deletes OBJECT ELEMENT.
func changeBCD(h *regf.Hive, args []string) error {
	s, err := openBCD(h)
	if err != nil {
		return err
	}
	id, err := s.Resolve(args[0])
	if err != nil {
		return err
	}
	o, err := s.Object(id)
	if err != nil {
		return err
	}
	t, err := bcd.ElementByName(o.Type, args[1])
	if err != nil {
		return err
	}
	if len(args) == 2 {
		return s.Delete(id, t)
	}
	v, err := parseBCD(t.Format(), args[2])
	if err != nil {
		return err
	}
	return s.Set(id, t, v)
}

func parseBCD(f bcd.Format, text string) (bcd.Value, error) {
	if f != bcd.FormatDevice {
		return bcd.ParseValue(f, text)
	}
	d, err := bcd.ParseDevice(text)
	return bcd.Value{Format: f, Device: d}, err
}

// listBCD prints all objects.
func (c *console) listBCD(file string, h *regf.Hive) error {
	s, err := openBCD(h)
	if err != nil {
		return about(file, err)
	}
	list := []bcdObject{}
	for o, err := range s.Objects() {
		if err != nil {
			return about(file, err)
		}
		x := bcdObject{ID: "{" + o.ID.String() + "}", Type: o.Type.String(), Elements: []bcdElement{}}
		if a := bcd.Alias(o.ID); a != x.ID {
			x.Alias = a
		}
		for e, err := range o.Elements() {
			if err != nil {
				return about(file, err)
			}
			if e.Err != nil {
				return about(file, e.Err)
			}
			x.Elements = append(x.Elements, bcdElement{fmt.Sprintf("%08x", uint32(e.Type)), bcd.ElementName(o.Type, e.Type), e.Value.String()})
		}
		list = append(list, x)
	}
	if c.json {
		return c.printJSON(list)
	}
	for i, o := range list {
		if i > 0 {
			c.printf("\n")
		}
		name := o.ID
		if o.Alias != "" {
			name = o.Alias
		}
		c.printf("%s\n%-24s%s\n", o.Type, "identifier", name)
		for _, e := range o.Elements {
			if err := c.printf("%-24s%s\n", e.Name, escapeControl(e.Value)); err != nil {
				return err
			}
		}
	}
	return nil
}
