package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"strings"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/wtf8"
)

// Subject is what was checked.
type Subject struct {
	// Name is the reference, as the user wrote it.
	Name string
	// URI is the place of the file or directory: an absolute URI, or a relative one without
	// a scheme, which starts at the root of the source tree.
	URI string
	// Layers are the labels of the layers that findings can name, base first. They may be
	// incomplete.
	Layers []string
}

// Document is the information about a check that is not in its findings.
type Document struct {
	Subject Subject
	Rules   []finding.Rule // all rules that findings can have
	Version string         // of the program
	// FailOn is that of the [Options], for formats that distinguish failures.
	FailOn finding.Severity
}

// The URI of the schema, and that of the program.
const (
	SARIFSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	programURI  = "https://github.com/mullion/mullion"
)

// The parts of a SARIF document that the writer uses, by the names of SARIF 2.1.0.
type (
	sarifText struct {
		Text string `json:"text"`
	}
	sarifRule struct {
		ID      string    `json:"id"`
		Name    string    `json:"name"`
		Short   sarifText `json:"shortDescription"`
		Full    sarifText `json:"fullDescription"`
		Help    sarifText `json:"help"`
		Default struct {
			Level string `json:"level"`
		} `json:"defaultConfiguration"`
		Properties struct {
			Tags []string `json:"tags"`
		} `json:"properties"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		URI     string      `json:"informationUri"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifArtifact struct {
		URI  string `json:"uri"`
		Base string `json:"uriBaseId,omitempty"`
	}
	// sarifRegion is the first character of the artifact: hosts show no result without a
	// line, and the artifact has none.
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
		EndLine     int `json:"endLine"`
		EndColumn   int `json:"endColumn"`
	}
	// sarifAddress is an offset in the layer, which is not one in the artifact.
	sarifAddress struct {
		Relative int64  `json:"relativeAddress"`
		Kind     string `json:"kind"`
		Name     string `json:"name,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
		Address  *sarifAddress `json:"address,omitempty"`
	}
	sarifLogical struct {
		Name string `json:"name"`
		Full string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification,omitempty"`
	}
	sarifResult struct {
		Rule         string             `json:"ruleId"`
		Index        int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
		Properties   map[string]any     `json:"properties,omitempty"`
	}
	sarifNotification struct {
		Level   string         `json:"level"`
		Message sarifText      `json:"message"`
		Rule    *sarifRuleName `json:"associatedRule,omitempty"`
	}
	sarifRuleName struct {
		ID string `json:"id"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
)

// sarif writes one document. Results are written as they come.
type sarif struct {
	w     io.Writer
	doc   Document
	index map[string]int
	any   bool // a result was written
	err   error
}

// NewSARIF returns a writer of a SARIF 2.1.0 document with one run. The first part, with the
// rules, is written at once; Close reports an error of that. The same findings give the same
// bytes: no time is written.
//
// The location of a result is the subject, with the layer, path and registry value as a
// logical location and the offset as an address. Its fingerprint depends on rule, layer,
// path, value and message, and not on what a layer's label has in parentheses, its digest,
// which changes whenever the layer is built.
func NewSARIF(w io.Writer, doc Document) Writer {
	s := &sarif{w: w, doc: doc, index: map[string]int{}}
	d := sarifDriver{Name: "mullion", Version: doc.Version, URI: programURI, Rules: []sarifRule{}}
	for i, r := range doc.Rules {
		s.index[r.ID] = i
		x := sarifRule{ID: r.ID, Name: ruleName(r.ID), Short: sarifText{r.Meaning}, Full: sarifText{r.Meaning}, Help: sarifText{r.Mend}}
		x.Default.Level = sarifLevel(r.Severity)
		x.Properties.Tags = []string{r.Where}
		d.Rules = append(d.Rules, x)
	}
	s.raw(`{"$schema":"` + SARIFSchema + `","version":"2.1.0","runs":[{"tool":{"driver":`)
	s.value(d)
	s.raw(`},"columnKind":"unicodeCodePoints","results":[`)
	return s
}

// raw writes a part of the document that is JSON already.
func (s *sarif) raw(text string) {
	if s.err == nil {
		_, s.err = io.WriteString(s.w, text)
	}
}

// value writes a value as JSON.
func (s *sarif) value(v any) {
	if s.err != nil {
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		s.err = err
		return
	}
	_, s.err = s.w.Write(b)
}

// ruleName makes the readable name of a rule: LinkTargetMissing.
func ruleName(id string) string {
	var b strings.Builder
	for _, word := range strings.Split(id, "-") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

func sarifLevel(s finding.Severity) string {
	switch s {
	case finding.Error:
		return "error"
	case finding.Warning:
		return "warning"
	}
	return "note"
}

// Finding implements Writer.
func (s *sarif) Finding(f finding.Finding, ignored *Ignore) error {
	i, ok := s.index[f.Rule]
	if !ok {
		i = -1
	}
	x := sarifResult{Rule: f.Rule, Index: i, Level: sarifLevel(f.Severity), Message: sarifMessage(f),
		Locations: []sarifLocation{s.location(f)}, Fingerprints: fingerprints(f), Properties: properties(f)}
	if ignored != nil {
		x.Suppressions = []sarifSuppression{{Kind: "external", Status: "accepted", Justification: wtf8.Visible(ignored.Reason)}}
	}
	if s.any {
		s.raw(",\n")
	}
	s.any = true
	s.value(x)
	return s.err
}

// location returns the place of a finding.
func (s *sarif) location(f finding.Finding) sarifLocation {
	l := sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifact{URI: s.doc.Subject.URI}, Region: sarifRegion{1, 1, 1, 2}}}
	if !strings.Contains(s.doc.Subject.URI, ":") {
		l.Physical.Artifact.Base = "%SRCROOT%"
	}
	if f.Offset >= 0 {
		l.Physical.Address = &sarifAddress{Relative: f.Offset, Kind: "offset", Name: wtf8.Visible(f.Layer)}
	}
	layer, path := wtf8.Visible(f.Layer), wtf8.Visible(f.Path)
	switch {
	case f.Value != "":
		value := wtf8.Visible(f.Value)
		l.Logical = []sarifLogical{{Name: value, Full: joined(layer, path) + ":" + value, Kind: "value"}}
	case f.Path != "":
		name := path[strings.LastIndexByte(path, '\\')+1:]
		if name == "" {
			name = path
		}
		l.Logical = []sarifLogical{{Name: name, Full: joined(layer, path), Kind: "entry"}}
	case f.Layer != "":
		l.Logical = []sarifLogical{{Name: layer, Full: layer, Kind: "layer"}}
	}
	return l
}

func joined(layer, path string) string {
	if layer == "" {
		return path
	}
	return layer + "/" + path
}

// sarifMessage returns layer, path, value, offset and message as one line: hosts show
// little else.
func sarifMessage(f finding.Finding) sarifText {
	text := strings.TrimPrefix(f.Unrated(), f.Rule)
	return plainText(strings.TrimPrefix(strings.TrimPrefix(text, ": "), " "))
}

// plainText makes a message of a text. What SARIF would read as an embedded link does not
// remain one.
func plainText(s string) sarifText {
	return sarifText{strings.ReplaceAll(wtf8.Visible(s), "](", "] (")}
}

// fingerprints returns the values by which hosts recognise a result in the next run.
func fingerprints(f finding.Finding) map[string]string {
	label, _, _ := strings.Cut(f.Layer, " (")
	h := sha256.New()
	for _, part := range []string{f.Rule, label, f.Path, f.Value, f.Message} {
		_, _ = io.WriteString(h, part+"\x00")
	}
	sum := hex.EncodeToString(h.Sum(nil)[:16])
	// The first key is the one that code hosts compute themselves if a result lacks it.
	return map[string]string{"primaryLocationLineHash": sum + ":1", "mullion/v1": sum}
}

func properties(f finding.Finding) map[string]any {
	m := map[string]any{}
	for name, text := range map[string]string{"layer": f.Layer, "path": f.Path, "value": f.Value, "hint": f.Hint} {
		if text != "" {
			m[name] = wtf8.Visible(text)
		}
	}
	if f.Offset >= 0 {
		m["offset"] = f.Offset
	}
	return m
}

// Close implements Writer.
func (s *sarif) Close(sum *Summary, failure error) error {
	inv := sarifInvocation{Successful: failure == nil}
	if failure != nil {
		inv.Notifications = append(inv.Notifications, sarifNotification{Level: "error", Message: plainText(failure.Error())})
	}
	for _, m := range sum.More {
		inv.Notifications = append(inv.Notifications, sarifNotification{Level: "note", Message: plainText(m.String()), Rule: &sarifRuleName{m.Rule}})
	}
	s.raw(`],"invocations":[`)
	s.value(inv)
	s.raw(`],"properties":{"checked":`)
	s.value(map[string]any{"subject": wtf8.Visible(s.doc.Subject.Name), "errors": sum.Errors, "warnings": sum.Warnings, "infos": sum.Infos, "ignored": sum.Ignored})
	s.raw("}}]}\n")
	return s.err
}
