package wintar

import (
	"archive/tar"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/wtf8"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// role is the meaning of a tar header for a layer.
type role uint8

const (
	roleEntry  role = iota
	roleStream      // an alternate stream, of the entry at owner
	roleSkip        // a global header, the root directory
)

// decoder turns headers into entries. It is shared by the Reader, which stops at the first
// error, and by Check, which reports all faults.
type decoder struct {
	options
	// note is called with each fault of a header. A nil err is not an error to the Reader.
	// note may be nil.
	note func(rule *finding.Rule, err error, message string)
	err  error // the first error of the header
	flaw error // the first fault in its metadata

	// The last descriptor, because layers repeat few of them very often.
	sdText string
	sd     []byte

	// The result of decode. The Reader swaps the entry out, so that looking ahead does not
	// change the current one.
	entry  layer.Entry
	role   role
	owner  string // of a stream
	stream string
	sparse bool
}

// bad reports an error.
func (d *decoder) bad(rule *finding.Rule, err error) {
	if d.err == nil {
		d.err = err
	}
	if d.note != nil {
		d.note(rule, err, err.Error())
	}
}

func (d *decoder) badf(rule *finding.Rule, cause error, format string, args ...any) {
	d.bad(rule, fmt.Errorf("%w: %s", cause, fmt.Sprintf(format, args...)))
}

// badMeta reports invalid metadata. The Reader continues and sets the entry's Defect, since
// names and content do not depend on it.
func (d *decoder) badMeta(rule *finding.Rule, err error) {
	if d.flaw == nil {
		d.flaw = err
	}
	if d.note != nil {
		d.note(rule, err, err.Error())
	}
}

func (d *decoder) badMetaf(rule *finding.Rule, cause error, format string, args ...any) {
	d.badMeta(rule, fmt.Errorf("%w: %s", cause, fmt.Sprintf(format, args...)))
}

// notice reports a fault that is not an error.
func (d *decoder) notice(rule *finding.Rule, message string) {
	if d.note != nil {
		d.note(rule, nil, message)
	}
}

// decode fills e from h and sets role, owner, stream and sparse. It returns false if the
// header cannot be used at all; d.err is set if there was an error.
func (d *decoder) decode(h *header, e *layer.Entry) bool {
	*e = layer.Entry{}
	d.err, d.flaw, d.role, d.owner, d.stream, d.sparse = nil, nil, roleEntry, "", "", false
	if h.typeflag == tar.TypeXGlobalHeader {
		d.globalHeader(h)
		return true
	}
	dir, base := splitName(h.name)
	hides := strings.HasPrefix(base, whiteoutPrefix)
	switch h.typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeGNUSparse:
	default:
		if hides {
			break // the type does not matter for a name that is to be hidden
		}
		d.badf(RuleUnsupported, layer.ErrUnsupported, "typeflag %q", h.typeflag)
		return false
	}
	regular := h.typeflag == tar.TypeReg || h.typeflag == tar.TypeGNUSparse
	if regular && d.findStream(h) {
		return d.err == nil
	}
	if hides {
		return d.whiteout(h, e, dir, base)
	}
	p, err := winfs.FromSlash(h.name)
	if err != nil {
		d.badName("", err)
		return false
	}
	if p == "" {
		d.role = roleSkip
		if h.typeflag != tar.TypeDir {
			d.badf(RuleRootEntry, layer.ErrCorrupt, "the root of the layer must be a directory")
			return false
		}
		d.notice(RuleRootEntry.Lesser(), "the root is no part of a layer, its metadata is ignored")
		return true
	}
	e.Path = p
	if d.note != nil {
		d.utilityVMName(h.name, p)
	}
	if regular && strings.HasSuffix(h.name, "/") {
		d.notice(RuleTrailingSlash, "some readers take a name with a trailing slash for a directory")
	}
	if h.announced != 0 && !regular {
		d.notice(RuleSizeOnLink, "an entry without data has a size; readers may disagree on where the next one begins")
	}
	if regular {
		d.sparse = isSparse(h)
		if d.sparse {
			d.notice(RuleSparse, "sparse entries should not be used in layers; some importers make them empty")
		}
	}
	switch h.typeflag {
	case tar.TypeDir:
		e.Kind = layer.Dir
	case tar.TypeLink:
		e.Kind = layer.Link
		d.linkTarget(h, e)
	default:
		e.Kind = layer.File
	}
	d.times(h, e)
	d.records(h, e)
	d.attributes(h, e)
	d.reparse(h, e)
	if e.Kind == layer.File {
		if regular {
			e.Size = h.size
			e.NoMain = h.size == 0 && h.mode == 0
			d.sparse = d.sparse || e.Attributes&winfs.AttrSparse != 0 || h.records.get(recSparse) != ""
		} else {
			e.NoMain = true // the mode does not distinguish them: the symlink bits include the regular one
		}
	}
	return true
}

