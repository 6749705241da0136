package inventory

import (
	"io"
	"iter"
	"net/url"
	"strings"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/jsonstream"
)

// syftSchema is the version of Syft's JSON that is written. Readers accept all versions
// with the same major number.
const syftSchema = "16.0.24"

// The types of packages in Syft's documents that no package URL leads to.
const (
	syftUnknown = "UnknownPackage"
	syftBinary  = "binary"
	syftPatch   = "msrc-kb"
)

// The parts of a Syft document that are filled in. The lists artifacts, artifactRelationships
// and files come before them.
type syftDocument struct {
	Source     syftSource     `json:"source"`
	Distro     syftDistro     `json:"distro"`
	Descriptor syftName       `json:"descriptor"`
	Schema     syftSchemaName `json:"schema"`
}

type syftPackage struct {
	ID           string            `json:"id"`
	Name         string            `json:"name"`
	Version      string            `json:"version"`
	Type         string            `json:"type"`
	FoundBy      string            `json:"foundBy"`
	Locations    []syftLocation    `json:"locations"`
	Licenses     []syftLicense     `json:"licenses"`
	Language     string            `json:"language"`
	CPEs         []syftCPE         `json:"cpes"`
	PURL         string            `json:"purl"`
	MetadataType string            `json:"metadataType,omitempty"`
	Metadata     map[string]string `json:"metadata,omitempty"`
}

type syftCPE struct {
	CPE    string `json:"cpe"`
	Source string `json:"source"`
}

type syftLicense struct {
	Value          string     `json:"value"`
	SPDXExpression string     `json:"spdxExpression"`
	Type           string     `json:"type"`
	URLs           []string   `json:"urls"`
	Locations      []struct{} `json:"locations"`
}

type syftPlace struct {
	Path    string `json:"path"`
	LayerID string `json:"layerID,omitempty"`
}

type syftLocation struct {
	syftPlace
	AccessPath  string            `json:"accessPath"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type syftFile struct {
	ID       string       `json:"id"`
	Location syftPlace    `json:"location"`
	Digests  []syftDigest `json:"digests,omitempty"`
	Unknowns []string     `json:"unknowns,omitempty"`
}

type syftDigest struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"value"`
}

type syftRelation struct {
	Parent string `json:"parent"`
	Child  string `json:"child"`
	Type   string `json:"type"`
}

type syftSource struct {
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	Version  string         `json:"version"`
	Type     string         `json:"type"`
	Metadata map[string]any `json:"metadata"`
}

type syftLayer struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

type syftDistro struct {
	PrettyName string `json:"prettyName,omitempty"`
	Name       string `json:"name,omitempty"`
	ID         string `json:"id,omitempty"`
	Version    string `json:"version,omitempty"`
	VersionID  string `json:"versionID,omitempty"`
	CPEName    string `json:"cpeName,omitempty"`
}

type syftName struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type syftSchemaName struct {
	Version string `json:"version"`
	URL     string `json:"url"`
}

// WriteSyft writes Syft's own JSON, which Grype and others read. Windows is a package with a
// CPE. An update is two packages: the servicing package, and one of the type msrc-kb, whose
// name is the number of the product and whose version the bare number of the update; where no
// update of the product is known, it is "base". Skipped items are unknowns of their files.
// A registry key has the path of the hive in its layer, and its own in an annotation.
func WriteSyft(w io.Writer, inv *Inventory, s Subject) error {
	d := newDocument(inv, s)
	layers, size := []syftLayer{}, int64(0)
	for _, l := range s.Layers {
		layers = append(layers, syftLayer{l.MediaType, l.layerID(), l.Size})
		size += l.Size
	}
	doc := syftDocument{
		Source: syftSource{ID: s.uuid("syft"), Name: d.Name, Version: s.Digest, Type: "image", Metadata: map[string]any{
			"userInput": d.Name, "manifestDigest": s.Digest, "imageID": "", "mediaType": "", "tags": []string{}, "imageSize": size,
			"layers": layers, "repoDigests": []string{}, "architecture": s.Architecture, "os": "windows",
		}},
		Descriptor: syftName{Name: tool},
		Schema:     syftSchemaName{syftSchema, "https://raw.githubusercontent.com/anchore/syft/main/schema/json/schema-" + syftSchema + ".json"},
	}
	if os := d.windows(); os != nil {
		doc.Distro = syftDistro{PrettyName: os.Name, Name: os.Name, ID: "windows", Version: os.Version, VersionID: os.Version}
		if len(os.CPEs) > 0 {
			doc.Distro.CPEName = os.CPEs[0]
		}
	}
	out := jsonstream.NewObject(w, false)
	out.List("artifacts", d.syftPackages())
	out.List("artifactRelationships", d.syftRelations(doc.Source.ID))
	out.List("files", d.syftFiles())
	out.Members(doc)
	return out.Close()
}

func (d *document) syftPackages() iter.Seq[any] {
	return func(yield func(any) bool) {
		for _, x := range d.items() {
			p := d.syftPackage(x)
			if !yield(p) {
				return
			}
			for _, k := range x.patches {
				patch := p
				patch.ID, patch.Name, patch.Version, patch.Type, patch.Language, patch.PURL = k.ref(), k.product, k.kb, syftPatch, "", ""
				patch.CPEs, patch.Licenses = []syftCPE{}, []syftLicense{}
				patch.MetadataType, patch.Metadata = "microsoft-kb-patch", map[string]string{"product_id": k.product, "kb": k.kb}
				if !yield(patch) {
					return
				}
			}
		}
	}
}

