package image

import "github.com/mullion/mullion/finding"

var rules = finding.NewCatalogue("image")

// Rules returns the rules of images and of the registry that their layers make.
// [Image.Check] reports those of packages wintar and layer too.
func Rules() []finding.Rule { return rules.All() }

// The rules of images.
var (
	RuleOSVersion = rules.Add(finding.Rule{ID: "os-version-missing", Severity: finding.Warning,
		Meaning: "Hosts cannot determine whether they can run the image, and containerd can choose another of an index.",
		Mend:    "Set os.version in the configuration."})
	RuleMediaType = rules.Add(finding.Rule{ID: "media-type", Severity: finding.Error, Least: finding.Warning,
		Meaning: "Clients that go by the media type cannot decompress the layer.",
		Mend:    "Make the image anew with the right media type."})
	RuleBlob = rules.Add(finding.Rule{ID: "blob-mismatch", Severity: finding.Error,
		Meaning: "Clients refuse a blob whose digest, size or diff ID does not match.",
		Mend:    "Get the blob again."})
	RuleBlobMissing = rules.Add(finding.Rule{ID: "blob-missing", Severity: finding.Error,
		Meaning: "Clients cannot pull the image.",
		Mend:    "Get the blob again."})
	RuleBlobUnreadable = rules.Add(finding.Rule{ID: "blob-unreadable", Severity: finding.Error,
		Meaning: "Clients cannot decompress the blob.",
		Mend:    "Get the blob again."})
	RuleNoLayers = rules.Add(finding.Rule{ID: "no-layers", Severity: finding.Error,
		Meaning: "Windows cannot run an image without a base layer.",
		Mend:    "Add a base layer."})
	RuleForeign = rules.Add(finding.Rule{ID: "foreign-without-urls", Severity: finding.Warning,
		Meaning: "Registries do not keep the layer, and there is no other place to get it from.",
		Mend:    "Add the URLs, or store the layer as one that may be distributed."})
	RuleHivePlace = rules.Add(finding.Rule{ID: "registry-hive-place", Severity: finding.Error,
		Meaning: "Unpacking refuses a file that would change the registry where no layer may.",
		Mend:    "Remove the file."})
	RuleHive = rules.Add(finding.Rule{ID: "registry-hive", Severity: finding.Error,
		Meaning: "Windows does not start a container whose registry cannot be merged.",
		Mend:    "mullion cat takes the hive out of its layer, mullion hive check lists its faults, mullion hive repair mends it."})
	RuleHiveEmpty = rules.Add(finding.Rule{ID: "registry-hive-empty", Severity: finding.Error,
		Meaning: "The Offline Registry Library refuses an empty file with ERROR_BADDB, and import fails.",
		Mend:    "Remove the file, or store a hive; mullion hive new makes an empty one."})
	RuleHiveDirty = rules.Add(finding.Rule{ID: "registry-hive-dirty", Severity: finding.Error,
		Meaning: "The Offline Registry Library refuses a hive whose logs were not replayed, and import fails.",
		Mend:    "mullion hive recover replays the logs."})
	RuleHiveVersion = rules.Add(finding.Rule{ID: "registry-hive-version", Severity: finding.Error,
		Meaning: "Windows loads hives of the versions 1.3 to 1.6 alone, and a differencing hive only as a delta.",
		Mend:    "Write the hive as version 1.5; mullion hive merge with one hive does so."})
	RuleHiveCorrupt = rules.Add(finding.Rule{ID: "registry-hive-corrupt", Severity: finding.Error,
		Meaning: "Windows refuses the hive with ERROR_BADDB, or drops keys and values when it loads it.",
		Mend:    "mullion cat takes the hive out of its layer, mullion hive check lists its faults, mullion hive repair mends it."})
	RuleDeltaFlag = rules.Add(finding.Rule{ID: "delta-hive-not-layered", Severity: finding.Error,
		Meaning: "Windows takes the deletions in a delta hive without the layered flag for keys and values, so that deleted ones stay.",
		Mend:    "Write the hive as version 1.6 with the layered flag, as mullion hive diff does."})
	RuleHiveOmits = rules.Add(finding.Rule{ID: "registry-values-omitted", Severity: finding.Warning,
		Meaning: "The Offline Registry Library silently drops the key or value when it opens the hive.",
		Mend:    "Delete the key or value, or write it in the form that the library keeps."})
	RuleOSVersionDiffers = rules.Add(finding.Rule{ID: "os-version-differs", Severity: finding.Error, Least: finding.Warning,
		Meaning: "Hosts choose the image by os.version and run another build, which fails or has other system calls.",
		Mend:    "Set os.version to the version in the hives; mullion os-version prints it."})
	RuleHost = rules.Add(finding.Rule{ID: "host-cannot-run", Severity: finding.Error,
		Meaning: "The host refuses to run the image with process isolation; Hyper-V isolation runs older builds.",
		Mend:    "Use a base image of a build that the host runs, or Hyper-V isolation."})
	RuleMachine = rules.Add(finding.Rule{ID: "executable-machine", Severity: finding.Error, Least: finding.Warning,
		Meaning: "Windows does not load a program, library or driver for a machine that its architecture does not run.",
		Mend:    "Build the file for the architecture of the image, or correct the architecture in the configuration."})
)
