package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mullion/mullion/inventory"
)

// kindTitles are the headings of the kinds in a table.
var kindTitles = map[inventory.Kind]string{
	inventory.OS: "Windows", inventory.Update: "Updates", inventory.Package: "Packages", inventory.Feature: "Features",
	inventory.Program: "Programs", inventory.Runtime: "Runtimes", inventory.Library: "Libraries",
	inventory.Service: "Services", inventory.Driver: "Drivers", inventory.Executable: "Executables",
}

// maxTableKind is the number of components of a kind that are listed without --kind. Windows
// has thousands of servicing packages, which nobody reads to the programs below them.
const maxTableKind = 100

// writeSBOMTable writes a table for people: the components by kind. A column in which a kind
// has no value is left out, and the name, which can be long, is the last. It is cut where a
// terminal has no room for it.
func writeSBOMTable(c *console, w io.Writer, s *sbom) error {
	width := 0
	if c.terminal {
		width = c.width
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", visible(s.subject.Name))
	if s.subject.Digest != "" {
		fmt.Fprintf(&b, "%s\n", visible(s.subject.Digest))
	}
	var hidden, kinds []string
	leaveOut := func(k inventory.Kind, n int) {
		hidden = append(hidden, fmt.Sprintf("%d %s", n, strings.ToLower(kindTitles[k])))
		kinds = append(kinds, string(k))
	}
	rest := s.listed.Components
	for len(rest) > 0 {
		n := slices.IndexFunc(rest, func(c inventory.Component) bool { return c.Kind != rest[0].Kind })
		if n < 0 {
			n = len(rest)
		}
		if n > maxTableKind && !s.chosen {
			leaveOut(rest[0].Kind, n)
		} else {
			writeKind(&b, rest[:n], width)
		}
		rest = rest[n:]
		if _, err := io.WriteString(w, b.String()); err != nil {
			return err
		}
		b.Reset()
	}
	if !s.chosen {
		for _, k := range sbomLeftOut {
			if n := len(s.all.Select(k).Components); n > 0 {
				leaveOut(k, n)
			}
		}
		if len(hidden) > 0 {
			fmt.Fprintf(&b, "\n%s\n", wrapWords(fmt.Sprintf("not listed: %s; --kind %s lists them", strings.Join(hidden, ", "), strings.Join(kinds, ",")), width))
		}
	}
	if n := len(s.listed.Skipped); n > 0 {
		if moreSkipped(s.listed) {
			fmt.Fprintf(&b, "\nskipped: more than %[1]d; -f json lists %[1]d with the reasons\n", n-1)
		} else {
			fmt.Fprintf(&b, "\nskipped: %d; -f json lists them with the reasons\n", n)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// moreSkipped reports whether a cataloger skipped more items than an inventory lists.
func moreSkipped(inv *inventory.Inventory) bool {
	n := map[string]int{}
	for _, x := range inv.Skipped {
		if n[x.Cataloger]++; n[x.Cataloger] >= inventory.MaxSkipped {
			return true
		}
	}
	return false
}

// writeKind writes the components of one kind, in lines of width columns, 0 for any.
func writeKind(b *strings.Builder, list []inventory.Component, width int) {
	columns := []struct {
		head  string
		value func(*inventory.Component) string
		width int
	}{
		{head: "LAYER", value: func(c *inventory.Component) string {
			if n := c.Layer(); n >= 0 {
				return strconv.Itoa(n)
			}
			return ""
		}},
		{head: "INSTALLED", value: func(c *inventory.Component) string {
			if c.Installed.IsZero() {
				return ""
			}
			return c.Installed.UTC().Format(time.DateOnly)
		}},
		{head: "KB", value: func(c *inventory.Component) string { return visible(c.KB) }},
		{head: "VERSION", value: func(c *inventory.Component) string { return visible(c.Version) }},
		{head: "NAME", value: func(c *inventory.Component) string {
			name := visible(c.Name)
			if c.Language != "" {
				name += " (" + visible(c.Language) + ")"
			}
			return name
		}},
	}
	for i := range columns {
		x := &columns[i]
		for n := range list {
			if v := x.value(&list[n]); v != "" {
				x.width = min(max(x.width, len(x.head), len(v)), maxTableCell)
			}
		}
	}
	title := kindTitles[list[0].Kind]
	if title == "" {
		title = string(list[0].Kind)
	}
	fmt.Fprintf(b, "\n%s: %d\n", title, len(list))
	line := func(cell func(i int) string) {
		var cells []string
		for i, x := range columns {
			switch {
			case x.width == 0:
			case i == len(columns)-1:
				cells = append(cells, cell(i))
			default:
				cells = append(cells, fmt.Sprintf("%-*s", x.width, dash(cell(i))))
			}
		}
		text := "  " + strings.TrimRight(strings.Join(cells, "  "), " ")
		if r := []rune(text); width > 0 && len(r) > width {
			text = string(r[:max(0, width-3)]) + "..."
		}
		fmt.Fprintf(b, "%s\n", text)
	}
	line(func(i int) string { return columns[i].head })
	for n := range list {
		line(func(i int) string { return columns[i].value(&list[n]) })
	}
}

// maxTableCell is the width of a column before the name, in bytes; a longer value moves what
// follows it in its line.
const maxTableCell = 24
