package layer

import (
	"errors"
	"hash/maphash"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/wtf8"
	"github.com/mullion/mullion/winfs"
)

// GoZeroTime is what the zero value of Go's time.Time becomes when it is counted in
// nanoseconds since 1970, which wraps: 1754-08-30T22:43:41.1286549Z. Layers that were
// imported and exported again by such a tool carry it as access and change time
// (docs/spec/layers.md, "Times").
const GoZeroTime winfs.Filetime = 48491090211286549

// Roots are the names allowed at the root of a layer.
const (
	RootFiles     = "Files"
	RootHives     = "Hives"
	RootUtilityVM = "UtilityVM"
	RootLayout    = "layout" // a file, of a layer that was unpacked
)

// treeKey is a hash of a folded path. With 128 bits of keyed hash, an accidental collision
// among 10^7 names is less likely than a fault of the machine, and an attacker can't
// construct one; 16 bytes are less than most paths.
type treeKey [2]uint64

// Audit checks the entries of one layer in sequence and reports faults of the tree that
// they make and of their metadata, for all formats: it is the common part of the checks of
// tar, directory and CIM layers. It keeps some 60 bytes per entry, no names.
//
// [Rules] lists the rules. Each finding carries the path and the offset of the entry at
// which the fault was seen.
type Audit struct {
	// Report takes the findings. It must be set.
	Report func(finding.Finding)
	// Base is set if the layer has no parents, HasParents if it has some. With both false
	// the audit does not know, and skips the rules that depend on it.
	Base, HasParents bool
	// Merged says that the layer shows the whole tree of a chain, with its registry
	// merged, as the image of a layer in a store does. It then has the file layout, and
	// in Hives links to the hives in Files, neither with descriptors of their own.
	Merged bool
	// Limits bound the layer. A layer that exceeds one has a finding, and the entries
	// behind it are not looked at.
	Limits Limits
	// Below, if set, knows all layers below this one, and Finish adds this one to them.
	Below *Below

	seeds    [2]maphash.Seed
	started  bool
	nodes    *nameTable[auditNode]
	waiting  map[treeKey]waitingLink // targets of links that have not been seen
	oddRoots map[string]bool
	hasFiles bool
	hasHives bool
	hasSAM   bool               // hives of a base layer, in Files
	hasDelta bool               // a hive of a layer with parents
	links    map[treeKey]uint32 // how many hard links name a target
	vm       utilityVM

	e      *Entry
	index  int64
	offset int64
	folded []byte // the path of the entry
	key    treeKey
	root   string // which of the roots the path begins with, in any case; "" for none
	inRoot string // the rest of the path

	// Neighbours are mostly in one directory. Of that of the last entry:
	dir       string // as it is spelled
	dirKey    treeKey
	dirFolded int  // length in folded, with the separator
	dirReach  bool // Win32 reaches all components
	dirFine   bool // it has an entry and is a directory

	sds     map[uint64][]finding.Finding
	lastSD  uint64 // key in sds of the last descriptor, whose findings are sdFound
	sdFound []finding.Finding

	total    int64 // bytes of streams
	streams  int64 // of the current entry
	exceeded bool  // a limit, which has been reported
}

type auditNode struct {
	exact uint64 // hash of the path as it is spelled
	index uint32 // number of the entry, saturating
	kind  Kind   // 0: whiteouts alone
	flags auditFlags
}

type auditFlags uint8

const (
	auditSurrogate auditFlags = 1 << iota
	auditImplied
	auditWhiteout
	auditOpaque
	auditToldWhiteout
)

type waitingLink struct {
	path  string // of the link, shortened
	index uint32
	below targetBelow
}

// targetBelow says whether the layers below have the target of a link.
type targetBelow uint8

const (
	belowUnknown targetBelow = iota
	belowHas
	belowLacks
)

// start makes the tables of an audit.
func (a *Audit) start() {
	if a.started {
		return
	}
	a.started = true
	a.nodes = &nameTable[auditNode]{}
	a.waiting = map[treeKey]waitingLink{}
	a.oddRoots = map[string]bool{}
	a.links = map[treeKey]uint32{}
	a.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	if a.Below != nil {
		a.seeds = a.Below.start()
	}
	a.Limits = a.Limits.WithDefaults()
}

