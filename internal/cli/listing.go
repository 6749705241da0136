package cli

import (
	"fmt"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// row is an entry as ls and cim ls print it.
type row struct {
	*jsonEntry
	attributes winfs.Attributes
	times      winfs.Times
	letter     byte // f, d, h (hard link), w (whiteout) or o (opaque whiteout)
}

// rows makes rows. Most entries share a descriptor with others, so that what it says is kept
// for them.
type rows struct {
	known map[string]describedSecurity
	size  int // bytes in known
}

type describedSecurity struct{ owner, sddl string }

// maxSecurities is the number of bytes that are kept for descriptors.
const maxSecurities = 4 << 20

func (r *rows) of(e *layer.Entry) row {
	d, ok := r.known[string(e.Security)]
	if !ok {
		d.owner, d.sddl = securityOf(e.Security)
		size := len(e.Security) + len(d.owner) + len(d.sddl) + 100
		if r.known == nil || r.size+size > maxSecurities {
			r.known, r.size = map[string]describedSecurity{}, 0
		}
		r.known[string(e.Security)] = d
		r.size += size
	}
	return row{describeEntry(e, d), e.Attributes, e.Times, e.Kind.String()[0]}
}

// ownerName returns the name of a well-known account, or the SID of another one.
func ownerName(d *winsec.Descriptor) string {
	if d.Owner == nil {
		return ""
	}
	if name := d.Owner.Name(); name != "" {
		return name
	}
	return d.Owner.String()
}

func showTime(t winfs.Filetime) string {
	if t == 0 {
		return ""
	}
	return t.String()
}

// printRow prints an entry on one line, with name as its path.
func (c *console) printRow(r row, long bool, name string) error {
	switch {
	case c.json:
		return c.printJSONLine(r.jsonEntry)
	case !long:
		return c.printText(r.paint(c, name) + "\n")
	}
	name = r.paint(c, name)
	target := r.Target
	if r.Reparse != nil {
		target = r.Reparse.Target
	}
	if target != "" {
		name += " -> " + visible(string(target))
	}
	size := "-"
	if r.Size != nil {
		size = c.size(*r.Size)
	}
	if c.width > 0 && c.width < longWidth {
		return c.printText(fmt.Sprintf("%s %c %10s %16s %s\n", shortAttributes(r.attributes), r.letter, size, shortTime(r.times.LastWrite), name))
	}
	return c.printText(fmt.Sprintf("%s %c %12s  %-28s %-28s %-24s %s\n", r.attributes, r.letter, size,
		dash(showTime(r.times.Creation)), dash(showTime(r.times.LastWrite)), dash(visible(r.Owner)), name))
}

// paint returns the name in visible form, with its colour.
func (r row) paint(c *console, name string) string {
	colour := ""
	switch r.Kind {
	case kindDirectory:
		colour = colourDirectory
	case kindSymlink, kindJunction, kindLink:
		colour = colourLink
	case kindWhiteout, kindOpaque:
		colour = colourHidden
	}
	return paint(c.colour, colour, visible(name))
}

// longWidth is the width of a terminal that has room for both times, the owner and a name
// of 30 characters.
const longWidth = 143

// shortAttributes returns the letters of the attributes without those of bits that are not
// set, padded to six characters.
func shortAttributes(a winfs.Attributes) string {
	s := strings.ReplaceAll(a.String(), "-", "")
	return s + strings.Repeat("-", max(0, 6-len(s)))
}

// shortTime returns a time in minutes.
func shortTime(t winfs.Filetime) string {
	if t == 0 {
		return "-"
	}
	return t.Time().Format("2006-01-02 15:04")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
