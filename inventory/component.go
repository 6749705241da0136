package inventory

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/mullion/mullion/hives"
)

// Kind is the kind of a component.
type Kind string

// The kinds of component.
const (
	OS         Kind = "os"         // Windows itself, at most one
	Program    Kind = "program"    // has an Uninstall key, or is a product of Windows Installer
	Update     Kind = "update"     // a servicing package, hotfix or patch with fixes
	Package    Kind = "package"    // another servicing package: an edition, a language
	Feature    Kind = "feature"    // an optional feature or a capability of Windows
	Service    Kind = "service"    // a service of the current control set
	Driver     Kind = "driver"     // a driver of the current control set
	Runtime    Kind = "runtime"    // .NET, PowerShell and other parts that programs run on
	Executable Kind = "executable" // a PE file
	Library    Kind = "library"    // a package of a language's package manager
)

// kindOrder is the order of the kinds in an inventory.
var kindOrder = []Kind{OS, Update, Package, Feature, Program, Runtime, Library, Service, Driver, Executable}

// Component is one thing that is installed. A field is empty if the fact is not known.
type Component struct {
	Kind    Kind   `json:"kind"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	// Publisher is the name of the organization, as the component states it.
	Publisher string `json:"publisher,omitempty"`
	// Architecture is that of Go and of OCI: "386", "amd64", "arm", "arm64".
	Architecture string `json:"architecture,omitempty"`
	// Language is the tag of a language pack or resource, "de-DE".
	Language string `json:"language,omitempty"`
	// KB is the number of Microsoft's article about an update, "KB5034439".
	KB string `json:"kb,omitempty"`
	// ProductID is the number of the updated product in Microsoft's security guide, "11924".
	ProductID string `json:"productID,omitempty"`
	// State is the servicing state of an update or package; see [State].
	State State `json:"state,omitempty"`
	// Installed is the time of installation, in UTC; of a program it has no time of day.
	Installed time.Time `json:"installed,omitzero"`
	// ProductCode is the GUID of a Windows Installer product, in braces and upper case.
	ProductCode string `json:"productCode,omitempty"`
	// CPEs are names in the format of CPE 2.3, the best one first.
	CPEs []string `json:"cpes,omitempty"`
	// PURL is the package URL.
	PURL string `json:"purl,omitempty"`
	// SHA256 is that of the file, in lower-case hexadecimal.
	SHA256 string `json:"sha256,omitempty"`
	// Licenses are SPDX expressions or names.
	Licenses []string `json:"licenses,omitempty"`
	// Properties are further facts, sorted by name. Each kind's are in the package comment.
	Properties []Property `json:"properties,omitempty"`
	// Evidence is where the component was found. Each component has at least one place.
	Evidence []Evidence `json:"evidence"`
	// FoundBy is the name of the cataloger. [Run] sets it.
	FoundBy string `json:"foundBy"`
}

// Property is a fact that few kinds of component have.
type Property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Property returns the value of a property, "" if the component lacks it.
func (c *Component) Property(name string) string {
	for _, p := range c.Properties {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// SetProperty sets a property, and removes it if value is empty.
func (c *Component) SetProperty(name, value string) {
	at, found := slices.BinarySearchFunc(c.Properties, name, func(p Property, n string) int { return strings.Compare(p.Name, n) })
	switch {
	case value == "" && found:
		c.Properties = slices.Delete(c.Properties, at, at+1)
	case value == "":
	case found:
		c.Properties[at].Value = value
	default:
		c.Properties = slices.Insert(c.Properties, at, Property{name, value})
	}
}

// Evidence is a place where a component was found: a file or a registry key.
type Evidence struct {
	// Path is that of the file in the layer, "Files\Program Files\dotnet\dotnet.exe".
	Path string `json:"path,omitempty"`
	// Hive and Key are the hive and the path of the key below its root. For a key of a
	// user's hive, Hive is empty and Path is that of the hive.
	Hive hives.Name `json:"hive,omitempty"`
	Key  string     `json:"key,omitempty"`
	// Layer is the topmost layer that has the file or changes the key, from 0, the base;
	// -1 if it is not known. [Run] sets it.
	Layer int `json:"layer"`
}

// FileEvidence names a file by its path in a layer.
func FileEvidence(path string) []Evidence { return []Evidence{{Path: path, Layer: -1}} }

// KeyEvidence names a key by the path below the root of its hive.
func KeyEvidence(n hives.Name, key string) []Evidence {
	return []Evidence{{Hive: n, Key: key, Layer: -1}}
}

// String formats as "Files\dir\name", as "SOFTWARE\key", or as "Files\…\NTUSER.DAT: key".
func (e Evidence) String() string {
	switch {
	case e.Key == "":
		return e.Path
	case e.Path != "":
		return e.Path + ": " + e.Key
	}
	return e.Hive.String() + `\` + e.Key
}

// Layer is the layer that brought the component: the topmost one of its evidence, -1 if none
// is known.
func (c *Component) Layer() int {
	n := -1
	for _, e := range c.Evidence {
		n = max(n, e.Layer)
	}
	return n
}

// memory is the number of bytes that a component takes.
func (c *Component) memory() int64 {
	n := int(unsafe.Sizeof(*c)) + len(c.Kind) + len(c.Name) + len(c.Version) + len(c.Publisher) + len(c.Architecture) + len(c.Language) +
		len(c.KB) + len(c.ProductID) + len(c.State) + len(c.ProductCode) + len(c.PURL) + len(c.SHA256)
	for _, list := range [][]string{c.CPEs, c.Licenses} {
		for _, s := range list {
			n += int(unsafe.Sizeof(s)) + len(s)
		}
	}
	for _, p := range c.Properties {
		n += int(unsafe.Sizeof(p)) + len(p.Name) + len(p.Value)
	}
	for _, e := range c.Evidence {
		n += int(unsafe.Sizeof(e)) + len(e.Path) + len(e.Key)
	}
	return int64(n)
}

// compareComponents is the order of an inventory. It is total up to equal components.
func compareComponents(a, b Component) int {
	return cmp.Or(
		cmp.Compare(slices.Index(kindOrder, a.Kind), slices.Index(kindOrder, b.Kind)),
		cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version),
		cmp.Compare(a.Language, b.Language), cmp.Compare(a.Architecture, b.Architecture),
		slices.CompareFunc(a.Evidence, b.Evidence, func(x, y Evidence) int { return cmp.Compare(x.String(), y.String()) }),
		cmp.Compare(a.FoundBy, b.FoundBy))
}