// Entry looks at the next entry. Index counts from 1; offset is the place in the
// source, -1 if unknown. The audit keeps nothing that e points to.
func (a *Audit) Entry(e *Entry, index, offset int64) {
	a.start()
	if a.exceeded {
		return
	}
	a.e, a.index, a.offset, a.streams = e, index, offset, 0
	if !a.within() {
		return
	}
	a.locate()
	a.names()
	a.roots()
	a.utilityVM()
	switch e.Kind {
	case Whiteout, Opaque:
		a.whiteout()
	default:
		a.place()
		a.metadata()
	}
	a.e = nil
}

// within reports whether the entry keeps the limits that hold for entries.
func (a *Audit) within() bool {
	err := a.Limits.CheckDepth(a.e.Path)
	switch {
	case a.index > a.Limits.Entries:
		err = &LimitError{Limit: "Entries", Max: a.Limits.Entries}
	case a.e.MetadataSize() > a.Limits.MetadataLen:
		err = &LimitError{Limit: "MetadataLen", Max: a.Limits.MetadataLen}
	}
	return a.keeps(err)
}

func (a *Audit) keeps(err error) bool {
	if err != nil {
		a.exceeded = true
		a.report(RuleLimitExceeded, "%v", err)
	}
	return err == nil
}

// Stream counts a stream of the entry that e is, the one that Entry had last, and
// reports whether it keeps the limits. Size is in bytes.
func (a *Audit) Stream(e *Entry, size int64) bool {
	if a.exceeded {
		return false
	}
	a.e = e
	a.streams++
	var err error
	switch {
	case a.streams > a.Limits.Streams:
		err = &LimitError{Limit: "Streams", Max: a.Limits.Streams}
	case size > a.Limits.FileSize:
		err = &LimitError{Limit: "FileSize", Max: a.Limits.FileSize}
	case size > a.Limits.TotalSize-a.total:
		err = &LimitError{Limit: "TotalSize", Max: a.Limits.TotalSize}
	default:
		a.total += size
	}
	ok := a.keeps(err)
	a.stream()
	a.e = nil
	return ok
}

// Exceeded reports whether the layer has exceeded a limit.
func (a *Audit) Exceeded() bool { return a.exceeded }

func (a *Audit) report(rule *finding.Rule, format string, args ...any) {
	a.Report(rule.At(a.e.Path, a.offset, format, args...))
}

func (a *Audit) keyOf(folded string) treeKey {
	return treeKey{maphash.String(a.seeds[0], folded), maphash.String(a.seeds[1], folded)}
}

func (a *Audit) keyOfBytes(folded []byte) treeKey {
	return treeKey{maphash.Bytes(a.seeds[0], folded), maphash.Bytes(a.seeds[1], folded)}
}

// locate makes the key of the path, and learns about its directory if it is another than
// that of the last entry.
func (a *Audit) locate() {
	dir, name := winfs.SplitPath(a.e.Path)
	if dir != a.dir || a.folded == nil {
		a.dir = strings.Clone(dir)
		a.folded = winfs.AppendFold(a.folded[:0], dir)
		a.dirKey = a.keyOfBytes(a.folded)
		if dir != "" {
			a.folded = append(a.folded, '\\')
		}
		a.dirFolded = len(a.folded)
		a.dirReach = winfs.CheckPath(dir) == nil
		a.dirFine = false
	}
	a.folded = winfs.AppendFold(a.folded[:a.dirFolded], name)
	a.key = a.keyOfBytes(a.folded)
}

func (a *Audit) names() {
	end := a.e.Path
	if a.dirReach {
		_, end = winfs.SplitPath(end)
	}
	a.reachable("path", a.e.Path, end)
	a.reachable("target", a.e.Target, a.e.Target)
	if !utf8.ValidString(a.e.Path) {
		a.report(RuleLoneSurrogate, "the name holds half of a surrogate pair and is not valid UTF-8")
	}
}

// reachable looks for names that NTFS can hold and Win32 cannot always reach, in the end of a
// path that is not known to be without.
func (a *Audit) reachable(what, path, end string) {
	switch err := winfs.CheckPath(end); {
	case errors.Is(err, winfs.ErrNameReserved):
		if bareDevice(path) {
			a.report(RuleReserved, "programs take a component of the %s for a device", what)
		} else {
			a.report(RuleReserved.Lesser(), "programs on versions before Windows 11 take a component of the %s for a device", what)
		}
	case err != nil:
		a.report(RuleTrailing, "a component of the %s ends with a dot or a space, which Win32 strips, so that programs do not find it", what)
	}
}

