package cimfs

import "github.com/mullion/mullion/finding"

var rules = finding.NewCatalogue("cim")

// Rules returns the rules of [Check].
func Rules() []finding.Rule { return rules.All() }

// Ways to mend an image. Nothing repairs one in place: the digests of its objects
// depend on all of it.
const (
	rewrite = "mullion cim rewrite writes an image that has all that can be read, if the tree can be read."
	again   = "Make the image anew of the layer that it came from."
	none    = "Nothing needs to be mended."
)

// The rules of images. An image must be safe to mount: a read past a region stops the
// whole Windows kernel.
var (
	ruleAttributes = rules.Add(finding.Rule{ID: "attributes", Severity: finding.Warning,
		Meaning: "The driver shows the unknown bits, which other programs do not expect.",
		Mend:    rewrite})
	ruleDigest = rules.Add(finding.Rule{ID: "digest", Severity: finding.Error,
		Meaning: "The content is not the one that was written. The driver does not verify digests and shows the wrong bytes.",
		Mend:    again})
	ruleDirectoryTwice = rules.Add(finding.Rule{ID: "directory-twice", Severity: finding.Error,
		Meaning: "A directory with two parents makes a loop or two places for one file; a walk of the tree can run forever.",
		Mend:    again})
	ruleEmptyDirectory = rules.Add(finding.Rule{ID: "empty-directory", Severity: finding.Error,
		Meaning: "The driver reads a table where the directory has none.",
		Mend:    again})
	ruleEmptyStream = rules.Add(finding.Rule{ID: "empty-stream", Severity: finding.Error, Least: finding.Info,
		Meaning: "The driver reads an offset where there is nothing to read.",
		Mend:    again})
	ruleExtendedAttributes = rules.Add(finding.Rule{ID: "extended-attributes", Severity: finding.Error,
		Meaning: "The driver can read past the object, or shows wrong extended attributes.",
		Mend:    again})
	ruleFileSystem = rules.Add(finding.Rule{ID: "file-system", Severity: finding.Error,
		Meaning: "The driver does not mount the image.",
		Mend:    again})
	ruleFileTable = rules.Add(finding.Rule{ID: "file-table", Severity: finding.Error,
		Meaning: "The driver does not find the files of the table.",
		Mend:    again})
	ruleFileTables = rules.Add(finding.Rule{ID: "file-tables", Severity: finding.Error,
		Meaning: "The driver does not find any file.",
		Mend:    again})
	ruleGap = rules.Add(finding.Rule{ID: "gap", Severity: finding.Warning,
		Meaning: "The space is lost. No file changes.",
		Mend:    rewrite})
	ruleHeaderLength = rules.Add(finding.Rule{ID: "header-length", Severity: finding.Error,
		Meaning: "The driver does not mount the image.",
		Mend:    again})
	ruleLinkTable = rules.Add(finding.Rule{ID: "link-table", Severity: finding.Error,
		Meaning: "The driver reads past the table of a directory, which stops the Windows kernel.",
		Mend:    again})
	ruleLinkTableLength = rules.Add(finding.Rule{ID: "link-table-length", Severity: finding.Error,
		Meaning: "The driver can read past the table of a directory, which stops the Windows kernel.",
		Mend:    again})
	ruleName = rules.Add(finding.Rule{ID: "name", Severity: finding.Error,
		Meaning: "The driver shows a name that Windows cannot hold.",
		Mend:    again})
	ruleNameOffset = rules.Add(finding.Rule{ID: "name-offset", Severity: finding.Error,
		Meaning: "The driver reads another name.",
		Mend:    again})
	ruleNameOrder = rules.Add(finding.Rule{ID: "name-order", Severity: finding.Error,
		Meaning: "The driver searches names by halves and does not find some files.",
		Mend:    again})
	ruleObjectBounds = rules.Add(finding.Rule{ID: "object-bounds", Severity: finding.Error,
		Meaning: "The driver reads past the region, which stops the Windows kernel.",
		Mend:    again})
	ruleObjectDigest = rules.Add(finding.Rule{ID: "object-digest", Severity: finding.Error,
		Meaning: "A fork that looks for the object by its digest does not find it.",
		Mend:    rewrite})
	ruleObjectDuplicate = rules.Add(finding.Rule{ID: "object-duplicate", Severity: finding.Error,
		Meaning: "Content is stored twice, and a fork can refer to either.",
		Mend:    rewrite})
	ruleObjectHeader = rules.Add(finding.Rule{ID: "object-header", Severity: finding.Error, Least: finding.Info,
		Meaning: "A fork of the image cannot use the object table.",
		Mend:    rewrite})
	ruleObjectOffset = rules.Add(finding.Rule{ID: "object-offset", Severity: finding.Error,
		Meaning: "An object lies outside the region or is not aligned.",
		Mend:    again})
	ruleObjectOrder = rules.Add(finding.Rule{ID: "object-order", Severity: finding.Error,
		Meaning: "A fork searches the table by halves and does not find some objects.",
		Mend:    rewrite})
	ruleObjectOverlap = rules.Add(finding.Rule{ID: "object-overlap", Severity: finding.Error,
		Meaning: "Two objects share bytes, so that one of them is damaged.",
		Mend:    again})
	ruleObjectTable = rules.Add(finding.Rule{ID: "object-table", Severity: finding.Error,
		Meaning: "A fork of the image cannot use the object table.",
		Mend:    rewrite})
	ruleObjectTableMissing = rules.Add(finding.Rule{ID: "object-table-missing", Severity: finding.Error,
		Meaning: "A fork of the image cannot use its objects.",
		Mend:    rewrite})
	ruleOddName = rules.Add(finding.Rule{ID: "odd-name", Severity: finding.Info,
		Meaning: "Win32 programs cannot open the name; Microsoft's library writes it.",
		Mend:    none})
	ruleOpen = rules.Add(finding.Rule{ID: "open", Severity: finding.Error,
		Meaning: "The driver does not mount the image.",
		Mend:    again})
	rulePadding = rules.Add(finding.Rule{ID: "padding", Severity: finding.Error,
		Meaning: "The bytes belong to no object and are not zero; the region is damaged or hides data.",
		Mend:    rewrite})
	ruleParent = rules.Add(finding.Rule{ID: "parent", Severity: finding.Error,
		Meaning: "The driver returns a wrong path for a file that is opened by its number.",
		Mend:    again})
	ruleParentLinkOrder = rules.Add(finding.Rule{ID: "parent-link-order", Severity: finding.Error,
		Meaning: "The driver searches the links of a file by halves and does not find some names.",
		Mend:    again})
	ruleParentLinks = rules.Add(finding.Rule{ID: "parent-links", Severity: finding.Error,
		Meaning: "The driver returns wrong names for a file with several.",
		Mend:    again})
	rulePathLength = rules.Add(finding.Rule{ID: "path-length", Severity: finding.Error,
		Meaning: "Windows cannot open the path.",
		Mend:    again})
	rulePeData = rules.Add(finding.Rule{ID: "pe-data", Severity: finding.Error,
		Meaning: "The loader does not map the executable.",
		Mend:    again})
	rulePeDescriptor = rules.Add(finding.Rule{ID: "pe-descriptor", Severity: finding.Error,
		Meaning: "The loader does not map the executable.",
		Mend:    again})
	rulePeFlags = rules.Add(finding.Rule{ID: "pe-flags", Severity: finding.Error,
		Meaning: "The loader does not map the executable.",
		Mend:    again})
	rulePeImage = rules.Add(finding.Rule{ID: "pe-image", Severity: finding.Error,
		Meaning: "The loader does not map the executable.",
		Mend:    again})
	rulePeMapping = rules.Add(finding.Rule{ID: "pe-mapping", Severity: finding.Error,
		Meaning: "The loader maps wrong bytes of the executable.",
		Mend:    again})
	ruleRecord = rules.Add(finding.Rule{ID: "record", Severity: finding.Error,
		Meaning: "The driver reads past the table of files, or shows a wrong file.",
		Mend:    again})
	ruleRegionOpen = rules.Add(finding.Rule{ID: "region-open", Severity: finding.Error,
		Meaning: "The driver does not mount the image without all its regions.",
		Mend:    again})
	ruleRegionSize = rules.Add(finding.Rule{ID: "region-size", Severity: finding.Error,
		Meaning: "The driver rounds the region up and reads past its end.",
		Mend:    again})
	ruleRegionVersion = rules.Add(finding.Rule{ID: "region-version", Severity: finding.Error,
		Meaning: "The driver does not mount an image whose regions have other versions.",
		Mend:    again})
	ruleReparse = rules.Add(finding.Rule{ID: "reparse", Severity: finding.Error, Least: finding.Info,
		Meaning: "The driver follows a wrong reparse point or reads past the object.",
		Mend:    again})
	ruleReserved = rules.Add(finding.Rule{ID: "reserved", Severity: finding.Error,
		Meaning: "The driver may give the field a meaning in another version.",
		Mend:    again})
	ruleRoot = rules.Add(finding.Rule{ID: "root", Severity: finding.Error, Least: finding.Warning,
		Meaning: "No path leads to any file.",
		Mend:    again})
	ruleRootParent = rules.Add(finding.Rule{ID: "root-parent", Severity: finding.Error,
		Meaning: "The driver returns a wrong path for a file that is opened by its number.",
		Mend:    again})
	ruleSecurity = rules.Add(finding.Rule{ID: "security", Severity: finding.Error, Least: finding.Warning,
		Meaning: "The driver reads past the object, or access checks use a wrong descriptor.",
		Mend:    again})
	ruleSparse = rules.Add(finding.Rule{ID: "sparse", Severity: finding.Error,
		Meaning: "The driver shows other content than zeros, or reads past the region.",
		Mend:    again})
	ruleStream = rules.Add(finding.Rule{ID: "stream", Severity: finding.Error,
		Meaning: "The driver shows wrong content or reads past the region, which stops the Windows kernel.",
		Mend:    again})
	ruleStreamName = rules.Add(finding.Rule{ID: "stream-name", Severity: finding.Error, Least: finding.Info,
		Meaning: "Win32 programs cannot open the stream.",
		Mend:    again})
	ruleStreamTable = rules.Add(finding.Rule{ID: "stream-table", Severity: finding.Error,
		Meaning: "The driver reads past the table of streams, or shows wrong streams.",
		Mend:    again})
	ruleUpcase = rules.Add(finding.Rule{ID: "upcase", Severity: finding.Error, Least: finding.Warning,
		Meaning: "Names compare unlike in other images, so that some files are not found.",
		Mend:    again})
)
