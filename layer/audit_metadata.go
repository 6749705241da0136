package layer

import (
	"strings"

	"github.com/mullion/mullion/winfs"
)

// metadata checks the metadata of an entry.
func (a *Audit) metadata() {
	e := a.e
	for _, t := range []winfs.Filetime{e.Times.Creation, e.Times.LastAccess, e.Times.LastWrite, e.Times.Change} {
		if t == GoZeroTime {
			a.report(RuleGoZeroTime, "a time is 1754-08-30T22:43:41.1286549Z, which is no time but Go's unset one, wrapped")
			break
		}
	}
	a.eas()
	if e.IsReparsePoint() {
		a.reparse()
	}
	if e.Kind != Link {
		a.descriptor()
	}
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
	default:
		a.report(RuleReparseTag, "upstream exporters fail on reparse points with the tag %s", winfs.ReparseTagName(p.Tag))
	}
}
