package layer

import "github.com/mullion/mullion/winfs"

// maxLinks is the number of hard links that NTFS allows besides the first name of a file.
const maxLinks = 1023

// utilityVM is the part of an audit about the utility VM.
type utilityVM struct {
	metadata bool  // UtilityVM has metadata for which hcsshim opens no file
	offset   int64 // of that entry
	told     bool  // RuleVMBelow
}

// utilityVM checks the place of entries of the utility VM (docs/spec/layers.md, "Utility
// VM").
func (a *Audit) utilityVM() {
	e := a.e
	if e.Path == "" || e.Path[0]|0x20 != 'u' {
		return
	}
	if winfs.EqualFold(e.Path, RootUtilityVM) {
		if e.Kind == Dir && len(e.Security)+len(e.EAs)+len(e.Reparse) > 0 && !a.vm.metadata {
			a.vm.metadata, a.vm.offset = true, a.offset
		}
		return
	}
	if !winfs.Under(e.Path, RootUtilityVM) {
		return
	}
	if !winfs.EqualFold(e.Path, rootUtilityFiles) && !winfs.Under(e.Path, rootUtilityFiles) && e.Kind != Whiteout && e.Kind != Opaque {
		rule := RuleVMOutside
		if a.Base {
			rule = rule.Lesser()
		}
		a.report(rule, "the entry is neither UtilityVM\\Files nor below it")
	}
	if a.Below != nil && a.HasParents && !a.vm.told && a.Below.lastVM < a.Below.layers {
		a.vm.told = true
		if a.Below.lastVM == 0 {
			a.report(RuleVMBelow, "the layer changes the utility VM, and no layer below has one")
		} else {
			a.report(RuleVMBelow.Lesser(), "the layer changes the utility VM of layer %d, and the immediate parent does not have it", a.Below.lastVM-1)
		}
	}
}

// finishVM reports what depends on whether the layer is a base layer, or on all of it.
func (a *Audit) finishVM() {
	if a.vm.metadata && !a.Merged && (a.HasParents || !a.Base && a.hasDelta) {
		a.Report(RuleVMDescriptor.At(RootUtilityVM, a.vm.offset, "the entry has a descriptor, extended attributes or reparse data"))
	}
	has := func(path string, kind Kind) bool {
		n := a.nodes.find(a.keyOf(winfs.Fold(path)))
		return n != nil && n.kind == kind
	}
	const boot = rootUtilityFiles + `\EFI\Microsoft\Boot\BCD`
	if a.Base && has(rootUtilityFiles, Dir) && !has(boot, File) && !has(boot, Link) {
		a.Report(RuleVMBoot.At(boot, -1, "the base layer has a utility VM without its boot configuration"))
	}
}

// targetBelow says whether the layers below have the target of the current link.
func (a *Audit) targetBelow(folded string) targetBelow {
	if a.Below == nil {
		return belowUnknown
	}
	switch a.Below.find(folded) {
	case 0:
		return belowLacks
	case Dir:
		a.report(RuleLinkToDirectory, "the target %s is a directory of a layer below", shorten(a.e.Target))
	}
	return belowHas
}

// hidesNothing reports a whiteout of a name that no layer has.
func (a *Audit) hidesNothing(n *auditNode) {
	if a.Below == nil || !a.HasParents || a.e.Kind != Whiteout || a.Below.find(string(a.folded)) != 0 {
		return
	}
	if n.kind == 0 && winfs.Under(a.e.Path, rootUtilityFiles) {
		a.report(RuleVMWhiteout, "no layer below has the file")
		return
	}
	a.report(RuleWhiteoutNothing, "no layer below has the name")
}
