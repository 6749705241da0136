package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mullion/mullion/regf"
)

// listDeleted prints deleted keys and values that remain in a hive.
func (f *hiveFlags) listDeleted(ctx context.Context, c *console, file string, out *outputFlags) (err error) {
	salvage := *f
	salvage.mode = regf.Salvage.String()
	h, _, err := salvage.openCut(ctx, c, file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	found, err := h.Deleted()
	if err != nil {
		return hiveError(file, err)
	}
	return out.write(c, func(to io.Writer) error {
		w := bufio.NewWriter(to)
		line := deletedText
		if c.json {
			line = deletedJSON
		}
		for i := range found.Keys {
			if _, err := w.Write(line(&found.Keys[i], found.Keys[i].Values)); err != nil {
				return err
			}
		}
		for i := range found.Values {
			if _, err := w.Write(line(nil, found.Values[i:i+1])); err != nil {
				return err
			}
		}
		return w.Flush()
	})
}

// deletedText formats a key with its values, or a value without a known key, like "hive
// query".
func deletedText(k *regf.DeletedKey, values []regf.DeletedValue) []byte {
	var b []byte
	if k != nil {
		lead := `\`
		if !k.Rooted {
			lead = `...\`
		}
		b = fmt.Appendf(b, "%s%s    (cell %#x, changed %v)\n", lead, escapePath(k.Path), k.Offset, k.LastWrite)
	} else {
		b = append(b, "(of no known key)\n"...)
	}
	for _, v := range values {
		text := valueText(v.Type, v.Data)
		if !v.Complete {
			text += fmt.Sprintf(" (%d of %d bytes are left)", len(v.Data), v.Size)
		}
		b = fmt.Appendf(b, "    %s    %s    %s\n", escapeValueName(v.Name), v.Type, text)
	}
	return append(b, '\n')
}

// deletedJSON formats the same as a line of JSON, in the form of other keys and values.
func deletedJSON(k *regf.DeletedKey, values []regf.DeletedValue) []byte {
	b := []byte{'{'}
	if k != nil {
		b = appendJSON(append(b, `"key":`...), []byte(k.Path))
		b = fmt.Appendf(b, `,"rooted":%t,"offset":%d,"modified":"%v","free":%t,`, k.Rooted, k.Offset, k.LastWrite, k.Free)
	}
	b = append(b, `"values":[`...)
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = jsonValue{Name: v.Name, Type: v.Type, Data: v.Data}.appendFields(append(b, '{'))
		b = fmt.Appendf(b, `,"size":%d,"offset":%d,"free":%t,"complete":%t}`, v.Size, v.Offset, v.Free, v.Complete)
	}
	return append(b, "]}\n"...)
}
