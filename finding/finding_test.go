package finding

import (
	"encoding/json"
	"errors"
	"iter"
	"testing"
)

var testRules = NewCatalogue("test")

var testRule = testRules.Add(Rule{ID: "b-rule", Severity: Error, Least: Info, Meaning: "Bad.", Mend: "Mend."})

func TestFindingForms(t *testing.T) {
	for _, c := range []struct {
		f          Finding
		line, json string
	}{
		{testRule.At("", -1, "%d bytes", 3), "error b-rule: 3 bytes", `{"severity":"error","rule":"b-rule","message":"3 bytes"}`},
		{testRule.At("", -1, "%q is not %.3q, %-4s%d", `A\b "c"`, `d\ef`, "x", 3), `error b-rule: "A\b \u0022c\u0022" is not "d\e", x   3`,
			`{"severity":"error","rule":"b-rule","message":"\"A\\b \\u0022c\\u0022\" is not \"d\\e\", x   3"}`},
		{testRule.Lesser().At(`Files\a`, 0, "m").In("l.tar"), `info b-rule l.tar "Files\a" at 0x0: m`,
			`{"severity":"info","rule":"b-rule","layer":"l.tar","path":"Files\\a","offset":0,"message":"m"}`},
		{Finding{Severity: Warning, Rule: "r", Path: "K", Value: "v", Offset: 32, Message: "m"}.WithHint("run x"), `warning r "K" value "v" at 0x20: m; run x`,
			`{"severity":"warning","rule":"r","path":"K","value":"v","offset":32,"message":"m","hint":"run x"}`},
		{Finding{Severity: Info, Rule: "r", Path: "a\xed\xa0\x80<", Offset: -1, Message: "m"}, `info r "a\ud800<": m`,
			`{"severity":"info","rule":"r","path":"a\ud800<","message":"m"}`},
	} {
		if got := c.f.String(); got != c.line {
			t.Errorf("%s, want %s", got, c.line)
		}
		b, err := c.f.MarshalJSON()
		if string(b) != c.json || err != nil || !json.Valid(b) {
			t.Errorf("%s, %v, want %s", b, err, c.json)
		}
	}
	if _, err := (Finding{}).MarshalJSON(); err == nil {
		t.Error("a finding without a severity is written")
	}
}

func TestCatalogue(t *testing.T) {
	c := NewCatalogue("test")
	whole := Rule{ID: "b", Severity: Warning, Meaning: "Bad.", Mend: "Mend."}
	c.Add(whole)
	whole.ID = "a"
	if r := c.Add(whole); r.Lesser() != r {
		t.Error("a rule without a lesser severity has one")
	}
	if all := c.All(); len(all) != 2 || all[0].ID != "a" || all[1].ID != "b" || all[0].Where != "test" {
		t.Errorf("%+v", all)
	}
	for name, r := range map[string]Rule{
		"taken":      whole,
		"no ID":      {Severity: Error, Meaning: "m", Mend: "m"},
		"no meaning": {ID: "x", Severity: Error, Mend: "m"},
		"no remedy":  {ID: "x", Severity: Error, Meaning: "m"},
		"severity":   {ID: "x", Meaning: "m", Mend: "m"},
		"least":      {ID: "x", Severity: Warning, Least: Warning, Meaning: "m", Mend: "m"},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s is added", name)
				}
			}()
			c.Add(r)
		}()
	}
}

func TestCollect(t *testing.T) {
	broken := errors.New("broken")
	var seq iter.Seq2[Finding, error] = func(yield func(Finding, error) bool) {
		_ = yield(testRule.At("", -1, "m"), nil) && yield(Finding{}, broken)
	}
	if found, err := Collect(seq); len(found) != 1 || err != broken {
		t.Errorf("%v, %v", found, err)
	}
}
