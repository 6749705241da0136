package offline

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mullion/mullion/winsec"
)

// simpleRights are the letters of icacls for sets of rights.
var simpleRights = []struct {
	name string
	mask uint32
}{
	{"F", winsec.FileAllAccess},
	{"M", 0x001301BF},
	{"RX", winsec.FileReadExecute},
	{"R", 0x00120089},
	{"W", 0x00100116},
	{"D", 0x00110000},
}

// specificRights are those in parentheses.
var specificRights = map[string]uint32{
	"DE": 0x10000, "RC": 0x20000, "WDAC": 0x40000, "WO": 0x80000, "S": 0x100000, "AS": 0x1000000, "MA": 0x2000000,
	"GR": winsec.GenericRead, "GW": winsec.GenericWrite, "GE": winsec.GenericExecute, "GA": winsec.GenericAll,
	"RD": 0x1, "WD": 0x2, "AD": 0x4, "REA": 0x8, "WEA": 0x10, "X": 0x20, "DC": 0x40, "RA": 0x80, "WA": 0x100,
}

// grant is one SID:rights of icacls.
type grant struct {
	sid   winsec.SID
	flags winsec.ACEFlags
	mask  uint32
}

// parseGrant reads SID:(OI)(CI)F and the like.
func parseGrant(t text) (grant, error) {
	var g grant
	name, rights, ok := strings.Cut(t.s, ":")
	if !ok || rights == "" {
		return g, syntax(t, "not an account, a colon and rights")
	}
	var err error
	if g.sid, err = winsec.AccountSID(name); err != nil {
		return g, placed(t, fmt.Errorf("%w: %w", ErrNotOffline, err))
	}
	given := false
	for rights != "" {
		if rights[0] != '(' {
			if given {
				return g, syntax(t, "rights are given twice")
			}
			mask, ok := letters(rights)
			if !ok {
				return g, syntax(t, "%q are no rights", clip(rights))
			}
			g.mask, given, rights = mask, true, ""
			break
		}
		end := strings.IndexByte(rights, ')')
		if end < 0 {
			return g, syntax(t, "a parenthesis is not closed")
		}
		inner := strings.ToUpper(rights[1:end])
		rights = rights[end+1:]
		switch inner {
		case "OI":
			g.flags |= winsec.ObjectInherit
			continue
		case "CI":
			g.flags |= winsec.ContainerInherit
			continue
		case "IO":
			g.flags |= winsec.InheritOnly
			continue
		case "NP":
			g.flags |= winsec.NoPropagate
			continue
		case "I":
			return g, notOffline(t, "(I) is what icacls prints of inherited entries; it cannot be given")
		}
		if given {
			return g, syntax(t, "rights are given twice")
		}
		given = true
		for _, r := range strings.Split(inner, ",") {
			mask, ok := specificRights[r]
			if !ok {
				if mask, ok = letters(r); !ok {
					return g, syntax(t, "%q is no right", clip(r))
				}
			}
			g.mask |= mask
		}
	}
	if !given || g.mask == 0 {
		return g, syntax(t, "no rights are given")
	}
	if g.flags&(winsec.InheritOnly|winsec.NoPropagate) != 0 && g.flags&(winsec.ObjectInherit|winsec.ContainerInherit) == 0 {
		return g, syntax(t, "(IO) and (NP) need (OI) or (CI)")
	}
	return g, nil
}

// letters reads a sequence of simple rights, as in F or RXW.
func letters(s string) (mask uint32, ok bool) {
	s = strings.ToUpper(s)
	for s != "" {
		n := len(s)
		for _, r := range simpleRights {
			if strings.HasPrefix(s, r.name) {
				mask |= r.mask
				s = s[len(r.name):]
				break
			}
		}
		if len(s) == n {
			return 0, false
		}
	}
	return mask, mask != 0
}

// change is one operation of icacls on a descriptor.
type change struct {
	word text
	kind string // grant, grant:r, deny, remove, remove:g, remove:d, inheritance:e, setowner, reset
	list []grant
	sids []winsec.SID
}

