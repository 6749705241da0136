package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode"

	"github.com/mullion/mullion/finding"
)

func document() Document {
	return Document{Subject: Subject{Name: "tar:a.tar", URI: "a.tar", Layers: []string{"layer 0 (sha256:01)", "layer 1 (sha256:02)"}},
		Rules: catalogue.All(), Version: "1.2.3", FailOn: finding.Error}
}

// write runs a report over findings, of which b-rule at Files\ok is excused.
func write(t *testing.T, create func(io.Writer, Document) Writer, failure error, all ...finding.Finding) []byte {
	t.Helper()
	x, err := NewIgnore("b-rule", "Files/ok", "known <since> 2024", "test")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := New(create(&b, document()), Options{Ignores: []*Ignore{x}, PerRule: 3}).Run(yielding(failure, all...)); err != failure {
		t.Fatal(err)
	}
	return b.Bytes()
}

// hostile are names that must not reach the output as they are.
var hostile = []string{"\u202ekcab", "<script>alert(1)</script>", "]]>", "\x1b[2J", "nul\x00", "\xed\xa0\x80", "\xff", "\ufffe", "&amp;\n[x](http://e)"}

func TestSARIF(t *testing.T) {
	all := []finding.Finding{
		ruleA.At(`Files\a`, 512, "first").In("layer 1 (sha256:02)"),
		ruleB.At(`Files\ok`, -1, "second").In("layer 0 (sha256:01)"),
		{Severity: finding.Info, Rule: "a-rule", Path: `SOFTWARE\K`, Value: "v", Offset: -1, Message: "third", Hint: "do"},
	}
	b := write(t, NewSARIF, nil, all...)
	if again := write(t, NewSARIF, nil, all...); !bytes.Equal(b, again) {
		t.Error("two runs differ")
	}
	var log struct {
		Schema  string `json:"$schema"`
		Version string
		Runs    []struct {
			Tool    struct{ Driver sarifDriver }
			Results []sarifResult
		}
	}
	if err := json.Unmarshal(b, &log); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	if log.Version != "2.1.0" || len(log.Runs) != 1 || len(log.Runs[0].Results) != 3 || len(log.Runs[0].Tool.Driver.Rules) != 2 {
		t.Fatalf("%s", b)
	}
	rule := log.Runs[0].Tool.Driver.Rules[0]
	if rule.ID != "a-rule" || rule.Name != "ARule" || rule.Help.Text != "Mend it." || rule.Default.Level != "error" || rule.Short.Text != "Bad." {
		t.Errorf("%+v", rule)
	}
	r := log.Runs[0].Results
	at := r[0].Locations[0]
	if r[0].Level != "error" || r[0].Index != 0 || r[0].Message.Text != `layer 1 (sha256:02) "Files\a" at 0x200: first` ||
		at.Physical.Artifact != (sarifArtifact{"a.tar", "%SRCROOT%"}) || at.Physical.Address.Relative != 512 ||
		at.Logical[0] != (sarifLogical{"a", `layer 1 (sha256:02)/Files\a`, "entry"}) {
		t.Errorf("%+v", r[0])
	}
	if r[1].Level != "warning" || len(r[1].Suppressions) != 1 || r[1].Suppressions[0].Justification != "known <since> 2024" || r[0].Suppressions != nil {
		t.Errorf("%+v", r[1])
	}
	if r[2].Level != "note" || r[2].Locations[0].Logical[0].Full != `SOFTWARE\K:v` || r[2].Properties["hint"] != "do" {
		t.Errorf("%+v", r[2])
	}
	if a, b := fingerprints(all[0]), fingerprints(all[0].In("layer 1 (sha256:ff)")); a["mullion/v1"] != b["mullion/v1"] {
		t.Error("a fingerprint changes with the digest of the layer")
	}
	if a, b := fingerprints(all[0]), fingerprints(all[0].In("layer 2 (sha256:02)")); a["mullion/v1"] == b["mullion/v1"] {
		t.Error("findings of two layers have one fingerprint")
	}
}

func TestSARIFIncomplete(t *testing.T) {
	var all []finding.Finding
	for range 5 {
		all = append(all, ruleA.At(`Files\a`, 1, "m"))
	}
	b := string(write(t, NewSARIF, errors.New("disk\nfailed"), all...))
	for _, want := range []string{`"executionSuccessful":false`, `"text":"disk\\u000afailed"`, `"text":"2 more of a-rule"`, `"associatedRule":{"id":"a-rule"}`} {
		if !strings.Contains(b, want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
	if n := strings.Count(b, `"ruleId"`); n != 3 || !json.Valid([]byte(b)) {
		t.Errorf("%d results in %s", n, b)
	}
}

func TestHostileNames(t *testing.T) {
	for _, s := range hostile {
		f := finding.Finding{Severity: finding.Error, Rule: "a-rule", Layer: s, Path: `Files\` + s, Value: s, Offset: 1, Message: s, Hint: s}
		j := write(t, NewSARIF, errors.New(s), f)
		if !json.Valid(j) || bytes.ContainsAny(j, "<>\x1b\u202e\x00") || strings.Contains(sarifMessage(f).Text, "](") {
			t.Errorf("%q gives %s", s, j)
		}
		x := write(t, NewJUnit, errors.New(s), f)
		d := xml.NewDecoder(bytes.NewReader(x))
		for {
			tok, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%q: %v in %s", s, err, x)
			}
			if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "script" {
				t.Errorf("%q makes an element", s)
			}
		}
		for _, r := range string(x) {
			if !unicode.IsPrint(r) && r != '\n' {
				t.Errorf("%q gives %U in %s", s, r, x)
			}
		}
	}
}

func TestJUnit(t *testing.T) {
	b := write(t, NewJUnit, nil,
		ruleA.At(`Files\a`, 512, "first").In("layer 1 (sha256:02)"), ruleB.At(`Files\ok`, -1, "second").In("layer 1 (sha256:02)"), ruleB.At(`Files\b`, -1, "third").In("layer 2"))
	want := `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="mullion check tar:a.tar" tests="4" failures="1" errors="0" skipped="1">
  <testsuite name="layer 0 (sha256:01)" tests="1" failures="0" errors="0" skipped="0">
    <testcase classname="layer 0 (sha256:01)" name="check"></testcase>
  </testsuite>
  <testsuite name="layer 1 (sha256:02)" tests="2" failures="1" errors="0" skipped="1">
    <testcase classname="layer 1 (sha256:02)" name="a-rule Files\a">
      <failure message="first" type="error">error a-rule layer 1 (sha256:02) &#34;Files\a&#34; at 0x200: first&#xA;Bad.&#xA;Mend it.</failure>
    </testcase>
    <testcase classname="layer 1 (sha256:02)" name="b-rule Files\ok">
      <skipped message="known &lt;since&gt; 2024"></skipped>
      <system-out>warning b-rule layer 1 (sha256:02) &#34;Files\ok&#34;: second</system-out>
    </testcase>
  </testsuite>
  <testsuite name="layer 2" tests="1" failures="0" errors="0" skipped="0">
    <testcase classname="layer 2" name="b-rule Files\b">
      <system-out>warning b-rule layer 2 &#34;Files\b&#34;: third</system-out>
    </testcase>
  </testsuite>
</testsuites>
`
	if string(b) != want {
		t.Errorf("%s", b)
	}
	b = write(t, NewJUnit, errors.New("failed"))
	if !strings.Contains(string(b), `<error message="failed" type="error"></error>`) || !strings.Contains(string(b), `errors="1"`) {
		t.Errorf("%s", b)
	}
}