func (a *Audit) roots() {
	first, rest := cutPath(a.e.Path)
	proper := ""
	for _, r := range []string{RootFiles, RootHives, RootUtilityVM} {
		if first == r || len(first) == len(r) && winfs.EqualFold(first, r) { // ASCII letters fold only to each other
			proper = r
			break
		}
	}
	a.root, a.inRoot = proper, rest
	if a.Merged && a.e.Kind == File && winfs.EqualFold(a.e.Path, RootLayout) {
		return
	}
	if first != proper && len(a.oddRoots) < 64 && !a.oddRoots[first] {
		a.oddRoots[strings.Clone(first)] = true
		if proper == "" {
			a.report(RuleUnknownRoot, "importers know Files, Hives and UtilityVM at the root of a layer and nothing else")
		} else {
			a.report(RuleRootCase, "importers compare the names at the root with regard to case, and this is not %s", proper)
		}
	}
	if rest == "" && proper != "" && (a.e.Kind == File || a.e.Kind == Link || a.e.IsReparsePoint()) {
		a.report(RuleRootNotDirectory, "%s must be a directory, this is a %s", proper, a.e.Kind)
	}
	switch proper {
	case RootFiles:
		a.hasFiles = a.hasFiles || a.e.Kind == Dir && rest == ""
		if len(rest) == len(`Windows\System32\config\SAM`) && winfs.EqualFold(rest, `Windows\System32\config\SAM`) {
			a.hasSAM = true
		}
	case RootHives:
		a.hasHives = a.hasHives || a.e.Kind == Dir && rest == ""
		const delta = "_Delta"
		a.hasDelta = a.hasDelta || len(rest) > len(delta) && winfs.EqualFold(rest[len(rest)-len(delta):], delta)
	}
}

func (a *Audit) whiteout() {
	e := a.e
	if e.Kind == Opaque {
		a.report(RuleOpaque, "upstream importers do not know opaque whiteouts and ignore this one")
	}
	if a.Base {
		a.report(RuleWhiteoutInBase, "a base layer has nothing below it to hide")
	}
	if CheckPlace(e) != nil {
		a.report(RuleWhiteoutOutside, "whiteouts are only allowed under Files and UtilityVM\\Files")
	}
	n, added := a.nodes.at(a.key)
	if added {
		n.index = a.number()
	}
	bit := auditWhiteout
	if e.Kind == Opaque {
		bit = auditOpaque
	}
	if n.flags&bit != 0 {
		a.report(RuleDuplicate.Lesser(), "the layer has the same %s twice", e.Kind)
	}
	a.hidesNothing(n)
	n.flags |= bit
	a.sameLayer(n)
}

// sameLayer reports a whiteout and an entry of one path, whichever came first.
func (a *Audit) sameLayer(n *auditNode) {
	if n.flags&auditWhiteout != 0 && n.flags&auditToldWhiteout == 0 && n.kind != 0 && n.flags&auditImplied == 0 {
		n.flags |= auditToldWhiteout
		a.report(RuleWhiteoutSame, "the layer has a whiteout and an entry for this path; upstream importers delete the entry")
	}
}

func (a *Audit) number() uint32 {
	if a.index > math.MaxUint32 {
		return math.MaxUint32
	}
	return uint32(a.index)
}

// place puts the entry into the tree.
func (a *Audit) place() {
	e := a.e
	a.parent()
	exact := maphash.String(a.seeds[0], e.Path)
	n, added := a.nodes.at(a.key)
	switch {
	case added || n.kind == 0:
	case n.flags&auditImplied != 0:
		if e.Kind != Dir {
			a.report(RuleTypeChange, "entries before this one are inside of it, but it is a %s", e.Kind)
		}
	case n.exact != exact:
		a.report(RuleCaseConflict, "the path differs from that of entry %d only in case", n.index)
	case n.kind != e.Kind:
		a.report(RuleTypeChange, "entry %d has the same path and is a %s, this is a %s", n.index, n.kind, e.Kind)
	default:
		a.report(RuleDuplicate, "entry %d has the same path", n.index)
	}
	n.exact, n.index, n.kind = exact, a.number(), e.Kind
	n.flags &^= auditImplied | auditSurrogate
	if isSurrogate(e) {
		n.flags |= auditSurrogate
	}
	a.sameLayer(n)
	if w, ok := a.waiting[a.key]; ok {
		delete(a.waiting, a.key)
		rule := RuleLinkForward
		if w.below == belowHas {
			rule = RuleLinkReplaced
		}
		a.report(rule, "entry %d, %q, is a hard link to this one and comes before it", w.index, w.path)
	}
	if e.Kind == Link {
		a.link()
	}
}

