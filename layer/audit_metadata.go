package layer

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// metadata checks the metadata of an entry.
func (a *Audit) metadata() {
	e := a.e
	if t := &e.Times; !usual(t.Creation) || !usual(t.LastAccess) || !usual(t.LastWrite) || !usual(t.Change) {
		a.times()
	}
	a.places()
	a.eas()
	if e.IsReparsePoint() {
		a.reparse()
	}
	if e.Kind != Link {
		a.descriptor()
	}
}

// Times that 64-bit nanoseconds since 1970 can hold (docs/spec/layers.md, "Times").
const (
	firstNanosecond winfs.Filetime = 116444736000000000 - 92233720368547758
	lastNanosecond  winfs.Filetime = 116444736000000000 + 92233720368547758
)

// usual reports whether no rule is about a time. 0 is an unset one.
func usual(t winfs.Filetime) bool {
	return t == 0 || t >= firstNanosecond && t <= lastNanosecond && t != GoZeroTime
}

// times checks the times, of which some are not usual.
func (a *Audit) times() {
	t := &a.e.Times
	if slices.Contains([]winfs.Filetime{t.Creation, t.LastAccess, t.LastWrite, t.Change}, GoZeroTime) {
		a.report(RuleGoZeroTime, "a time is 1754-08-30T22:43:41.1286549Z, which is no time but Go's unset one, wrapped")
	}
	names := [...]string{"creation", "access", "write", "change"}
	for i, t := range [...]winfs.Filetime{t.Creation, t.LastAccess, t.LastWrite, t.Change} {
		switch {
		case usual(t) || t == GoZeroTime:
			continue
		case t < 0:
			a.report(RuleTimeRange, "the %s time is %v", names[i], t)
		default:
			a.report(RuleTimeOverflow, "the %s time is %v", names[i], t)
		}
		return
	}
}

// volumeFolders are the folders at the root of a volume that belong to the machine.
var volumeFolders = [...]string{"$Recycle.Bin", "System Volume Information", "WcSandboxState"}

// places checks the place and the length of the path, and metadata that the standard
// records of a tar cannot hold.
func (a *Audit) places() {
	e := a.e
	if a.root == RootFiles {
		name := a.inRoot
		for _, folder := range volumeFolders {
			if len(name) == len(folder) && winfs.EqualFold(name, folder) {
				a.report(RuleVolumeFolder, "the folder is no part of an image")
			}
		}
		const most = 260 // units with the drive and the NUL (Windows, MAX_PATH)
		if len(name) >= most-4 {
			if n := winfs.UTF16Len(name); n > most-4 {
				a.report(RuleLongPath, `C:\ and the path have %d units`, n+3)
			}
		}
	}
	if len(e.ObjectID) > 0 {
		a.report(RuleOwnMetadata, "the file has an object identifier")
	}
	if e.Kind == File && e.Attributes&winfs.AttrSparse != 0 {
		a.report(RuleSparseFile, "the file has the attribute SPARSE_FILE")
	}
}

// stream looks at a stream of the entry.
func (a *Audit) stream() {
	alternate := a.streams
	if a.e.Kind == File {
		alternate-- // the first is the main stream
	}
	switch {
	case alternate != 1: // told at the first
	case a.e.Kind == Dir || a.e.IsReparsePoint():
		a.report(RuleStreamOnDir, "the entry has an alternate stream")
	default:
		a.report(RuleStream, "the file has an alternate stream")
	}
}

// bareDevice reports whether a component is the name of a device without an extension.
func bareDevice(path string) bool {
	for c := range strings.SplitSeq(path, `\`) {
		if errors.Is(winfs.CheckName(c), winfs.ErrNameReserved) && !strings.Contains(c, ".") {
			return true
		}
	}
	return false
}

func (a *Audit) eas() {
	if len(a.e.EAs) == 0 {
		return
	}
	seen := map[string]bool{}
	for i := range a.e.EAs {
		name := strings.ToUpper(a.e.EAs[i].Name)
		if seen[name] {
			a.report(RuleBadEAs, "two extended attributes are named %s", shorten(name))
			return
		}
		seen[name] = true
		if a.e.EAs[i].Flags != 0 && len(seen) == 1 {
			a.report(RuleOwnMetadata, "the extended attribute %s has flags", shorten(name))
		}
	}
	if _, err := winfs.EncodeEAs(a.e.EAs); err != nil {
		a.report(RuleBadEAs, "%v", err)
	} else if n := winfs.PackedEASize(a.e.EAs); n > winfs.MaxPackedEAs {
		a.report(RuleBadEAs, "NTFS keeps %d bytes of extended attributes with a file, these are %d", winfs.MaxPackedEAs, n)
	}
}

func (a *Audit) reparse() {
	p, err := winfs.ParseReparse(a.e.Reparse)
	if err != nil {
		a.report(RuleBadReparse, "%v", err)
		return
	}
	switch p.Tag {
	case winfs.ReparseTagSymlink, winfs.ReparseTagMountPoint:
		if err := winfs.CheckLinkTarget(p.Tag, p.Target()); err != nil {
			a.report(RuleLinkNowhere, "the link leads nowhere: %v", err)
		}
		t := strings.TrimLeft(p.Target(), `\`)
		if winfs.EqualFold(t, RootFiles) || winfs.Under(t, RootFiles) {
			a.report(RuleSymlinkPrefix, "the target %s names the folder Files, which exists in the layer but not in the container", shorten(p.Target()))
		}
		if plain, err := winfs.EncodeLink(p.Tag, p.Target()); err == nil && !bytes.Equal(plain, a.e.Reparse) {
			a.report(RuleReparseOwn, "the reparse data is not what Windows makes from the target %s", shorten(p.Target()))
		}
	default:
		a.report(RuleReparseTag, "upstream exporters fail on reparse points with the tag %s", winfs.ReparseTagName(p.Tag))
	}
}
