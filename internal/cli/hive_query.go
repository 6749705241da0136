package cli

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/mullion/mullion/regf"
	"github.com/spf13/cobra"
)

func newHiveQueryCommand(c *console, f *hiveFlags) *cobra.Command {
	var name string
	var all bool
	from := newHiveSource(f)
	cmd := &cobra.Command{
		Use:   "query HIVE|IMAGE [KEY]",
		Short: "Print the values and subkeys of a key, like reg query",
		Long: `Print the values of a key and the paths of its subkeys, like reg query. Without
KEY, the root is used. -v prints one value; -s includes all subkeys
recursively. --json prints one object per line: each key with its values, or
with -v each value with its key. Data is printed decoded and in hexadecimal.

` + imageHiveHelp,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return from.read(cmd.Context(), c, args, func(h *regf.Hive, k regf.Key, path string) error {
				q := &hiveQuery{c: c, file: args[0], w: bufio.NewWriter(c.out), root: registryRoots[from.hive(args)], one: cmd.Flags().Changed("value"), name: regf.UnescapeName(name), all: all}
				return errors.Join(q.run(k, path), q.w.Flush())
			})
		},
	}
	cmd.Flags().StringVarP(&name, "value", "v", "", "print only the value `NAME`; an empty name is the default value")
	cmd.Flags().BoolVarP(&all, "recursive", "s", false, "print all subkeys recursively")
	from.add(cmd)
	return cmd
}

type hiveQuery struct {
	c    *console
	file string
	root string // of an image: where the registry has the hive, so that a printed key can be asked for again
	w    *bufio.Writer
	one  bool
	name string
	all  bool
	buf  []byte
}

func (q *hiveQuery) run(k regf.Key, at string) error {
	if !q.all {
		return q.key(k, at)
	}
	path := newPathStack(k, at)
	found := false
	for key, err := range k.Walk() {
		if err != nil {
			return hiveError(q.file, err)
		}
		at := string(path.of(key))
		if q.one {
			if _, err := key.Value(q.name); errors.Is(err, regf.ErrNotFound) {
				continue
			}
			found = true
		}
		if err := q.key(key, at); err != nil {
			return err
		}
	}
	if q.one && !found {
		_, err := hiveValue(k, q.file, q.name)
		return err
	}
	return nil
}

func (q *hiveQuery) key(k regf.Key, path string) error {
	below := func(sub regf.Key) string {
		return strings.TrimPrefix(path+`\`+regf.JoinPath(sub.Name()), `\`)
	}
	if q.c.json && !q.one {
		if err := q.jsonKey(k, path); err != nil || q.all {
			return hiveError(q.file, err)
		}
		for sub, err := range k.Subkeys() {
			if err == nil {
				err = q.jsonKey(sub, below(sub))
			}
			if err != nil {
				return hiveError(q.file, err)
			}
		}
		return nil
	}
	if q.one {
		v, err := hiveValue(k, q.file, q.name)
		if err != nil {
			return err
		}
		if !q.c.json {
			fmt.Fprintf(q.w, "%s\n", q.heading(path))
		}
		if err := q.value(k, path, v); err != nil {
			return err
		}
		if !q.c.json {
			fmt.Fprintln(q.w)
		}
		return nil
	}
	fmt.Fprintf(q.w, "%s\n", q.heading(path))
	for v, err := range k.Values() {
		if err == nil {
			err = q.value(k, path, v)
		}
		if err != nil {
			return hiveError(q.file, err)
		}
	}
	fmt.Fprintln(q.w)
	if q.all {
		return nil
	}
	for sub, err := range k.Subkeys() {
		if err != nil {
			return hiveError(q.file, err)
		}
		fmt.Fprintf(q.w, "%s\n", q.heading(below(sub)))
	}
	return nil
}

// heading returns the line of a key.
func (q *hiveQuery) heading(path string) string {
	if q.root != "" && path == "" {
		return q.root
	}
	return q.root + hiveHeading(path)
}

func (q *hiveQuery) value(k regf.Key, path string, v regf.Value) error {
	data, err := v.Data()
	if err != nil && v.Valid() && k.Hive().Mode() == regf.Strict {
		return hiveError(q.file, err)
	}
	if q.c.json {
		return q.jsonValue(path, v, data)
	}
	text := valueText(v.Type(), data)
	if v.Tombstone() {
		text = "(tombstone: hides the value in the layer below)"
	}
	_, err = fmt.Fprintf(q.w, "    %s    %s    %s\n", escapeValueName(v.Name()), v.Type(), text)
	return err
}

func (q *hiveQuery) jsonKey(k regf.Key, path string) error {
	key, err := keyOf(k, path)
	if err != nil {
		return err
	}
	q.buf = append(key.append(q.buf[:0]), '\n')
	_, err = q.w.Write(q.buf)
	return err
}

func (q *hiveQuery) jsonValue(path string, v regf.Value, data []byte) error {
	b := appendJSON(append(q.buf[:0], `{"key":`...), []byte(path))
	b = jsonValue{v.Name(), v.Type(), data, v.Tombstone()}.appendFields(append(b, ','))
	q.buf = append(b, "}\n"...)
	_, err := q.w.Write(q.buf)
	return err
}
