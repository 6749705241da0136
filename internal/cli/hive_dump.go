package cli

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"

	"github.com/mullion/mullion/regf"
	"github.com/spf13/cobra"
)

// A key is printed as one line of JSON, written by keyWriter without encoding/json,
// because a hive has hundreds of thousands of keys:
//
//	path      below the root, without the root's name, parts joined by backslashes
//	class     class name, "" where there is none
//	modified  time of the last change, RFC 3339 with seven decimals
//	sd        self-relative security descriptor, lower-case hexadecimal
//	layer     in a differencing hive merge, tombstone, supersede-local or
//	          supersede-tree; in others ""
//	inherit_class  true where the class comes from the layer below; else left out
//	values    name ("" is the default value), type as a number, data in lower-case
//	          hexadecimal, tombstone true where it hides a value below, else left out
//
// Characters that JSON or UTF-8 cannot represent are escaped, so that no name changes.

func newHiveDumpCommand(c *console, f *hiveFlags) *cobra.Command {
	from := newHiveSource(f)
	cmd := &cobra.Command{
		Use:   "dump HIVE|IMAGE [KEY]",
		Short: "Print every key as one JSON object per line",
		Long: `Print every key as one JSON object per line, the root first, then depth first
in stored order. The fields are path, class, modified, sd, layer and values.
The security descriptor (sd) and the data of values are hexadecimal; types are
numbers. layer is the meaning of the key in a differencing hive (merge,
tombstone, supersede-local, supersede-tree) and "" in other hives.
inherit_class, and the tombstone of a value, are present only if true.

` + imageHiveHelp,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return from.read(cmd.Context(), c, args, func(h *regf.Hive, k regf.Key, at string) error {
				w := &keyWriter{w: bufio.NewWriterSize(c.out, 1<<18)}
				path := newPathStack(k, at)
				for key, err := range k.Walk() {
					if err == nil {
						err = w.key(key, path.of(key))
					}
					if err != nil {
						return errors.Join(hiveError(args[0], err), w.w.Flush())
					}
				}
				return w.w.Flush()
			})
		},
	}
	from.add(cmd)
	return cmd
}

// pathStack tracks the path of the current key of a walk. It does not follow parent
// pointers, which can be damaged.
type pathStack struct {
	path []byte
	ends []int // length of path at each level below the first key
	base int
}

func newPathStack(top regf.Key, path string) *pathStack {
	p := &pathStack{path: []byte(path), base: top.Level()}
	p.ends = []int{len(p.path)}
	return p
}

func (p *pathStack) of(k regf.Key) []byte {
	level := k.Level() - p.base
	if level == 0 {
		return p.path[:p.ends[0]]
	}
	p.path = p.path[:p.ends[level-1]]
	if len(p.path) > 0 {
		p.path = append(p.path, '\\')
	}
	from := len(p.path)
	if p.path = k.AppendName(p.path); bytes.IndexByte(p.path[from:], '\\') >= 0 {
		p.path = append(p.path[:from], regf.JoinPath(k.Name())...)
	}
	p.ends = append(p.ends[:level], len(p.path))
	return p.path
}

// keyWriter writes keys as lines of JSON.
type keyWriter struct {
	w    *bufio.Writer
	buf  []byte
	name []byte
}

func (w *keyWriter) key(k regf.Key, path []byte) error {
	b := append(w.buf[:0], `{"path":`...)
	b = appendJSON(b, path)
	class, err := k.Class()
	if err != nil && k.Hive().Mode() == regf.Strict {
		return err
	}
	b = append(b, `,"class":`...)
	b = appendJSON(b, []byte(class))
	b = append(b, `,"modified":"`...)
	b = append(b, k.LastWrite().String()...)
	sd, err := k.Security()
	if err != nil && k.Hive().Mode() == regf.Strict {
		return err
	}
	b = append(b, `","sd":"`...)
	b = hex.AppendEncode(b, sd)
	b = append(b, `","layer":"`...)
	if k.Hive().Layered() {
		b = append(b, k.Layer().String()...)
	}
	b = append(b, '"')
	if k.InheritClass() {
		b = append(b, `,"inherit_class":true`...)
	}
	b = append(b, `,"values":[`...)
	first := true
	for v, err := range k.Values() {
		if err != nil {
			return err
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		w.name = v.AppendName(w.name[:0])
		b = append(b, `{"name":`...)
		b = appendJSON(b, w.name)
		b = append(b, `,"type":`...)
		b = appendUint(b, uint32(v.Type()))
		data, err := v.Data()
		if err != nil && k.Hive().Mode() == regf.Strict {
			return err
		}
		b = append(b, `,"data":"`...)
		b = hex.AppendEncode(b, data)
		b = append(b, '"')
		if v.Tombstone() {
			b = append(b, `,"tombstone":true`...)
		}
		b = append(b, '}')
	}
	b = append(b, "]}\n"...)
	w.buf = b
	_, err = w.w.Write(b)
	return err
}
