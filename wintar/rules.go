package wintar

import "github.com/mullion/mullion/finding"

var rules = finding.NewCatalogue("tar")

// Rules returns the rules of layer tars. [Check] reports those of package layer too.
func Rules() []finding.Rule { return rules.All() }

// The rules of layer tars. A Reader stops at most of the errors; metadata that makes no
// sense it reports in the entry.
var (
	RuleNameEscapes = rules.Add(finding.Rule{ID: "name-escapes", Severity: finding.Error,
		Meaning: "Importers refuse the entry, or write outside the layer.",
		Mend:    "Write a name without .. components."})
	RuleAbsoluteName = rules.Add(finding.Rule{ID: "absolute-name", Severity: finding.Error,
		Meaning: "Importers refuse the entry, or write outside the layer.",
		Mend:    "Write a relative name."})
	RuleColon = rules.Add(finding.Rule{ID: "colon-misplaced", Severity: finding.Error,
		Meaning: "Windows takes the part behind the colon for a stream or a drive.",
		Mend:    "Rename the entry."})
	RuleInvalidName = rules.Add(finding.Rule{ID: "invalid-name", Severity: finding.Error,
		Meaning: "Windows cannot hold the name.",
		Mend:    "Rename the entry."})
	RuleBadRecord = rules.Add(finding.Rule{ID: "bad-record", Severity: finding.Error,
		Meaning: "Importers fail, or lose the metadata of the entry.",
		Mend:    "Write the record anew; mullion convert leaves the metadata out."})
	RuleBadLinkTarget = rules.Add(finding.Rule{ID: "bad-link-target", Severity: finding.Error,
		Meaning: "Windows refuses the symbolic link or junction.",
		Mend:    "Write a target that Windows accepts."})
	RuleUnsupported = rules.Add(finding.Rule{ID: "unsupported-type", Severity: finding.Error,
		Meaning: "Windows has no devices, FIFOs or other such entries; importers fail.",
		Mend:    "Remove the entry."})
	RuleTypeMismatch = rules.Add(finding.Rule{ID: "type-mismatch", Severity: finding.Error,
		Meaning: "Importers disagree on whether the entry is a file or a directory.",
		Mend:    "Make the typeflag and the attributes agree."})
	RuleBadWhiteout = rules.Add(finding.Rule{ID: "bad-whiteout", Severity: finding.Error,
		Meaning: "Importers fail, or delete another entry.",
		Mend:    "Remove the whiteout."})
	RuleOddWhiteout = rules.Add(finding.Rule{ID: "odd-whiteout", Severity: finding.Warning,
		Meaning: "Importers look at the name alone, other programs at the content too.",
		Mend:    "Write the whiteout as an empty file.",
		Fix:     "The whiteout becomes an empty file."})
	RuleStreamPlace = rules.Add(finding.Rule{ID: "stream-misplaced", Severity: finding.Error,
		Meaning: "Importers give the stream to another file or fail.",
		Mend:    "Store the stream right behind its file."})
	RuleStreamTwice = rules.Add(finding.Rule{ID: "duplicate-stream", Severity: finding.Error,
		Meaning: "Importers keep the first or the last of two streams, depending on the program.",
		Mend:    "Remove one of the streams."})
	RuleRootEntry = rules.Add(finding.Rule{ID: "root-entry", Severity: finding.Error, Least: finding.Info,
		Meaning: "The root is no part of a layer; importers ignore it, or fail where it is no directory.",
		Mend:    "Leave the entry out.",
		Fix:     "The entry is left out if it is a directory. A root of another type stays: the layer is not read."})
	RuleBadHeader = rules.Add(finding.Rule{ID: "bad-header", Severity: finding.Error,
		Meaning: "Readers stop here; the rest of the layer is lost.",
		Mend:    "Make the archive anew."})
	RuleTruncated = rules.Add(finding.Rule{ID: "truncated", Severity: finding.Error,
		Meaning: "Readers stop here; the rest of the layer is lost.",
		Mend:    "Get the archive again."})
	RuleMissingTrailer = rules.Add(finding.Rule{ID: "missing-trailer", Severity: finding.Error, Least: finding.Warning,
		Meaning: "The archive may have been cut between two entries.",
		Mend:    "Get the archive again, or add two blocks of zeros."})
	RuleAfterEnd = rules.Add(finding.Rule{ID: "data-after-end", Severity: finding.Warning,
		Meaning: "Readers ignore the data, or take it for more entries.",
		Mend:    "Cut the archive behind its trailer.",
		Fix:     "The data is left out."})
	RuleUnknownRecord = rules.Add(finding.Rule{ID: "unknown-record", Severity: finding.Error, Least: finding.Info,
		Meaning: "Readers ignore a record that they do not know, and with it the metadata in it.",
		Mend:    "Read the layer with a later version of mullion if the record is of one."})
	RuleStaleRecord = rules.Add(finding.Rule{ID: "stale-record", Severity: finding.Warning,
		Meaning: "Programs that know the record see other metadata than those that do not.",
		Mend:    "Remove the record; mullion convert writes it anew.",
		Fix:     "The record is written as the others have it."})
	RuleNoAttributes = rules.Add(finding.Rule{ID: "missing-fileattr", Severity: finding.Warning,
		Meaning: "Importers take the attributes from the typeflag, so that hidden and system files become visible.",
		Mend:    "Add the record MSWINDOWS.fileattr.",
		Fix:     "A directory gets the attribute DIRECTORY, a file ARCHIVE, which Windows gives to a file that is made without others."})
	RuleCreationTime = rules.Add(finding.Rule{ID: "creation-time-unpadded", Severity: finding.Warning,
		Meaning: "Readers of PAX times see another creation time.",
		Mend:    "Write the fraction with leading zeros; mullion convert does so.",
		Fix:     "The time is written in full, as readers of PAX times see it."})
	RuleWrappedTime = rules.Add(finding.Rule{ID: "wrapped-time", Severity: finding.Warning,
		Meaning: "Windows shows the year 2185.",
		Mend:    "Set the time.",
		Fix:     "The time becomes unset."})
	RuleSparse = rules.Add(finding.Rule{ID: "sparse-entry", Severity: finding.Warning,
		Meaning: "Some importers make sparse files empty.",
		Mend:    "Write the file without holes; mullion convert does so.",
		Fix:     "The file is written without holes."})
	RuleMachineAlias = rules.Add(finding.Rule{ID: "machine-alias", Severity: finding.Warning,
		Meaning: "The account exists on the machine that wrote the layer only.",
		Mend:    "Name an account that exists in the container.",
		Fix:     "The descriptor is written with the account that it was read with, which is none of the container's."})
	RuleGlobalHeader = rules.Add(finding.Rule{ID: "global-header", Severity: finding.Warning, Least: finding.Info,
		Meaning: "Importers for Windows do not apply global headers; other programs do.",
		Mend:    "Write the records to each entry.",
		Fix:     "The header is left out; its records were not applied."})
	RuleTrailingSlash = rules.Add(finding.Rule{ID: "trailing-slash-on-file", Severity: finding.Warning,
		Meaning: "Some readers take the file for a directory.",
		Mend:    "Write the name without the slash.",
		Fix:     "The name is written without the slash."})
	RuleSizeOnLink = rules.Add(finding.Rule{ID: "size-without-data", Severity: finding.Warning,
		Meaning: "Readers disagree on where the next entry begins.",
		Mend:    "Set the size to 0.",
		Fix:     "The size is written as 0."})
	RuleLooseReparse = rules.Add(finding.Rule{ID: "reparse-attribute-without-data", Severity: finding.Warning,
		Meaning: "Windows refuses the attribute without reparse data.",
		Mend:    "Clear the attribute or store the data.",
		Fix:     "The attribute is cleared."})
	RuleVMName = rules.Add(finding.Rule{ID: "utility-vm-name", Severity: finding.Error,
		Meaning: "With another spelling of UtilityVM hcsshim refuses a layer with parents, with one of UtilityVM/Files it does not process the utility VM of a base layer: it compares them byte for byte.",
		Mend:    "Write the name without ./ and without a slash at its end; mullion convert does so.",
		Fix:     "The name is written as hcsshim has it."})
	RuleStreamOfSlash = rules.Add(finding.Rule{ID: "stream-of-slashed-directory", Severity: finding.Warning,
		Meaning: "hcsshim takes the stream of a directory whose name ends in a slash for a file with a colon in its name, and fails.",
		Mend:    "Write the name of the directory without the slash; mullion convert does so.",
		Fix:     "The name of the directory is written without the slash."})
)

// Rewritten returns the IDs of the rules that a layer keeps after a Reader has read it and a
// Writer written it, whatever it was like before, as long as the Reader accepts it: those with
// a Fix. The entries have the meaning that the Reader gives them, and a file without
// attributes, which would have no record of them again, those that mend.Options says.
func Rewritten() []string { return rules.Fixed() }
