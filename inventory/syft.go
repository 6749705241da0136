package inventory

import (
	"encoding/json"
	"io"
)

// syftSchema is the version of Syft's JSON that is written. Readers accept all versions
// with the same major number.
const syftSchema = "16.0.24"

// The parts of a Syft document that are filled in.
type syftDocument struct {
	Artifacts     []syftPackage  `json:"artifacts"`
	Relationships []syftRelation `json:"artifactRelationships"`
	Source        syftSource     `json:"source"`
	Distro        syftDistro     `json:"distro"`
	Descriptor    syftName       `json:"descriptor"`
	Schema        syftSchemaName `json:"schema"`
}

type syftPackage struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Version   string         `json:"version"`
	Type      string         `json:"type"`
	FoundBy   string         `json:"foundBy"`
	Locations []syftLocation `json:"locations"`
	Licenses  []struct{}     `json:"licenses"`
	Language  string         `json:"language"`
	CPEs      []struct{}     `json:"cpes"`
	PURL      string         `json:"purl"`
}

type syftLocation struct {
	Path       string `json:"path"`
	AccessPath string `json:"accessPath"`
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

// WriteSyft writes Syft's own JSON, which Grype and others read. Updates with a number
// have Syft's type for them, msrc-kb; it has no type for registered programs.
func WriteSyft(w io.Writer, inv *Inventory, s Subject) error {
	doc := syftDocument{
		Artifacts: []syftPackage{}, Relationships: []syftRelation{},
		Source: syftSource{ID: s.uuid("syft"), Name: s.Name, Version: s.Digest, Type: "image", Metadata: map[string]any{
			"userInput": s.Name, "manifestDigest": s.Digest, "imageID": "", "mediaType": "", "tags": []string{}, "imageSize": 0,
			"layers": []struct{}{}, "repoDigests": []string{}, "architecture": s.Architecture, "os": "windows",
		}},
		Descriptor: syftName{Name: tool},
		Schema:     syftSchemaName{syftSchema, "https://raw.githubusercontent.com/anchore/syft/main/schema/json/schema-" + syftSchema + ".json"},
	}
	if os := inv.System(); os != nil {
		doc.Distro = syftDistro{PrettyName: os.Name, Name: os.Name, ID: "windows", Version: os.Version, VersionID: os.Version}
		if len(os.CPEs) > 0 {
			doc.Distro.CPEName = os.CPEs[0]
		}
	}
	for i := range inv.Components {
		c := &inv.Components[i]
		p := syftPackage{ID: c.ref(), Name: c.Name, Version: c.Version, Type: "UnknownPackage", FoundBy: tool,
			Locations: []syftLocation{{c.location(), c.location()}}, Licenses: []struct{}{}, CPEs: []struct{}{}}
		if c.KB != "" {
			p.Type = "msrc-kb"
		}
		doc.Artifacts = append(doc.Artifacts, p)
		doc.Relationships = append(doc.Relationships, syftRelation{doc.Source.ID, p.ID, "contains"})
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}

// location is the place where a component was found.
func (c *Component) location() string { return c.Evidence[0].String() }
