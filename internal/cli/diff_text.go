package cli

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/mullion/mullion/compare"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// diffText prints differences as text.
type diffText struct {
	c *console
	f *diffFlags
	w *bufio.Writer
}

func newDiffText(c *console, f *diffFlags) *diffText {
	return &diffText{c, f, bufio.NewWriterSize(c.out, 64<<10)}
}

// diffColours are the colours of the kinds of differences, as SGR parameters.
var diffColours = map[compare.Kind]string{
	compare.Added: "32", compare.Removed: "31", compare.Changed: "33", compare.Renamed: "36",
}

// line prints a difference. With --name-only it prints the path alone.
func (d *diffText) line(k compare.Kind, path, rest string) error {
	if d.f.stat {
		return nil
	}
	if d.f.nameOnly {
		_, err := fmt.Fprintf(d.w, "%s\n", visible(path))
		return err
	}
	word := fmt.Sprintf("%-7s", k)
	text := wrapWords(word+" "+visible(path+rest), d.c.width)
	_, err := fmt.Fprintf(d.w, "%s%s\n", paint(d.c.colour, diffColours[k], word), text[len(word):])
	return err
}

// detail prints an indented line below a difference.
func (d *diffText) detail(format string, a ...any) error {
	if d.f.stat || d.f.nameOnly {
		return nil
	}
	_, err := fmt.Fprintf(d.w, "%s\n", wrapWords("        "+visible(fmt.Sprintf(format, a...)), d.c.width))
	return err
}