func (d *document) syftRelations(source string) iter.Seq[any] {
	return func(yield func(any) bool) {
		for _, x := range d.items() {
			if !yield(syftRelation{source, x.ref, "contains"}) {
				return
			}
			if at, ok := d.syftFileOf(x); ok && !yield(syftRelation{x.ref, at.id(), "evident-by"}) {
				return
			}
			for _, k := range x.patches {
				if !yield(syftRelation{source, k.ref(), "contains"}) {
					return
				}
			}
		}
	}
}

// syftFileOf is the file that a component is, if it is one and its hash is known.
func (d *document) syftFileOf(x *item) (at syftPlace, ok bool) {
	e := x.Evidence[0]
	if x.SHA256 == "" || e.Path == "" || e.Key != "" {
		return at, false
	}
	return d.syftPlace(e), true
}

// syftFiles yields the files that a document says something about, in the order in which they
// are first named. Of several components that are one file, the first has its hash.
func (d *document) syftFiles() iter.Seq[any] {
	return func(yield func(any) bool) {
		unknowns := map[syftPlace][]string{}
		for _, x := range d.skipped {
			at := d.syftPlace(x.Evidence)
			unknowns[at] = append(unknowns[at], x.Cataloger+": "+x.Reason)
		}
		named := map[string]bool{}
		for _, x := range d.items() {
			at, ok := d.syftFileOf(x)
			if !ok || named[at.id()] {
				continue
			}
			named[at.id()] = true
			if !yield(syftFile{ID: at.id(), Location: at, Digests: []syftDigest{{"sha256", x.SHA256}}, Unknowns: unknowns[at]}) {
				return
			}
		}
		for _, x := range d.skipped {
			at := d.syftPlace(x.Evidence)
			if named[at.id()] {
				continue
			}
			named[at.id()] = true
			if !yield(syftFile{ID: at.id(), Location: at, Unknowns: unknowns[at]}) {
				return
			}
		}
	}
}

func (d *document) syftPackage(x *item) syftPackage {
	typ, language, name := x.syftType()
	p := syftPackage{ID: x.ref, Name: name, Version: x.Version, Type: typ, FoundBy: x.FoundBy, Locations: []syftLocation{},
		Licenses: []syftLicense{}, Language: language, CPEs: []syftCPE{}, PURL: x.PURL}
	for _, e := range x.Evidence {
		p.Locations = append(p.Locations, d.syftLocation(e))
	}
	for _, cpe := range x.CPEs {
		p.CPEs = append(p.CPEs, syftCPE{cpe, "declared"})
	}
	for _, l := range x.Licenses {
		out := syftLicense{Value: l, Type: "declared", URLs: []string{}, Locations: []struct{}{}}
		if licenseExpression(l) {
			out.SPDXExpression = l
		}
		p.Licenses = append(p.Licenses, out)
	}
	return p
}

// layerID is how Syft names a layer: by its diff ID.
func (l *Layer) layerID() string {
	if l.DiffID != "" {
		return l.DiffID
	}
	return l.Digest
}

// syftPlace is the file of a piece of evidence, by its path in the tar of the layer.
func (d *document) syftPlace(e Evidence) syftPlace {
	path := e.Path
	if path == "" && e.Hive != 0 {
		form := hives.Base
		if e.Layer > 0 {
			form = hives.Delta
		}
		path = e.Hive.Path(form)
	}
	at := syftPlace{Path: "/" + strings.ReplaceAll(path, `\`, "/")}
	if l := d.layer(e.Layer); l != nil {
		at.LayerID = l.layerID()
	}
	return at
}

// id names the file in a document.
func (p syftPlace) id() string { return "file-" + shortSum(p.Path+"\x00"+p.LayerID) }

func (d *document) syftLocation(e Evidence) syftLocation {
	l := syftLocation{syftPlace: d.syftPlace(e)}
	l.AccessPath = l.Path
	if e.Key != "" {
		l.Annotations = map[string]string{"registryKey": e.Key}
	}
	return l
}

// syftTypes are the types and languages of packages by the type of their package URL.
var syftTypes = map[string]struct{ typ, language string }{
	"cargo":    {"rust-crate", "rust"},
	"composer": {"php-composer", "php"},
	"conan":    {"conan", "c++"},
	"gem":      {"gem", "ruby"},
	"golang":   {"go-module", "go"},
	"hex":      {"hex", "erlang"},
	"maven":    {"java-archive", "java"},
	"npm":      {"npm", "javascript"},
	"nuget":    {"dotnet", "dotnet"},
	"pypi":     {"python", "python"},
}

// syftType returns the type and the language of a component in Syft's documents, and its
// name there: a Java archive is named without its group.
func (c *Component) syftType() (typ, language, name string) {
	rest, ok := strings.CutPrefix(c.PURL, "pkg:")
	kind, rest, _ := strings.Cut(rest, "/")
	if t, known := syftTypes[kind]; ok && known {
		name = c.Name
		if kind == "maven" {
			rest, _, _ = strings.Cut(rest, "?")
			rest, _, _ = strings.Cut(rest, "@")
			if s, err := url.PathUnescape(rest[strings.LastIndexByte(rest, '/')+1:]); err == nil && s != "" {
				name = s
			}
		}
		return t.typ, t.language, name
	}
	switch c.Kind {
	case Program, Runtime, Executable:
		return syftBinary, "", c.Name
	}
	return syftUnknown, "", c.Name
}