// utilityVMName reports the two names that hcsshim compares byte for byte in another
// spelling: UtilityVM in a layer with parents, UtilityVM/Files in a base layer. The other
// of the two it cleans before, so that only the case counts. Another case of the first
// component is a fault of the tree (layer.RuleRootCase).
func (d *decoder) utilityVMName(name, path string) {
	if !strings.HasPrefix(path, layer.RootUtilityVM) {
		return
	}
	const files = layer.RootUtilityVM + `\Files`
	special, verbatim := layer.RootUtilityVM, !d.base
	if winfs.EqualFold(path, files) {
		special, verbatim = files, !d.parents
	} else if path != special {
		return
	}
	if path != special || verbatim && name != winfs.ToSlash(special) {
		d.notice(RuleVMName, "the name is spelled "+shorten(name)+" and not "+winfs.ToSlash(special))
	}
}

// globalHeader skips records for all entries that follow. Windows importers ignore them;
// other programs apply them, and then see another layer.
func (d *decoder) globalHeader(h *header) {
	d.role = roleSkip
	for _, r := range h.records {
		if r.key != "comment" {
			d.notice(RuleGlobalHeader, "the record "+shorten(r.key)+" of a global PAX header is not applied, as by Windows importers; other programs may")
			return
		}
	}
	d.notice(RuleGlobalHeader.Lesser(), "a global PAX header says nothing about a Windows layer and is skipped")
}

