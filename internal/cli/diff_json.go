package cli

import (
	"bufio"
	"encoding/hex"
	"encoding/json"

	"github.com/mullion/mullion/compare"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
)

// diffJSON prints differences as JSON, one object a line, and the summary as the last one.
type diffJSON struct {
	w *bufio.Writer
	e *json.Encoder
}

func newDiffJSON(c *console) *diffJSON {
	w := bufio.NewWriterSize(c.out, 64<<10)
	e := json.NewEncoder(&jsonText{w: w})
	e.SetEscapeHTML(false)
	return &diffJSON{w, e}
}

// changedFile is a difference between files.
type changedFile struct {
	Change string         `json:"change"` // added, removed, changed or renamed
	Path   wtf8           `json:"path"`
	What   []string       `json:"what,omitempty"`
	Before *comparedEntry `json:"before,omitempty"`
	After  *comparedEntry `json:"after,omitempty"`
	Fields []changedField `json:"fields,omitempty"`
}

// comparedEntry is an entry with the hash of its content.
type comparedEntry struct {
	*jsonEntry
	SHA256 string `json:"sha256,omitempty"` // of the main stream
}

// changedField is both sides of a property, or what a list has lost and gained.
type changedField struct {
	Name    wtf8   `json:"name"`
	Before  wtf8   `json:"before,omitempty"`
	After   wtf8   `json:"after,omitempty"`
	Removed []wtf8 `json:"removed,omitempty"`
	Added   []wtf8 `json:"added,omitempty"`
}

func changedFields(list []compare.Field) []changedField {
	texts := func(from []string) (to []wtf8) {
		for _, s := range from {
			to = append(to, wtf8(s))
		}
		return to
	}
	var out []changedField
	for _, f := range list {
		out = append(out, changedField{wtf8(f.Name), wtf8(f.Before), wtf8(f.After), texts(f.Removed), texts(f.Added)})
	}
	return out
}

func comparedOf(f *compare.File) *comparedEntry {
	if f == nil {
		return nil
	}
	e := entryOf(&f.Entry)
	e.Links = f.Links
	if f.Layer >= 0 {
		e.Layer = &jsonLayer{Index: f.Layer}
	}
	for _, s := range f.Streams {
		e.Streams = append(e.Streams, jsonStream{Name: wtf8(s.Name), Size: s.Size, SHA256: hex.EncodeToString(s.Sum[:])})
	}
	out := &comparedEntry{jsonEntry: e}
	if f.Kind == layer.File {
		out.SHA256 = hex.EncodeToString(f.Sum[:])
	}
	return out
}

func (d *diffJSON) files(list *compare.FileChanges) error {
	for i := range list.Len() {
		c, err := list.Change(i)
		if err != nil {
			return err
		}
		out := changedFile{c.Kind.String(), wtf8(c.Path()), aspectWords(c.What), comparedOf(c.Before), comparedOf(c.After), changedFields(c.Fields())}
		if err := d.e.Encode(out); err != nil {
			return err
		}
	}
	return nil
}

// changedConfig is a difference between configurations.
type changedConfig struct {
	Change string          `json:"change"`
	Field  string          `json:"field"` // os.version, config.Env.PATH
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

func (d *diffJSON) config(c *compare.ConfigChange) error {
	return d.e.Encode(changedConfig{c.Kind.String(), c.Field, c.Before, c.After})
}

// changedKey is a difference between registries. Before and After are jsonData for a value,
// otherwise text.
type changedKey struct {
	Change string         `json:"change"`
	Hive   string         `json:"hive,omitempty"` // SYSTEM and so on, absent for hive files
	Delta  bool           `json:"delta,omitempty"`
	Key    wtf8           `json:"key"`            // from the hive's root
	What   string         `json:"what"`           // key, value, class, security, flags, layer or time
	Name   *wtf8          `json:"name,omitempty"` // of a value, "" for the default one
	Before any            `json:"before,omitempty"`
	After  any            `json:"after,omitempty"`
	Fields []changedField `json:"fields,omitempty"` // of a descriptor
}

func (d *diffJSON) hive(root hiveRoot, c *compare.HiveChange) error {
	out := changedKey{Change: c.Kind().String(), Hive: root.name, Delta: root.delta, Key: wtf8(c.Path), What: c.Field.String()}
	switch c.Field {
	case regf.FieldKey:
	case regf.FieldValue:
		name := wtf8(c.Name)
		out.Name, out.Before, out.After = &name, dataOf(c.ValueA), dataOf(c.ValueB)
	case regf.FieldSecurity:
		before, _ := c.A.Security() // they could be read when they were compared
		after, _ := c.B.Security()
		_, was := securityOf(before)
		_, is := securityOf(after)
		out.Before, out.After, out.Fields = was, is, changedFields(compare.Security(before, after))
	default:
		was, is := differenceSides(&c.Difference)
		out.Before, out.After = was, is
	}
	return d.e.Encode(out)
}

// dataOf returns one side of a value, or nil if the value does not exist there.
func dataOf(v regf.Value) any {
	if !v.Valid() {
		return nil
	}
	data, _ := v.Data() // it could be read when it was compared
	if v.Tombstone() {
		return json.RawMessage(append(appendData([]byte{'{'}, v.Type(), data), `,"tombstone":true}`...))
	}
	return jsonData{v.Type(), data}
}

// summaryJSON is the last object.
type summaryJSON struct {
	Summary struct {
		Same     bool         `json:"same"`
		Files    *jsonTotals  `json:"files,omitempty"`
		Registry *jsonTotals  `json:"registry,omitempty"`
		Config   *jsonTotals  `json:"config,omitempty"`
		Compared jsonCompared `json:"compared"`
	} `json:"summary"`
}

type jsonTotals struct {
	Added        int   `json:"added"`
	Removed      int   `json:"removed"`
	Changed      int   `json:"changed"`
	Renamed      int   `json:"renamed,omitempty"`
	BytesAdded   int64 `json:"bytesAdded,omitempty"`
	BytesRemoved int64 `json:"bytesRemoved,omitempty"`
}

type jsonCompared struct {
	Paths int `json:"paths"`
	Hives int `json:"hives"`
}

func (d *diffJSON) end(s *diffSummary) error {
	var out summaryJSON
	out.Summary.Same = s.same()
	out.Summary.Compared = jsonCompared{s.Paths, s.Hives}
	for _, x := range []struct {
		has bool
		t   compare.Totals
		to  **jsonTotals
	}{{s.HasFiles, s.Files, &out.Summary.Files}, {s.HasRegistry, s.Registry, &out.Summary.Registry}, {s.HasConfig, s.Config, &out.Summary.Config}} {
		if x.has {
			*x.to = &jsonTotals{x.t.Added, x.t.Removed, x.t.Changed, x.t.Renamed, x.t.BytesAdded, x.t.BytesRemoved}
		}
	}
	if err := d.e.Encode(out); err != nil {
		return err
	}
	return d.w.Flush()
}