// icaclsProgram is icacls.exe.
func icaclsProgram(s *session, name text, args []text) (int, error) {
	if len(args) == 0 {
		return 0, syntax(name, "a path is missing")
	}
	file := args[0]
	var changes []change
	below := false
	for i := 1; i < len(args); {
		a := args[i]
		i++
		// The words up to the next option are its values.
		first := i
		for i < len(args) && !strings.HasPrefix(args[i].s, "/") {
			i++
		}
		values := args[first:i]
		ch := change{word: a, kind: strings.TrimPrefix(strings.ToLower(a.s), "/")}
		switch ch.kind {
		case "t", "c", "q", "l":
			if len(values) > 0 {
				return 0, notOffline(values[0], "")
			}
			if ch.kind == "l" {
				return 0, notOffline(a, "")
			}
			below = below || ch.kind == "t"
			continue
		case "grant", "grant:r", "deny":
			for _, v := range values {
				g, err := parseGrant(v)
				if err != nil {
					return 0, err
				}
				ch.list = append(ch.list, g)
			}
		case "remove", "remove:g", "remove:d", "setowner":
			for _, v := range values {
				sid, err := winsec.AccountSID(v.s)
				if err != nil {
					return 0, placed(v, fmt.Errorf("%w: %w", ErrNotOffline, err))
				}
				ch.sids = append(ch.sids, sid)
			}
			if ch.kind == "setowner" && len(values) != 1 {
				return 0, syntax(a, "one account is needed")
			}
		case "inheritance:e", "inheritance:d", "inheritance:r", "reset":
			if len(values) > 0 {
				return 0, notOffline(values[0], "")
			}
			changes = append(changes, ch)
			continue
		default:
			return 0, notOffline(a, "")
		}
		if len(values) == 0 {
			return 0, syntax(a, "its value is missing")
		}
		changes = append(changes, ch)
	}
	if len(changes) == 0 {
		return 0, &wordError{at: name.from(), word: name.s, err: fmt.Errorf("%w: without a change it only prints", ErrNotOffline)}
	}
	p, err := s.pattern(file)
	if err == nil && p.null {
		return 0, notOffline(file, "")
	}
	var list []*item
	if err == nil {
		list, err = s.matches(p)
	}
	if missing(err) {
		return s.fail(3, "%s: %s", file.s, codeError(3))
	}
	if err != nil {
		return 0, placed(file, err)
	}
	if len(list) == 0 {
		return s.fail(2, "%s: %s", file.s, codeError(2))
	}
	n := 0
	apply := func(it *item) error {
		if it.reparse() {
			return fmt.Errorf("%w: %s is a link", ErrNotOffline, winPath(it.Path))
		}
		if hivesFile(it.Path) {
			return guard(it.Path)
		}
		n++
		return s.applyChanges(it, changes)
	}
	for _, it := range list {
		switch {
		case !below:
			err = apply(it)
		case p.wild && !it.dir():
			err = apply(it)
		default:
			err = s.walk(it, apply)
		}
		if err != nil {
			return 0, placed(file, err)
		}
	}
	if below && !p.wild && len(list) == 1 && !list[0].dir() {
		// The name of a file with /t means the files of that name in all directories below.
		return 0, notOffline(file, "/t with the name of a file")
	}
	return 0, s.printf("Successfully processed %d files; Failed processing 0 files", n)
}

// applyChanges changes one descriptor, and what is inherited from it.
func (s *session) applyChanges(it *item, changes []change) error {
	// What an earlier change of the tree passed on is in the tree, not in the item.
	it, err := s.find(it.Path)
	if err != nil {
		return err
	}
	d, err := s.descriptor(it)
	if err != nil {
		return err
	}
	for _, ch := range changes {
		if err := s.applyChange(it, d, ch); err != nil {
			return err
		}
	}
	before := it.Security
	if err := s.setDescriptor(it, d); err != nil {
		return err
	}
	if it.dir() && string(before) != string(it.Security) {
		return s.propagate(it, 0)
	}
	return nil
}

var errNullDACL = errors.New("the list is NULL and grants everything to everyone")

func (s *session) applyChange(it *item, d *winsec.Descriptor, ch change) error {
	if ch.kind == "setowner" {
		d.Owner = &ch.sids[0]
		d.Control &^= winsec.OwnerDefaulted
		return nil
	}
	if d.DACL == nil && ch.kind != "reset" {
		return fmt.Errorf("%w: %s: %w", ErrNotOffline, winPath(it.Path), errNullDACL)
	}
	switch ch.kind {
	case "grant", "grant:r":
		if ch.kind == "grant:r" {
			for _, g := range ch.list {
				d.Remove(g.sid, true, false)
			}
		}
		for _, g := range ch.list {
			if flags, ok := onItem(g.flags, it.dir()); ok {
				d.Grant(g.sid, g.mask, flags)
			}
		}
	case "deny":
		for _, g := range ch.list {
			flags, ok := onItem(g.flags, it.dir())
			if !ok {
				continue
			}
			ungrant(d, g.sid, g.mask, flags)
			d.Deny(g.sid, g.mask, flags)
		}
	case "remove", "remove:g", "remove:d":
		for _, sid := range ch.sids {
			d.Remove(sid, ch.kind != "remove:d", ch.kind != "remove:g")
		}
	case "inheritance:e":
		d.Unprotect()
		return s.inheritAgain(it, d)
	case "inheritance:d", "inheritance:r":
		d.Protect(ch.kind == "inheritance:d")
	case "reset":
		d.DACL = &winsec.ACL{}
		d.Control = d.Control&^winsec.DACLDefaulted | winsec.DACLPresent
		d.Unprotect()
		return s.inheritAgain(it, d)
	}
	return nil
}

// inheritAgain gives a descriptor what it inherits from that of the directory.
func (s *session) inheritAgain(it *item, d *winsec.Descriptor) error {
	parent, err := s.parent(it)
	if err != nil {
		return err
	}
	d.ReinheritFile(parent, it.dir())
	return nil
}

// ungrant takes rights from the explicit grants of an account that have the same
// inheritance, as icacls does when it denies them.
func ungrant(d *winsec.Descriptor, sid winsec.SID, mask uint32, flags winsec.ACEFlags) {
	d.DACL.ACEs = slices.DeleteFunc(d.DACL.ACEs, func(a winsec.ACE) bool {
		return a.Type == winsec.ACEAllowed && a.SID == sid && a.Flags == flags && a.Mask&^mask == 0
	})
	for i := range d.DACL.ACEs {
		if a := &d.DACL.ACEs[i]; a.Type == winsec.ACEAllowed && a.SID == sid && a.Flags == flags {
			a.Mask &^= mask
		}
	}
}

// onItem returns the flags of an entry on a file or directory: those for inheritance are
// only for directories, and an entry that is only for inheritance is not for files.
func onItem(f winsec.ACEFlags, dir bool) (winsec.ACEFlags, bool) {
	if dir {
		return f, true
	}
	return 0, f&winsec.InheritOnly == 0
}