// parent looks at the directory that the entry is in. An entry for the directory itself is
// in another one, so that dirFine holds until locate resets it.
func (a *Audit) parent() {
	if a.dir == "" || a.dirFine {
		return
	}
	n, added := a.nodes.at(a.dirKey)
	switch {
	case added || n.kind == 0:
		a.report(RuleMissingParent, "no entry for the directory comes before its content")
		n.kind, n.index = Dir, a.number()
		n.flags |= auditImplied
	case n.flags&auditSurrogate != 0:
		a.report(RuleThroughReparse, "the path leads through entry %d, which is a symbolic link or junction", n.index)
	case n.kind != Dir:
		a.report(RuleTypeChange, "the ancestor, entry %d, is a %s", n.index, n.kind)
	default:
		a.dirFine = true
	}
}

func (a *Audit) link() {
	target := a.e.Target
	if CheckPlace(a.e) != nil && !a.hiveLink() {
		a.report(RuleLinkOutside, "the hard link or its target %s is not under Files or UtilityVM\\Files", shorten(target))
	}
	folded := winfs.Fold(target)
	k := a.keyOf(folded)
	if k == a.key {
		a.report(RuleLinkToItself, "the hard link is its own target")
		return
	}
	if dir, _ := winfs.SplitPath(folded); dir != "" {
		p := a.nodes.find(a.keyOf(dir))
		switch {
		case p == nil:
		case p.flags&auditSurrogate != 0:
			a.report(RuleThroughReparse, "the target of the hard link leads through entry %d, which is a symbolic link or junction", p.index)
		case p.kind != Dir && p.kind != 0:
			a.report(RuleTypeChange, "the target of the hard link is below entry %d, which is a %s", p.index, p.kind)
		}
	}
	t := a.nodes.find(k)
	switch {
	case t == nil || t.kind == 0:
		w := waitingLink{index: a.number(), below: a.targetBelow(folded)}
		if _, ok := a.waiting[k]; !ok {
			w.path = strings.Clone(clip(a.e.Path))
			a.waiting[k] = w
		}
	case t.kind == Dir:
		a.report(RuleLinkToDirectory, "the target, entry %d, is a directory", t.index)
	case t.kind == Link:
		a.report(RuleLinkToLink, "the target, entry %d, is itself a hard link", t.index)
	}
	if t != nil && t.kind == File && t.exact != maphash.String(a.seeds[0], target) {
		a.report(RuleLinkCase, "the target %s differs in case from entry %d", shorten(target), t.index)
	}
	a.links[k]++
	if a.links[k] == maxLinks {
		a.report(RuleLinkCount, "this is name %d of the file %s", maxLinks+1, shorten(target))
	}
}

// hiveLink reports whether the hard link is one from Hives to a hive in the config
// directory, which merging makes.
func (a *Audit) hiveLink() bool {
	dir, _ := winfs.SplitPath(a.e.Path)
	from, _ := winfs.SplitPath(a.e.Target)
	return a.Merged && winfs.EqualFold(dir, RootHives) && winfs.EqualFold(from, RootFiles+`\Windows\System32\config`)
}

// clip bounds a path that is kept or shown.
func clip(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}

func shorten(s string) string { return wtf8.Quote(clip(s)) }

// Finish reports the faults that only the end of the layer reveals.
func (a *Audit) Finish() {
	a.start()
	if a.exceeded {
		return
	}
	a.e, a.offset = &Entry{}, -1
	defer func() { a.e = nil }()
	switch {
	case !a.hasFiles:
		a.report(RuleMissingRoot, "the layer has no entry for the directory Files")
	case !a.hasHives && (a.HasParents || !a.Base && !a.hasSAM):
		a.report(RuleMissingRoot, "the layer has no entry for the directory Hives")
	}
	a.finishVM()
	first, missing := waitingLink{index: math.MaxUint32}, 0
	for _, w := range a.waiting {
		if !a.Base && w.below != belowLacks {
			continue
		}
		missing++
		if w.index <= first.index {
			first = w
		}
	}
	if missing > 0 {
		a.e = &Entry{Path: first.path}
		if a.Base {
			a.report(RuleLinkMissing, "the targets of %d hard links are not in the layer, and a base layer has no other", missing)
		} else {
			a.report(RuleLinkMissing, "the targets of %d hard links are neither in the layer nor in those below it", missing)
		}
	}
	if a.Below != nil {
		a.Below.add(a.nodes)
	}
}
