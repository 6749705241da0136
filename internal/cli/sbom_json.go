package cli

import (
	"io"
	"time"

	"github.com/mullion/mullion/internal/jsonstream"
	"github.com/mullion/mullion/inventory"
	"github.com/mullion/mullion/winfs"
)

// jsonSBOM is the output of "mullion sbom -f json", whose lists of components and skipped
// items follow.
type jsonSBOM struct {
	Reference    string      `json:"reference,omitempty"`
	Digest       string      `json:"digest,omitempty"`
	Architecture string      `json:"architecture,omitempty"`
	Created      jsonTime    `json:"created,omitzero"`
	Layers       []jsonLayer `json:"layers"`
}

type jsonComponent struct {
	Kind         inventory.Kind  `json:"kind"`
	Name         wtf8            `json:"name"`
	Version      wtf8            `json:"version,omitempty"`
	Publisher    wtf8            `json:"publisher,omitempty"`
	Architecture string          `json:"architecture,omitempty"`
	Language     wtf8            `json:"language,omitempty"`
	KB           string          `json:"kb,omitempty"`
	ProductID    string          `json:"productID,omitempty"`
	State        inventory.State `json:"state,omitempty"`
	Installed    jsonTime        `json:"installed,omitzero"`
	ProductCode  string          `json:"productCode,omitempty"`
	CPEs         []wtf8          `json:"cpes,omitempty"`
	PURL         wtf8            `json:"purl,omitempty"`
	SHA256       string          `json:"sha256,omitempty"`
	Licenses     []wtf8          `json:"licenses,omitempty"`
	Properties   map[string]wtf8 `json:"properties,omitempty"`
	Evidence     []jsonEvidence  `json:"evidence"`
	FoundBy      string          `json:"foundBy"`
}

// jsonEvidence is a file, by Path, a key of a hive of the image, by Hive and Key, or a key of
// a user's hive, by Path and Key.
type jsonEvidence struct {
	Path  wtf8       `json:"path,omitempty"`
	Hive  string     `json:"hive,omitempty"`
	Key   wtf8       `json:"key,omitempty"`
	Layer *jsonLayer `json:"layer,omitempty"`
}

type jsonSkipped struct {
	Cataloger string        `json:"cataloger"`
	Evidence  *jsonEvidence `json:"evidence,omitempty"`
	Reason    wtf8          `json:"reason"`
}

func writeSBOMJSON(c *console, w io.Writer, s *sbom) error {
	of := s.subject
	head := jsonSBOM{Reference: of.Name, Digest: of.Digest, Architecture: of.Architecture, Created: filetimeOf(of.Created), Layers: []jsonLayer{}}
	for i, l := range of.Layers {
		head.Layers = append(head.Layers, jsonLayer{i, l.Digest})
	}
	out := jsonstream.NewObject(&jsonText{w: w}, false)
	out.Members(head)
	out.List("components", func(yield func(any) bool) {
		for i := range s.listed.Components {
			if !yield(componentOf(&s.listed.Components[i], head.Layers)) {
				return
			}
		}
	})
	if len(s.listed.Skipped) > 0 {
		out.Member("skipped", skippedOf(s.listed.Skipped, head.Layers))
	}
	return out.Close()
}

func skippedOf(list []inventory.Skipped, layers []jsonLayer) (out []jsonSkipped) {
	for _, x := range list {
		k := jsonSkipped{Cataloger: x.Cataloger, Reason: wtf8(x.Reason)}
		if x.Evidence.Path != "" || x.Evidence.Key != "" {
			e := evidenceOf(x.Evidence, layers)
			k.Evidence = &e
		}
		out = append(out, k)
	}
	return out
}

func componentOf(c *inventory.Component, layers []jsonLayer) jsonComponent {
	out := jsonComponent{
		Kind: c.Kind, Name: wtf8(c.Name), Version: wtf8(c.Version), Publisher: wtf8(c.Publisher), Architecture: c.Architecture,
		Language: wtf8(c.Language), KB: c.KB, ProductID: c.ProductID, State: c.State, Installed: filetimeOf(c.Installed),
		ProductCode: c.ProductCode, CPEs: namesOf(c.CPEs), PURL: wtf8(c.PURL), SHA256: c.SHA256, Licenses: namesOf(c.Licenses),
		Evidence: []jsonEvidence{}, FoundBy: c.FoundBy,
	}
	for _, p := range c.Properties {
		if out.Properties == nil {
			out.Properties = map[string]wtf8{}
		}
		out.Properties[p.Name] = wtf8(p.Value)
	}
	for _, e := range c.Evidence {
		out.Evidence = append(out.Evidence, evidenceOf(e, layers))
	}
	return out
}

func evidenceOf(e inventory.Evidence, layers []jsonLayer) jsonEvidence {
	out := jsonEvidence{Path: wtf8(e.Path), Key: wtf8(e.Key)}
	if e.Hive != 0 {
		out.Hive = e.Hive.String()
	}
	if e.Layer >= 0 {
		out.Layer = &jsonLayer{Index: e.Layer}
		if e.Layer < len(layers) {
			out.Layer = &layers[e.Layer]
		}
	}
	return out
}

func namesOf(list []string) (out []wtf8) {
	for _, s := range list {
		out = append(out, wtf8(s))
	}
	return out
}

// filetimeOf is a time for JSON, not set if Windows cannot hold it.
func filetimeOf(t time.Time) jsonTime {
	if t.IsZero() {
		return 0
	}
	f, err := winfs.FiletimeFromTime(t)
	if err != nil {
		return 0
	}
	return jsonTime(f)
}
