package report

import (
	"encoding/xml"
	"io"
	"strings"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/wtf8"
)

// The elements of a JUnit document, as Ant's JUnit task defined them and build servers
// read them.
type (
	junitSuites struct {
		XMLName  xml.Name      `xml:"testsuites"`
		Name     string        `xml:"name,attr"`
		Tests    int           `xml:"tests,attr"`
		Failures int           `xml:"failures,attr"`
		Errors   int           `xml:"errors,attr"`
		Skipped  int           `xml:"skipped,attr"`
		Suites   []*junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string     `xml:"classname,attr"`
		Name    string     `xml:"name,attr"`
		Failure *junitText `xml:"failure"`
		Error   *junitText `xml:"error"`
		Skipped *junitText `xml:"skipped"`
		Output  string     `xml:"system-out,omitempty"`
	}
	junitText struct {
		Message string `xml:"message,attr,omitempty"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// junit collects the findings of each layer: a suite begins with its numbers.
type junit struct {
	w     io.Writer
	doc   Document
	rules map[string]finding.Rule
	at    map[string]*junitSuite
	all   junitSuites
}

// NewJUnit returns a writer of a JUnit XML document with one test suite for each layer, and
// one test for each finding: a failure from FailOn on, skipped if it is excused, else passed
// with an output. A suite without findings has one test, which passes. An error that ended
// the check is a test with an error.
//
// The writer keeps the findings until Close, so that [Options.PerRule] should bound them.
func NewJUnit(w io.Writer, doc Document) Writer {
	j := &junit{w: w, doc: doc, rules: map[string]finding.Rule{}, at: map[string]*junitSuite{}}
	for _, r := range doc.Rules {
		j.rules[r.ID] = r
	}
	for _, l := range doc.Subject.Layers {
		j.suite(l)
	}
	return j
}

// suite returns the suite of a layer, that of the whole subject for "".
func (j *junit) suite(layer string) *junitSuite {
	s := j.at[layer]
	if s == nil {
		s = &junitSuite{Name: wtf8.Visible(j.doc.Subject.Name)}
		if layer != "" {
			s.Name = wtf8.Visible(layer)
		}
		j.at[layer] = s
		j.all.Suites = append(j.all.Suites, s)
	}
	return s
}

// Finding implements Writer.
func (j *junit) Finding(f finding.Finding, ignored *Ignore) error {
	s := j.suite(f.Layer)
	c := junitCase{Class: s.Name, Name: f.Rule}
	if f.Path != "" {
		c.Name += " " + wtf8.Visible(f.Path)
	}
	if f.Value != "" {
		c.Name += " value " + wtf8.Visible(f.Value)
	}
	line := wtf8.Visible(f.String())
	switch {
	case ignored != nil:
		c.Skipped = &junitText{Message: wtf8.Visible(ignored.Reason)}
		c.Output = line
	case f.Severity >= j.doc.FailOn:
		text := []string{line}
		if r, ok := j.rules[f.Rule]; ok {
			text = append(text, r.Meaning, r.Mend)
		}
		c.Failure = &junitText{Message: wtf8.Visible(f.Message), Type: f.Severity.String(), Text: strings.Join(text, "\n")}
	default:
		c.Output = line
	}
	s.Cases = append(s.Cases, c)
	return nil
}

// Close implements Writer.
func (j *junit) Close(sum *Summary, failure error) error {
	if len(j.all.Suites) == 0 {
		j.suite("")
	}
	for _, m := range sum.More {
		s := j.suite("")
		s.Cases = append(s.Cases, junitCase{Class: s.Name, Name: m.Rule, Output: m.String()})
	}
	if failure != nil {
		s := j.suite("")
		s.Cases = append(s.Cases, junitCase{Class: s.Name, Name: "check", Error: &junitText{Message: wtf8.Visible(failure.Error()), Type: "error"}})
	}
	j.all.Name = "mullion check " + wtf8.Visible(j.doc.Subject.Name)
	for _, s := range j.all.Suites {
		if len(s.Cases) == 0 {
			s.Cases = append(s.Cases, junitCase{Class: s.Name, Name: "check"})
		}
		s.count()
		j.all.Tests += s.Tests
		j.all.Failures += s.Failures
		j.all.Errors += s.Errors
		j.all.Skipped += s.Skipped
	}
	if _, err := io.WriteString(j.w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(j.w)
	e.Indent("", "  ")
	if err := e.Encode(&j.all); err != nil {
		return err
	}
	_, err := io.WriteString(j.w, "\n")
	return err
}

func (s *junitSuite) count() {
	s.Tests = len(s.Cases)
	for i := range s.Cases {
		switch c := &s.Cases[i]; {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
}
