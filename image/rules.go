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
)
