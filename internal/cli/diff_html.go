package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/mullion/mullion/compare"
	"github.com/mullion/mullion/internal/diffpage"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
)

// diffPage writes differences as a page.
type diffPage struct {
	p   *diffpage.Writer
	err error // of the beginning of the page
	c   *console
}

func newDiffPage(c *console, w io.Writer, a, b string) *diffPage {
	p, err := diffpage.New(w, visible(a), visible(b))
	return &diffPage{p, err, c}
}

var pageKinds = map[compare.Kind]diffpage.Kind{
	compare.Added: diffpage.Added, compare.Removed: diffpage.Removed, compare.Changed: diffpage.Changed, compare.Renamed: diffpage.Renamed,
}

// add writes a row. All texts can be from an image.
func (d *diffPage) add(k compare.Kind, area diffpage.Area, path, note string, fields []compare.Field) error {
	if d.err != nil {
		return d.err
	}
	row := diffpage.Row{Kind: pageKinds[k], Area: area, Path: visible(path), Note: visible(strings.TrimSpace(note))}
	for _, f := range fields {
		row.Fields = append(row.Fields, diffpage.Field{
			Name: visible(f.Name), Before: visible(f.Before), After: visible(f.After), Removed: visibleList(f.Removed), Added: visibleList(f.Added),
		})
	}
	d.err = d.p.Add(row)
	return d.err
}

func visibleList(list []string) (out []string) {
	for _, s := range list {
		out = append(out, visible(s))
	}
	return out
}

func (d *diffPage) config(c *compare.ConfigChange) error {
	before, after := string(c.Before), string(c.After)
	return d.add(c.Kind, diffpage.Config, c.Field, beforeAfter(c.Kind, before, after), []compare.Field{{Name: "value", Before: before, After: after}})
}

// beforeAfter returns the sides that a difference has, cut to the length of a line.
func beforeAfter(k compare.Kind, before, after string) string {
	cut := func(s string) string {
		if r := []rune(s); len(r) > maxShownData {
			return string(r[:maxShownData]) + "..."
		}
		return s
	}
	switch k {
	case compare.Added:
		return cut(after)
	case compare.Removed:
		return cut(before)
	}
	return cut(before) + " -> " + cut(after)
}

func (d *diffPage) files(list *compare.FileChanges) error {
	for i := range list.Len() {
		c, err := list.Change(i)
		if err != nil {
			return err
		}
		fields := c.Fields()
		switch c.Kind {
		case compare.Added:
			fields = compare.Describe(c.After)
		case compare.Removed:
			fields = compare.Describe(c.Before)
			for i := range fields {
				f := &fields[i]
				f.Before, f.After, f.Removed, f.Added = f.After, "", f.Added, nil
			}
		}
		if err := d.add(c.Kind, diffpage.File, c.Path(), fileNote(d.c, c), fields); err != nil {
			return err
		}
	}
	return nil
}

// maxPageData is the number of bytes of a value's data that the details show.
const maxPageData = 16 << 10

func (d *diffPage) hive(root hiveRoot, c *compare.HiveChange) error {
	path := root.of(c.Path)
	if root.delta {
		path = strings.Replace(path, root.path, root.path+" (delta)", 1)
	}
	was, is := differenceSides(&c.Difference)
	switch c.Field {
	case regf.FieldKey:
		k := c.Key()
		note := fmt.Sprintf("key, %s", countOf(k.ValueCount(), "value"))
		f := compare.Field{Name: "time"}
		sd, _ := k.Security() // it is not needed to compare keys
		_, sddl := securityOf(sd)
		s := compare.Field{Name: "security"}
		if c.Kind() == compare.Added {
			f.After, s.After = k.LastWrite().String(), sddl
		} else {
			f.Before, s.Before = k.LastWrite().String(), sddl
		}
		return d.add(c.Kind(), diffpage.Registry, path, note, []compare.Field{f, s})
	case regf.FieldValue:
		fields := []compare.Field{{Name: "type", Before: valueType(c.ValueA), After: valueType(c.ValueB)},
			{Name: "data", Before: pageData(c.ValueA), After: pageData(c.ValueB)}}
		return d.add(c.Kind(), diffpage.Registry, path+" value "+quoteName(c.Name), beforeAfter(c.Kind(), was, is), fields)
	case regf.FieldSecurity:
		before, _ := c.A.Security() // they could be read when they were compared
		after, _ := c.B.Security()
		return d.add(c.Kind(), diffpage.Registry, path+" security", "", compare.Security(before, after))
	}
	return d.add(c.Kind(), diffpage.Registry, path+" "+c.Field.String(), beforeAfter(c.Kind(), was, is), []compare.Field{{Name: c.Field.String(), Before: was, After: is}})
}

func valueType(v regf.Value) string {
	if !v.Valid() {
		return ""
	}
	return v.Type().String()
}

// pageData returns the data of a value as text, the first part of long data.
func pageData(v regf.Value) string {
	if !v.Valid() {
		return ""
	}
	if v.Tombstone() {
		return "tombstone"
	}
	data, _ := v.Data() // it could be read when it was compared
	if len(data) > maxPageData {
		return fmt.Sprintf("%s... (%d bytes)", valueText(v.Type(), data[:maxPageData]), len(data))
	}
	return valueText(v.Type(), data)
}

func (d *diffPage) end(s *diffSummary) error {
	if d.err != nil {
		return d.err
	}
	if n := d.p.Hidden(); n > 0 {
		d.c.warnf("the list of the page holds %d changes; %d more are shown when a search or a filter leaves fewer", diffpage.MostShown, n)
	}
	return d.p.Close(visible(summaryLine(d.c, s)))
}

// fileNote describes a difference behind its path.
func fileNote(c *console, ch *compare.FileChange) string {
	what := ""
	if ch.What != 0 {
		what = " (" + ch.What.String() + ")"
	}
	switch {
	case ch.Kind == compare.Renamed:
		return " <- " + ch.Before.Path + what
	case ch.Kind == compare.Changed && ch.What&(layer.AspectSize|layer.AspectContent) != 0 && ch.Before.Kind != layer.Dir && ch.After.Kind != layer.Dir:
		if ch.Before.Size == ch.After.Size {
			return what + " " + c.size(ch.After.Size)
		}
		return what + " " + c.size(ch.Before.Size) + " -> " + c.size(ch.After.Size)
	case ch.Kind == compare.Changed:
		return what
	case ch.Kind == compare.Added:
		return describeFile(c, ch.After)
	}
	return describeFile(c, ch.Before)
}
