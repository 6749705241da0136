package compare

import (
	"bytes"
	"encoding/hex"
	"slices"

	"github.com/mullion/mullion/winsec"
)

// Field is a property that differs, as text. Lists, such as the entries of an access
// control list, have Removed and Added instead of Before and After.
type Field struct {
	Name           string
	Before, After  string // "" if the side does not have it
	Removed, Added []string
}

// Security returns the differences between two self-relative descriptors, nil for none:
// owner, group, flags, dacl and sacl. The two lists are compared entry by entry, as SDDL. A
// descriptor that cannot be parsed is a field "security" in hexadecimal.
func Security(before, after []byte) []Field {
	a, errA := parseSecurity(before)
	b, errB := parseSecurity(after)
	if errA != nil || errB != nil {
		if bytes.Equal(before, after) {
			return nil
		}
		return []Field{{Name: "security", Before: hex.EncodeToString(before), After: hex.EncodeToString(after)}}
	}
	var out []Field
	text := func(name, x, y string) {
		if x != y {
			out = append(out, Field{Name: name, Before: x, After: y})
		}
	}
	text("owner", account(a.Owner), account(b.Owner))
	text("group", account(a.Group), account(b.Group))
	text("dacl flags", listFlags(a, true), listFlags(b, true))
	out = append(out, compareLists("dacl", a.DACL, b.DACL)...)
	text("sacl flags", listFlags(a, false), listFlags(b, false))
	out = append(out, compareLists("sacl", a.SACL, b.SACL)...)
	if out == nil && !bytes.Equal(before, after) {
		// The same meaning in another layout, or a reserved field.
		out = append(out, Field{Name: "security", Before: hex.EncodeToString(before), After: hex.EncodeToString(after)})
	}
	return out
}

func parseSecurity(b []byte) (*winsec.Descriptor, error) {
	if len(b) == 0 {
		return &winsec.Descriptor{}, nil
	}
	return winsec.Parse(b)
}

// account returns the name of a well-known account, the SID of another one, "" for none.
func account(s *winsec.SID) string {
	if s == nil {
		return ""
	}
	if name := s.Name(); name != "" {
		return name
	}
	return s.String()
}

// listFlags returns the flags of a list as SDDL writes them, - for a list that is absent.
func listFlags(d *winsec.Descriptor, dacl bool) string {
	present, protected, auto, req := winsec.DACLPresent, winsec.DACLProtected, winsec.DACLAutoInherited, winsec.DACLAutoInheritReq
	list := d.DACL
	if !dacl {
		present, protected, auto, req = winsec.SACLPresent, winsec.SACLProtected, winsec.SACLAutoInherited, winsec.SACLAutoInheritReq
		list = d.SACL
	}
	if d.Control&present == 0 {
		return ""
	}
	s := "present"
	if list == nil {
		s = "null"
	}
	for _, f := range []struct {
		bit  winsec.Control
		text string
	}{{protected, " P"}, {req, " AR"}, {auto, " AI"}} {
		if d.Control&f.bit != 0 {
			s += f.text
		}
	}
	return s
}

// compareLists returns the entries that one list has and the other has not, each as often
// as it is missing, or the order of entries that are the same.
func compareLists(name string, a, b *winsec.ACL) []Field {
	was, is := entries(a), entries(b)
	if slices.Equal(was, is) {
		return nil
	}
	left := map[string]int{}
	for _, e := range was {
		left[e]++
	}
	f := Field{Name: name}
	for _, e := range is {
		if left[e] > 0 {
			left[e]--
		} else {
			f.Added = append(f.Added, e)
		}
	}
	for _, e := range was {
		if left[e] > 0 {
			left[e]--
			f.Removed = append(f.Removed, e)
		}
	}
	if f.Added == nil && f.Removed == nil {
		f = Field{Name: name + " order", Removed: was, Added: is}
	}
	return []Field{f}
}

func entries(l *winsec.ACL) []string {
	if l == nil {
		return nil
	}
	var list []string
	for i := range l.ACEs {
		list = append(list, l.ACEs[i].SDDL())
	}
	return list
}
