package cli

import (
	"encoding/hex"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// listed is an entry as ls prints it, as text or as JSON.
type listed struct {
	Path          wtf8         `json:"path"`
	Kind          string       `json:"kind"`
	Target        wtf8         `json:"target,omitempty"` // of a hard link, symbolic link or junction
	Attributes    string       `json:"attributes"`
	AttributeBits uint32       `json:"attributeBits"`
	Size          int64        `json:"size"`
	Created       string       `json:"created,omitempty"`
	Written       string       `json:"written,omitempty"`
	Changed       string       `json:"changed,omitempty"`
	Accessed      string       `json:"accessed,omitempty"`
	Owner         string       `json:"owner,omitempty"`
	SDDL          string       `json:"sddl,omitempty"`
	ReparseTag    string       `json:"reparseTag,omitempty"`
	EAs           []listedEA   `json:"eas,omitempty"`
	Streams       []listedData `json:"streams,omitempty"`
	Layer         *int         `json:"layer,omitempty"`
	Links         int          `json:"links,omitempty"`
}

type listedEA struct {
	Name  string `json:"name"`
	Flags byte   `json:"flags"`
	Value string `json:"value"` // lower-case hex
}

type listedData struct {
	Name wtf8  `json:"name"`
	Size int64 `json:"size"`
}

func listEntry(e *layer.Entry) *listed {
	l := &listed{
		Path: wtf8(e.Path), Kind: e.Kind.String(), Attributes: e.Attributes.String(), AttributeBits: uint32(e.Attributes), Size: e.Size,
		Created: showTime(e.Times.Creation), Written: showTime(e.Times.LastWrite),
		Changed: showTime(e.Times.Change), Accessed: showTime(e.Times.LastAccess),
	}
	if e.Target != "" {
		l.Target = wtf8(e.Target)
	}
	if e.IsReparsePoint() {
		if r, err := winfs.ParseReparse(e.Reparse); err == nil {
			l.ReparseTag, l.Target = winfs.ReparseTagName(r.Tag), wtf8(r.Target())
		}
	}
	if d, err := winsec.Parse(e.Security); err == nil && len(e.Security) > 0 {
		l.Owner, l.SDDL = ownerName(d), d.SDDL()
	}
	for _, ea := range e.EAs {
		l.EAs = append(l.EAs, listedEA{ea.Name, ea.Flags, hex.EncodeToString(ea.Value)})
	}
	return l
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

// print prints the entry on one line, with name as its path.
func (l *listed) print(c *console, long bool, name string) error {
	switch {
	case c.json:
		return c.printJSONLine(l)
	case !long:
		return c.printf("%s\n", name)
	}
	if l.Target != "" {
		name += " -> " + string(l.Target)
	}
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	return c.printf("%s %c %12d  %-28s %-28s %-24s %s\n", l.Attributes, kindLetter(l.Kind), l.Size,
		dash(l.Created), dash(l.Written), dash(l.Owner), name)
}

// kindLetter returns f, d, h (hard link), w (whiteout) or o (opaque whiteout).
func kindLetter(kind string) byte { return kind[0] }