// findStream recognises an alternate stream. It returns false if the last component of the
// name has no colon.
func (d *decoder) findStream(h *header) bool {
	file, stream, ok := winfs.CutStream(h.name)
	if !ok {
		return false
	}
	owner, err := winfs.FromSlash(file)
	if err == nil && hasDriveLetter(h.name) {
		_, err = winfs.FromSlash(h.name)
	}
	if err == nil && strings.HasSuffix(strings.ReplaceAll(file, `\`, "/"), "/") {
		err = &winfs.NameError{Name: h.name, Offset: len(file), Err: winfs.ErrNameEmpty}
	}
	if err == nil && owner == "" {
		err = &winfs.NameError{Name: h.name, Err: winfs.ErrNameColon}
	}
	if err == nil {
		err = winfs.ValidateStream(stream)
	}
	if err != nil {
		d.badName("stream ", err)
		return true
	}
	d.role, d.owner, d.stream = roleStream, owner, stream
	d.sparse = h.records.get(recSparse) != "" || isSparse(h)
	return true
}

// hasDriveLetter distinguishes C:x from a stream x of a file C, which no layer has at its
// root.
func hasDriveLetter(name string) bool {
	return len(name) > 1 && name[1] == ':' && (name[0]|0x20 >= 'a' && name[0]|0x20 <= 'z')
}

// badName reports a name under the rule for its error.
func (d *decoder) badName(of string, err error) {
	rule := RuleInvalidName
	switch {
	case errors.Is(err, winfs.ErrNameAbsolute):
		rule = RuleAbsoluteName
	case errors.Is(err, winfs.ErrNameEscapes):
		rule = RuleNameEscapes
	case errors.Is(err, winfs.ErrNameColon):
		rule = RuleColon
	}
	d.bad(rule, fmt.Errorf("%s%w: %w", of, layer.ErrInvalidName, err))
}

// splitName splits a name of the archive before its last component.
func splitName(name string) (dir, base string) {
	name = strings.TrimRight(name, `/\`)
	i := strings.LastIndexAny(name, `/\`) + 1
	return name[:i], name[i:]
}

// whiteout decodes dir, as the archive spells it, and base, .wh. and a name. The name may
// have all 255 units; the prefix does not count.
func (d *decoder) whiteout(h *header, e *layer.Entry, slashDir, base string) bool {
	dir := ""
	if slashDir != "" {
		var err error
		if dir, err = winfs.FromSlash(slashDir); err != nil {
			d.badName("", err)
			return false
		}
	}
	if h.typeflag != tar.TypeReg || h.size != 0 {
		d.notice(RuleOddWhiteout, "a whiteout is an empty file by the image specification; importers look at its name alone")
	}
	if base == whiteoutOpaque {
		e.Kind, e.Path = layer.Opaque, dir
		if dir == "" {
			d.badf(RuleBadWhiteout, layer.ErrWhiteout, "opaque whiteout at the root")
			return false
		}
		return true
	}
	name := base[len(whiteoutPrefix):]
	if err := winfs.ValidateComponent(name); err != nil {
		d.bad(RuleBadWhiteout, fmt.Errorf("whiteout: %w: %w", layer.ErrInvalidName, err))
		return false
	}
	e.Kind, e.Path = layer.Whiteout, winfs.JoinPath(dir, name)
	if err := winfs.ValidatePath(e.Path); err != nil {
		d.badName("", err)
		return false
	}
	return true
}

func (d *decoder) linkTarget(h *header, e *layer.Entry) {
	t, err := winfs.FromSlash(h.linkname)
	if err == nil && t == "" {
		err = fmt.Errorf("%w: the root", layer.ErrLinkTarget)
	}
	if err == nil {
		e.Target = t
		return
	}
	d.badName("hard link target: ", err)
}

func isSparse(h *header) bool {
	return h.typeflag == tar.TypeGNUSparse || h.records.get(recGNUMajor) != "" || h.records.get(recGNUMap) != ""
}

// times uses the text of the records, which is more precise than archive/tar's times.
func (d *decoder) times(h *header, e *layer.Entry) {
	t := &e.Times
	t.LastWrite = d.time(h, recMtime, recOwnMtime, h.mtime, 0)
	missing := t.LastWrite
	if d.goZeroTime {
		missing = layer.GoZeroTime
	}
	t.LastAccess = d.time(h, recAtime, recOwnAtime, h.atime, missing)
	t.Change = d.time(h, recCtime, recOwnCtime, h.ctime, missing)
	t.Creation = d.time(h, recCreation, "", time.Time{}, t.LastWrite)
	if text := h.records.get(recCreation); d.note != nil && text != "" {
		d.creationText(h, text)
	}
	if d.note != nil && (isWrapped(t.Creation) || isWrapped(t.LastAccess) || isWrapped(t.LastWrite) || isWrapped(t.Change)) {
		d.notice(RuleWrappedTime, "a time is 2185-07-21T23:34:33.7095516Z, which is an unset FILETIME, wrapped")
	}
}

// isWrapped recognises FILETIME 0 after a conversion to 64-bit nanoseconds since 1970 and
// back (docs/spec/layers.md, "Times"): 2^64 ns after 1601.
func isWrapped(t winfs.Filetime) bool { return t == 184467440737095516 }

func (d *decoder) time(h *header, key, ownKey string, field time.Time, missing winfs.Filetime) winfs.Filetime {
	if ownKey != "" {
		if text := h.records.get(ownKey); text != "" {
			t, err := winfs.ParsePAXTime(text)
			if err == nil && t.Time().IsZero() {
				return t
			}
			d.badMetaf(RuleBadRecord, layer.ErrCorrupt, "%s=%s", ownKey, shorten(text))
		}
	}
	if text := h.records.get(key); text != "" {
		t, err := winfs.ParsePAXTime(text)
		if err != nil {
			d.badMetaf(RuleBadRecord, layer.ErrCorrupt, "%s=%s: %v", key, shorten(text), err)
		}
		return t
	}
	if field.IsZero() {
		return missing
	}
	t, err := winfs.FiletimeFromTime(field)
	if err != nil {
		d.badMetaf(RuleBadRecord, layer.ErrCorrupt, "%s: %v", key, err)
	}
	return t
}

// creationText recognises the output of a builder that writes seconds, a dot, and the
// nanoseconds without leading zeros: .000000001 s reads as .1 s (docs/spec/layers.md,
// "Times").
func (d *decoder) creationText(h *header, text string) {
	sec, frac, ok := strings.Cut(text, ".")
	if !ok || len(frac) >= 9 {
		return // no leading zero is missing
	}
	if frac != "0" {
		// The builder takes the time of creation for that of the last write, too.
		if mtime := h.records.get(recMtime); mtime != "" { // which h.mtime does not have where an ordinary header was read
			second, digits, _ := strings.Cut(mtime, ".")
			if second != sec || frac != strings.TrimLeft((digits + "000000000")[:9], "0") {
				return
			}
		} else if sec != strconv.FormatInt(h.mtime.Unix(), 10) || frac != strconv.Itoa(h.mtime.Nanosecond()) {
			return
		}
	}
	d.notice(RuleCreationTime, "the fraction of the creation time is not padded to its place, so that it reads as another time")
}

func (d *decoder) records(h *header, e *layer.Entry) {
	var xattrs []record
	for _, r := range h.records {
		switch {
		case strings.HasPrefix(r.key, recXattr):
			xattrs = append(xattrs, r)
		case knownRecord(r.key):
		case strings.HasPrefix(r.key, recVendor):
			d.badMetaf(RuleUnknownRecord, layer.ErrUnsupported, "record %s of a later version", shorten(r.key))
		case d.note != nil:
			d.notice(RuleUnknownRecord.Lesser(), "the record "+shorten(r.key)+" means nothing to a Windows layer and is ignored")
		}
	}
	d.security(h, e)
	d.eas(h, e, xattrs)
	if text := h.records.get(recObjectID); text != "" {
		if id := d.base64(recObjectID, text); id != nil {
			if len(id) != objectIDSize {
				d.badMetaf(RuleBadRecord, layer.ErrCorrupt, "%s holds %d bytes instead of %d", recObjectID, len(id), objectIDSize)
			} else {
				e.ObjectID = id
			}
		}
	}
}

func (d *decoder) base64(key, text string) []byte {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		d.badMetaf(RuleBadRecord, layer.ErrCorrupt, "%s: %v", shorten(key), err)
		return nil
	}
	return b
}

func (d *decoder) security(h *header, e *layer.Entry) {
	if text := h.records.get(recRawSD); text != "" {
		if text != d.sdText {
			sd := d.base64(recRawSD, text)
			if sd == nil {
				return
			}
			d.sdText, d.sd = text, sd
		}
		e.Security = d.sd
		return
	}
	text := h.records.get(recSDDL)
	if text == "" {
		return
	}
	sd, foreign, err := parseSDDL(text)
	e.Security = sd
	switch {
	case err != nil:
		d.badMetaf(RuleBadRecord, layer.ErrCorrupt, "%s: %v", recSDDL, err)
	case foreign:
		d.notice(RuleMachineAlias, recSDDL+" names an account of the machine that wrote the layer, such as LA; it is kept as an account of "+noMachine.String()+", which is no machine's")
	}
}

func (d *decoder) eas(h *header, e *layer.Entry, xattrs []record) {
	for _, r := range xattrs {
		name := r.key[len(recXattr):]
		var value []byte
		if r.value != "" {
			if value = d.base64(r.key, r.value); value == nil {
				continue
			}
		}
		e.EAs = append(e.EAs, winfs.EA{Name: name, Value: value})
	}
	winfs.SortEAs(e.EAs)
	for i := 1; i < len(e.EAs); i++ {
		if winfs.EqualFold(e.EAs[i-1].Name, e.EAs[i].Name) {
			d.badMetaf(RuleBadRecord, layer.ErrDuplicate, "two extended attributes %s", shorten(e.EAs[i].Name))
			e.EAs = nil
			return
		}
	}
	if _, err := winfs.EncodeEAs(e.EAs); err != nil {
		d.badMetaf(RuleBadRecord, layer.ErrCorrupt, "%v", err)
		e.EAs = nil
		return
	}
	text := h.records.get(recEAs)
	if text == "" {
		return
	}
	buf := d.base64(recEAs, text)
	if buf == nil {
		return
	}
	full, err := winfs.DecodeEAs(buf)
	if err != nil {
		d.badMetaf(RuleBadRecord, layer.ErrCorrupt, "%s: %v", recEAs, err)
		return
	}
	var plain []winfs.EA
	for _, ea := range full {
		if expressibleEA(ea.Name) {
			plain = append(plain, ea)
		}
	}
	same := slices.EqualFunc(plain, e.EAs, func(a, b winfs.EA) bool {
		return a.Name == b.Name && string(a.Value) == string(b.Value)
	})
	if !same {
		d.notice(RuleStaleRecord, recEAs+" contradicts the standard records, which are believed")
		return
	}
	e.EAs = full
}

// expressibleEA reports whether a name can be part of the key of a PAX record.
func expressibleEA(name string) bool {
	return name != "" && !strings.ContainsAny(name, "=\x00")
}

func (d *decoder) attributes(h *header, e *layer.Entry) {
	text, ok := h.records.get(recAttributes), h.records.has(recAttributes)
	if !ok {
		if e.Kind != layer.Link {
			d.notice(RuleNoAttributes, "there is no "+recAttributes+" record, which the image specification demands")
		}
	} else {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			d.badMetaf(RuleBadRecord, layer.ErrCorrupt, "%s=%s is not a 32-bit number", recAttributes, shorten(text))
		}
		e.Attributes = winfs.Attributes(n)
	}
	switch h.typeflag {
	case tar.TypeDir:
		if ok && e.Attributes&winfs.AttrDirectory == 0 {
			d.notice(RuleTypeMismatch, "the header is that of a directory, the attributes are not")
		}
		e.Attributes |= winfs.AttrDirectory
	case tar.TypeReg, tar.TypeGNUSparse:
		if e.Attributes&winfs.AttrDirectory != 0 {
			d.badMetaf(RuleTypeMismatch, layer.ErrCorrupt, "the header is that of a file, the attributes are those of a directory")
			e.Attributes &^= winfs.AttrDirectory
		}
	}
}

// reparse builds the reparse buffer of a link, or uses our own record, if it agrees with
// the header.
func (d *decoder) reparse(h *header, e *layer.Entry) {
	if e.Kind == layer.Link {
		return
	}
	isLink := h.typeflag == tar.TypeSymlink
	isMount := h.records.has(recMountPoint)
	if isLink && (isMount || e.Attributes&winfs.AttrDirectory != 0) {
		e.Kind = layer.Dir
		e.Attributes |= winfs.AttrDirectory
	}
	raw := d.ownReparse(h)
	if raw != nil && !isLink && e.Attributes&winfs.AttrReparsePoint == 0 {
		d.notice(RuleStaleRecord, recReparse+" contradicts the attributes, which are believed")
		raw = nil
	}
	switch {
	case raw != nil && (!isLink || agrees(raw, h.linkname, isMount)):
		e.Reparse = raw
	case isLink:
		if raw != nil {
			d.notice(RuleStaleRecord, recReparse+" contradicts the link, which is believed")
		}
		tag := uint32(winfs.ReparseTagSymlink)
		if isMount {
			tag = winfs.ReparseTagMountPoint
		}
		buf, err := winfs.EncodeLink(tag, h.linkname)
		if err != nil {
			d.badMeta(RuleBadLinkTarget, fmt.Errorf("%w: %w", layer.ErrCorrupt, err))
			e.Attributes &^= winfs.AttrReparsePoint
			return
		}
		e.Reparse = buf
	case e.Attributes&winfs.AttrReparsePoint != 0:
		d.notice(RuleLooseReparse, "the attributes say reparse point, but there is no reparse data")
		e.Attributes &^= winfs.AttrReparsePoint
		return
	default:
		return
	}
	e.Attributes |= winfs.AttrReparsePoint
}

func (d *decoder) ownReparse(h *header) []byte {
	text := h.records.get(recReparse)
	if text == "" {
		return nil
	}
	raw := d.base64(recReparse, text)
	if raw == nil {
		return nil
	}
	if err := winfs.CheckReparse(raw); err != nil {
		d.badMetaf(RuleBadRecord, layer.ErrCorrupt, "%s: %v", recReparse, err)
		return nil
	}
	return raw
}

// agrees reports whether a raw buffer is the link that the header describes.
func agrees(raw []byte, linkname string, isMount bool) bool {
	p, err := winfs.ParseReparse(raw)
	if err != nil {
		return false
	}
	if isMount != (p.Tag == winfs.ReparseTagMountPoint) || !isMount && p.Tag != winfs.ReparseTagSymlink {
		return false
	}
	return p.Target() == linkname
}

// shorten quotes text of the archive for a message.
func shorten(s string) string {
	const most = 120
	if len(s) > most {
		return wtf8.Quote(s[:most]) + "..."
	}
	return wtf8.Quote(s)
}