// fields prints both sides of properties.
func (d *diffText) fields(list []compare.Field) error {
	for _, f := range list {
		if f.Removed == nil && f.Added == nil {
			if err := d.detail("%s: %s -> %s", f.Name, orNone(f.Before), orNone(f.After)); err != nil {
				return err
			}
		}
		for _, side := range []struct {
			sign string
			list []string
		}{{"-", f.Removed}, {"+", f.Added}} {
			for _, s := range side.list {
				if err := d.detail("%s %s%s", f.Name, side.sign, s); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func (d *diffText) config(c *compare.ConfigChange) error {
	rest := ""
	switch c.Kind {
	case compare.Added:
		rest = ": " + string(c.After)
	case compare.Removed:
		rest = ": " + string(c.Before)
	default:
		rest = fmt.Sprintf(": %s -> %s", c.Before, c.After)
	}
	return d.line(c.Kind, "config "+c.Field, rest)
}

func (d *diffText) files(list *compare.FileChanges) error {
	if d.f.stat {
		return nil
	}
	for i := 0; i < list.Len(); i++ {
		if fold, ok := list.Fold(i); ok && !d.f.unfold && fold.Next > i+1 && fold.Files+fold.Dirs > 0 {
			if err := d.fold(list, i, fold); err != nil {
				return err
			}
			i = fold.Next - 1
			continue
		}
		if err := d.file(list, i); err != nil {
			return err
		}
	}
	return nil
}

// fold prints an added or removed directory as one line, and what else is below it.
func (d *diffText) fold(list *compare.FileChanges, i int, fold compare.Fold) error {
	c, err := list.Change(i)
	if err != nil {
		return err
	}
	parts := []string{countOf(fold.Files, "file")}
	if fold.Dirs > 0 {
		parts = append(parts, countAs(fold.Dirs, "directory", "directories"))
	}
	if err := d.line(c.Kind, c.Path()+`\`, fmt.Sprintf(" (%s, %s)", strings.Join(parts, ", "), d.c.size(fold.Bytes))); err != nil {
		return err
	}
	for j := i + 1; j < fold.Next; j++ {
		if list.Kind(j) == list.Kind(i) {
			continue
		}
		if err := d.file(list, j); err != nil {
			return err
		}
	}
	return nil
}

func (d *diffText) file(list *compare.FileChanges, i int) error {
	c, err := list.Change(i)
	if err != nil {
		return err
	}
	if err := d.line(c.Kind, c.Path(), fileNote(d.c, c)); err != nil || !d.f.details {
		return err
	}
	return d.fields(c.Fields())
}

// describeFile describes an added or removed file behind its path.
func describeFile(c *console, f *compare.File) string {
	switch {
	case f.Kind == layer.Link:
		return " (link to " + f.Target + ")"
	case f.Kind == layer.Whiteout || f.Kind == layer.Opaque:
		return " (" + f.Kind.String() + ")"
	case f.IsReparsePoint():
		if p, err := winfs.ParseReparse(f.Reparse); err == nil && p.Target() != "" {
			return " -> " + p.Target()
		}
		return " (reparse point)"
	case f.Kind == layer.Dir:
		return `\`
	}
	return " (" + c.size(f.Size) + ")"
}

// maxFoldedValues is the number of values of an added or removed key that are printed
// below it.
const maxFoldedValues = 8

func (d *diffText) hive(root hiveRoot, c *compare.HiveChange) error {
	if d.f.stat {
		return nil
	}
	if root.delta {
		root.path += " (delta)"
	}
	path := root.of(c.Path)
	if c.Field == regf.FieldKey {
		return d.key(path, c)
	}
	name, rest := " "+c.Field.String(), ""
	if c.Field == regf.FieldValue {
		name = " value " + quoteName(c.Name)
	}
	was, is := differenceSides(&c.Difference)
	switch c.Kind() {
	case compare.Added:
		rest = ": " + is
	case compare.Removed:
		rest = ": " + was
	default:
		rest = ": " + was + " -> " + is
	}
	if c.Field == regf.FieldSecurity {
		if err := d.line(c.Kind(), path+name, ""); err != nil {
			return err
		}
		before, _ := c.A.Security() // they could be read when they were compared
		after, _ := c.B.Security()
		return d.fields(compare.Security(before, after))
	}
	return d.line(c.Kind(), path+name, rest)
}

// key prints an added or removed key with what is below it.
func (d *diffText) key(path string, c *compare.HiveChange) error {
	if d.f.unfold {
		return d.line(c.Kind(), path, "")
	}
	rest := " (" + countOf(c.Values, "value")
	if c.Keys > 0 {
		rest += " in it and " + countOf(c.Keys, "key") + " below"
	}
	if err := d.line(c.Kind(), path, rest+")"); err != nil || d.f.nameOnly {
		return err
	}
	n := 0
	for v, err := range c.Key().Values() {
		if err != nil {
			return err
		}
		if n++; n > maxFoldedValues {
			return d.detail("and %s more", countOf(c.Key().ValueCount()-maxFoldedValues, "value"))
		}
		if err := d.detail("value %s: %s", quoteName(v.Name()), showValue(v)); err != nil {
			return err
		}
	}
	return nil
}

// end prints the summary.
func (d *diffText) end(s *diffSummary) error {
	if d.f.nameOnly || d.c.quiet && !d.f.stat {
		return d.w.Flush()
	}
	if d.f.stat {
		d.table(s)
	} else {
		fmt.Fprintf(d.w, "%s\n", wrapWords(summaryLine(d.c, s), d.c.width))
	}
	return d.w.Flush()
}

// summaryLine returns the last line: what was compared if it is the same, otherwise how much
// differs.
func summaryLine(c *console, s *diffSummary) string {
	var parts []string
	if s.same() {
		if s.HasConfig {
			parts = append(parts, "the configuration")
		}
		if s.HasFiles {
			parts = append(parts, countOf(s.Paths, "path"))
		}
		if s.Hives > 0 {
			parts = append(parts, countOf(s.Hives, "hive"))
		}
		return "same: " + strings.Join(parts, ", ") + " compared"
	}
	for _, area := range s.areas() {
		if text := totals(area.t); text != "" {
			var grown []string
			if area.t.BytesAdded > 0 {
				grown = append(grown, "+"+c.size(area.t.BytesAdded))
			}
			if area.t.BytesRemoved > 0 {
				grown = append(grown, "-"+c.size(area.t.BytesRemoved))
			}
			if grown != nil {
				text += " (" + strings.Join(grown, ", ") + ")"
			}
			parts = append(parts, area.name+" "+text)
		}
	}
	return "different: " + strings.Join(parts, "; ")
}

type diffArea struct {
	name     string
	compared bool
	t        compare.Totals
}

func (s *diffSummary) areas() []diffArea {
	return []diffArea{{"configuration", s.HasConfig, s.Config}, {"files", s.HasFiles, s.Files}, {"registry", s.HasRegistry, s.Registry}}
}

func totals(t compare.Totals) string {
	var parts []string
	for _, x := range []struct {
		n    int
		word string
	}{{t.Added, "added"}, {t.Removed, "removed"}, {t.Changed, "changed"}, {t.Renamed, "renamed"}} {
		if x.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", x.n, x.word))
		}
	}
	return strings.Join(parts, ", ")
}

// table prints --stat.
func (d *diffText) table(s *diffSummary) {
	fmt.Fprintf(d.w, "%-14s %8s %8s %8s %8s\n", "", "added", "removed", "changed", "renamed")
	for _, a := range s.areas() {
		if a.compared {
			fmt.Fprintf(d.w, "%-14s %8d %8d %8d %8d\n", a.name, a.t.Added, a.t.Removed, a.t.Changed, a.t.Renamed)
		}
	}
	if s.HasFiles {
		fmt.Fprintf(d.w, "%-14s %8s %8s\n", "bytes", d.c.size(s.Files.BytesAdded), d.c.size(s.Files.BytesRemoved))
	}
}

// countOf returns "1 file", "2 files".
func countOf(n int, word string) string { return countAs(n, word, word+"s") }

func countAs(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
