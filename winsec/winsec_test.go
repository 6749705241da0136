package winsec

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/winfs"
)

func TestSIDVectors(t *testing.T) {
	for _, c := range []struct{ text, raw, canonical string }{
		{"S-1-0-0", "0101 000000000000 00000000", ""},
		{"S-1-1-0", "0101 000000000001 00000000", ""},
		{"S-1-5-18", "0101 000000000005 12000000", ""},
		{"S-1-5-32-544", "0102 000000000005 20000000 20020000", ""},
		{"S-1-5-83-0", "0102 000000000005 53000000 00000000", ""},
		{"S-1-5", "0100 000000000005", ""},
		{"S-1-4294967295-4294967295", "0101 0000ffffffff ffffffff", ""},
		{"S-1-0x000100000000-1", "0101 000100000000 01000000", ""},
		{"S-1-0xABCDEF012345-1", "0101 abcdef012345 01000000", ""},
		{"S-1-0x5-18", "0101 000000000005 12000000", "S-1-5-18"},
		{"s-1-5-18", "0101 000000000005 12000000", "S-1-5-18"},
		{"S-1-4294967296", "0100 000100000000", "S-1-0x000100000000"},
		{"S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15", "010f 000000000005 01000000 02000000 03000000 04000000 05000000" +
			"06000000 07000000 08000000 09000000 0a000000 0b000000 0c000000 0d000000 0e000000 0f000000", ""},
	} {
		raw := testenv.Hex(t, c.raw)
		if c.canonical == "" {
			c.canonical = c.text
		}
		s, err := ParseSID(c.text)
		if err != nil || !bytes.Equal(s.Bytes(), raw) || s.String() != c.canonical || s.Len() != len(raw) {
			t.Errorf("%s: % x, %s, %v", c.text, s.Bytes(), s, err)
		}
		if b, err := SIDFromBytes(append(raw, 1, 2)); err != nil || b != s {
			t.Errorf("%s: from bytes %v, %v", c.text, b, err)
		}
		for n := range raw {
			if _, err := SIDFromBytes(raw[:n]); !errors.Is(err, ErrTruncated) {
				t.Errorf("%s cut to %d: %v", c.text, n, err)
			}
		}
	}
	for _, bad := range []string{"", "S", "S-1-", "S-1", "S-2-5-18", "S-1-5-", "S-1-5-x", "S-1-5-18x", "S-1--5", "S-1-5-4294967296",
		"S-1-281474976710656", "S-1-0x1000000000000-1", "S-1-0x-1", "BA", " S-1-5-18", "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16",
		"S-1-5-+1", "S-1-0x"} {
		if s, err := ParseSID(bad); !errors.Is(err, ErrBadSID) {
			t.Errorf("ParseSID(%q) = %v, %v", bad, s, err)
		}
	}
	if _, err := SIDFromBytes(testenv.Hex(t, "0201000000000005 12000000")); !errors.Is(err, ErrRevision) {
		t.Error(err)
	}
	if _, err := SIDFromBytes(append(testenv.Hex(t, "0110000000000005"), make([]byte, 64)...)); !errors.Is(err, ErrBadSID) {
		t.Error(err)
	}
	if (SID{}).IsValid() || (SID{}).String() != "" {
		t.Error("the zero SID is valid")
	}
}

func TestAliases(t *testing.T) {
	domain := MakeSID(5, 21, 1, 2, 3)
	seen := map[SID]string{}
	relative := 0
	for _, a := range aliases {
		s, err := ParseSIDAlias(a.alias, domain)
		if err != nil || s.Alias(domain) != a.alias || s.Name() != a.name {
			t.Errorf("%s: %v, alias %q, name %q, %v", a.alias, s, s.Alias(domain), s.Name(), err)
		}
		if o := seen[s]; o != "" {
			t.Errorf("%s and %s are both %v", o, a.alias, s)
		}
		seen[s] = a.alias
		if !a.sid.IsValid() {
			relative++
			if _, err := ParseSIDAlias(a.alias, SID{}); !errors.Is(err, ErrNeedDomain) {
				t.Errorf("%s without domain: %v", a.alias, err)
			}
			if s.Alias(SID{}) != "" {
				t.Errorf("%v has an alias without domain", s)
			}
		}
	}
	if relative != 17 || len(aliases) != 68 {
		t.Errorf("%d aliases, %d of them relative", len(aliases), relative)
	}
	for alias, want := range map[string]string{ // against the documents, not the table
		"BA": "S-1-5-32-544", "SY": "S-1-5-18", "WD": "S-1-1-0", "CO": "S-1-3-0", "RU": "S-1-5-32-554", "UD": "S-1-5-84-0-0-0-0-0",
		"AC": "S-1-15-2-1", "LW": "S-1-16-4096", "MP": "S-1-16-8448", "SI": "S-1-16-16384", "WR": "S-1-5-33", "DA": "S-1-5-21-1-2-3-512",
		"LA": "S-1-5-21-1-2-3-500", "RS": "S-1-5-21-1-2-3-553", "AS": "S-1-18-1", "RM": "S-1-5-32-580", "OW": "S-1-3-4",
	} {
		if s, err := ParseSIDAlias(alias, domain); err != nil || s.String() != want {
			t.Errorf("%s = %v, %v, want %s", alias, s, err, want)
		}
	}
	for _, bad := range []string{"", "B", "ba", "XX", "BAX"} {
		if s, err := ParseSIDAlias(bad, domain); !errors.Is(err, ErrBadSID) {
			t.Errorf("%q: %v, %v", bad, s, err)
		}
	}
	if n := TrustedInstaller.Name(); n != `NT SERVICE\TrustedInstaller` {
		t.Error(n)
	}
}

// The descriptors of docs/spec/layers.md, "Security descriptors", and of
// docs/spec/registry.md, "Security", written out.
var descriptorVectors = []struct {
	name, sddl, raw string
	got             func() []byte
}{
	{"builder file", "O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)", `
		01 00 0480 14000000 24000000 00000000 30000000
		0102 000000000005 20000000 20020000
		0101 000000000005 12000000
		02 00 4c00 0300 0000
		00 00 1800 ff011f00 0102 000000000005 20000000 20020000
		00 00 1400 ff011f00 0101 000000000005 12000000
		00 00 1800 a9001200 0102 000000000005 20000000 21020000`, BuilderFile},
	{"builder directory", "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)", `
		01 00 0480 14000000 24000000 00000000 30000000
		0102 000000000005 20000000 20020000
		0101 000000000005 12000000
		02 00 a800 0700 0000
		00 03 1800 ff011f00 0102 000000000005 20000000 20020000
		00 03 1400 ff011f00 0101 000000000005 12000000
		00 00 1800 ff011f00 0102 000000000005 20000000 20020000
		00 0b 1400 00000010 0101 000000000003 00000000
		00 03 1800 a9001200 0102 000000000005 20000000 21020000
		00 02 1800 04000000 0102 000000000005 20000000 21020000
		00 02 1800 02000000 0102 000000000005 20000000 21020000`, BuilderDirectory},
	{"registry default", "O:BAG:BAD:(A;CI;KA;;;SY)(A;CI;KA;;;BA)(A;CI;KR;;;WD)(A;CI;KR;;;RC)", `
		01 00 0480 70000000 80000000 00000000 14000000
		02 00 5c00 0400 0000
		00 02 1400 3f000f00 0101 000000000005 12000000
		00 02 1800 3f000f00 0102 000000000005 20000000 20020000
		00 02 1400 19000200 0101 000000000001 00000000
		00 02 1400 19000200 0101 000000000005 0c000000
		0102 000000000005 20000000 20020000
		0102 000000000005 20000000 20020000`, RegistryDefault},
	{"NULL DACL", "D:NO_ACCESS_CONTROL", `01 00 0480 00000000 00000000 00000000 00000000`, NullDACL},
}

func TestDescriptorVectors(t *testing.T) {
	lengths := map[string]int{"builder file": 124, "builder directory": 216, "registry default": 144, "NULL DACL": 20}
	for _, v := range descriptorVectors {
		raw := testenv.Hex(t, v.raw)
		if len(raw) != lengths[v.name] || !bytes.Equal(v.got(), raw) {
			t.Errorf("%s:\ngot  % x\nwant % x", v.name, v.got(), raw)
			continue
		}
		d, err := Parse(raw)
		if err != nil || d.SDDL() != v.sddl {
			t.Errorf("%s: %v, %v", v.name, d.SDDL(), err)
			continue
		}
		if b, err := d.Bytes(); err != nil || !bytes.Equal(b, raw) {
			t.Errorf("%s: written again % x, %v", v.name, b, err)
		}
		// Without the parsed bytes to fall back on, the layout alone must do.
		d.raw = nil
		if b, err := d.Bytes(); err != nil || !bytes.Equal(b, raw) {
			t.Errorf("%s: composed again % x, %v", v.name, b, err)
		}
		for n := range raw {
			if _, err := Parse(raw[:n]); err == nil {
				t.Errorf("%s cut to %d bytes parses", v.name, n)
			}
			if !slices.ContainsFunc(check(raw[:n]), fatal) {
				t.Errorf("%s cut to %d bytes: %v", v.name, n, check(raw[:n]))
			}
		}
		if v.name != "NULL DACL" && len(check(raw)) != 0 {
			t.Errorf("%s: %v", v.name, check(raw))
		}
	}
}

func TestDescriptorChange(t *testing.T) {
	raw := append(RegistryDefault(), 9, 9, 9, 9) // unused bytes at the end
	d, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := d.Bytes(); !bytes.Equal(b, raw) {
		t.Error("unused bytes are lost")
	}
	d.Group = &LocalSystem
	b, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	// The list stays in front, as it was.
	if b[sdDACLAt] != 0x14 || len(b) != 140 {
		t.Errorf("changed: % x", b)
	}
	if back, err := Parse(b); err != nil || !strings.HasPrefix(back.SDDL(), "O:BAG:SYD:(A;CI;KA") {
		t.Errorf("%v, %v", back.SDDL(), err)
	}
	d.Group = &BuiltinAdministrators
	if b, _ := d.Bytes(); !bytes.Equal(b, raw) {
		t.Error("changed back, it is not what it was")
	}
	d.DACL.ACEs[0].Mask = 1
	if b, _ := d.Bytes(); bytes.Equal(b, raw) {
		t.Error("a change inside a list is lost")
	}
}

func TestParseErrors(t *testing.T) {
	for name, c := range map[string]struct {
		raw string
		err error
	}{
		"short":             {`01000480`, ErrTruncated},
		"revision":          {`02 00 0480 00000000 00000000 00000000 00000000`, ErrRevision},
		"absolute":          {`01 00 0400 00000000 00000000 00000000 00000000`, ErrNotSelfRelative},
		"owner in header":   {`01 00 0080 04000000 00000000 00000000 00000000`, ErrTruncated},
		"owner outside":     {`01 00 0080 ffffffff 00000000 00000000 00000000`, ErrTruncated},
		"owner at end":      {`01 00 0080 14000000 00000000 00000000 00000000`, ErrTruncated},
		"owner revision":    {`01 00 0080 14000000 00000000 00000000 00000000 0201000000000005 12000000`, ErrRevision},
		"owner 16 subs":     {`01 00 0080 14000000 00000000 00000000 00000000 0110000000000005` + strings.Repeat("00", 64), ErrBadSID},
		"ACL revision":      {`01 00 0480 00000000 00000000 00000000 14000000 0100 0800 0000 0000`, ErrRevision},
		"ACL size small":    {`01 00 0480 00000000 00000000 00000000 14000000 0200 0700 0000 0000`, ErrBadACL},
		"ACL size large":    {`01 00 0480 00000000 00000000 00000000 14000000 0200 0900 0000 0000`, ErrTruncated},
		"ACL count":         {`01 00 0480 00000000 00000000 00000000 14000000 0200 0800 ffff 0000`, ErrBadACL},
		"ACE size 0":        {`01 00 0480 00000000 00000000 00000000 14000000 0200 0c00 0100 0000 00000000`, ErrBadACE},
		"ACE size large":    {`01 00 0480 00000000 00000000 00000000 14000000 0200 0c00 0100 0000 00000800`, ErrBadACE},
		"ACE without mask":  {`01 00 0480 00000000 00000000 00000000 14000000 0200 0c00 0100 0000 00000400`, ErrBadACE},
		"ACE SID outside":   {`01 00 0480 00000000 00000000 00000000 14000000 0200 1800 0100 0000 00001000 00000000 0101000000000005 00000000`, ErrBadACE},
		"object ACE":        {`01 00 0480 00000000 00000000 00000000 14000000 0400 1400 0100 0000 05000c00 00000000 03000000`, ErrBadACE},
		"second ACE absent": {`01 00 0480 00000000 00000000 00000000 14000000 0200 1c00 0200 0000 00001400 00000000 0101000000000005 00000000`, ErrBadACL},
	} {
		_, err := Parse(testenv.Hex(t, c.raw))
		var se *Error
		if !errors.Is(err, c.err) || !errors.As(err, &se) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
		if !slices.ContainsFunc(check(testenv.Hex(t, c.raw)), fatal) {
			t.Errorf("%s: check finds %v", name, check(testenv.Hex(t, c.raw)))
		}
	}
}

func fatal(f finding.Finding) bool { return f.Severity == finding.Error }

// TestEveryRule: each rule is broken by a descriptor, next to a neighbour without findings.
func TestEveryRule(t *testing.T) {
	const (
		header = `01 00 0480 14000000 14000000 00000000 20000000`
		system = `0101000000000005 12000000`
		acl    = `02 00 1C00 0100 0000 00 00 1400 FF011F00 0101000000000005 12000000`
	)
	raw := func(words ...string) []byte { return testenv.Hex(t, strings.Join(words, " ")) }
	text := func(sddl string, change func(d *Descriptor)) []byte {
		d, err := ParseSDDL(sddl)
		if err != nil {
			t.Fatalf("%s: %v", sddl, err)
		}
		if change != nil {
			change(d)
		}
		b, err := d.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	plain := func(sddl string) []byte { return text(sddl, nil) }
	whole := raw(header, system, acl)
	object := "O:BAG:BAD:(OA;;CC;00112233-4455-6677-8899-aabbccddeeff;;BA)"
	broken := map[string]bool{}
	for _, c := range []struct {
		rule      *finding.Rule
		bad, good []byte
	}{
		{ruleSdTruncated, whole[:19], whole},
		{ruleSdRevision, raw(`02 00 0480 14000000 14000000 00000000 20000000`, system, acl), whole},
		{ruleSdNotSelfRelative, raw(`01 00 0400 14000000 14000000 00000000 20000000`, system, acl), whole},
		{ruleSdOffset, raw(`01 00 0480 14000000 14000000 00000000 3C000000`, system, acl), whole},
		{ruleSdUnaligned, raw(`01 00 0480 15000000 15000000 00000000 24000000 00`, system, `000000`, acl), raw(`01 00 0480 14000000 14000000 00000000 20000000`, system, acl)},
		{ruleSid, raw(header, `0201000000000005 12000000`, acl), whole},
		{ruleAcl, raw(header, system, `09 00 1C00 0100 0000 00 00 1400 FF011F00 0101000000000005 12000000`), whole},
		{ruleAce, raw(header, system, `02 00 1C00 0100 0000 00 00 1400 FF011F00 0102000000000005 12000000`), whole},
		{ruleSdOverlap, raw(`01 00 0480 14000000 18000000 00000000 24000000`, `0101000001010000 00000005 12000000`, acl), whole},
		{ruleSdGap, raw(`01 00 0480 14000000 14000000 00000000 24000000`, system, `00000000`, acl), whole},
		{ruleSdUnusedOffset, raw(`01 00 0480 14000000 14000000 20000000 20000000`, system, acl), raw(`01 00 1480 14000000 14000000 00000000 20000000`, system, acl)},
		{ruleSdNoOwner, raw(`01 00 0480 00000000 14000000 00000000 20000000`, system, acl), whole},
		{ruleSdNoGroup, raw(`01 00 0480 14000000 00000000 00000000 20000000`, system, acl), whole},
		{ruleSdNoDacl, raw(`01 00 0080 14000000 14000000 00000000 00000000`, system), whole},
		{ruleSdNullDacl, raw(`01 00 0480 14000000 14000000 00000000 00000000`, system), whole},
		{ruleAclOrder, plain("O:BAG:BAD:(A;;FA;;;BA)(D;;FA;;;BU)"), plain("O:BAG:BAD:(D;;FA;;;BU)(A;;FA;;;BA)")},
		{ruleAclOrder, plain("O:BAG:BAD:(A;ID;FA;;;BA)(A;;FA;;;BA)"), plain("O:BAG:BAD:(A;;FA;;;BA)(A;ID;FA;;;BA)")},
		{ruleAclRevision, text(object, func(d *Descriptor) { d.DACL.Revision = 2 }), plain(object)},
		{ruleAclSlack, text(object, func(d *Descriptor) { d.DACL.Slack = make([]byte, 8) }), plain(object)},
		{ruleAceWrongList, plain("O:BAG:BAD:(AU;SA;FA;;;BA)"), plain("O:BAG:BAD:S:(AU;SA;FA;;;BA)")},
		{ruleAceUnknownType, plain("O:BAG:BAD:(0x80;;#00112233)"), plain("O:BAG:BAD:(A;;FA;;;BA)")},
		{ruleAceUnaligned, plain("O:BAG:BAD:(XA;;FA;;;BA;#0011)"), plain("O:BAG:BAD:(XA;;FA;;;BA;#00112233)")},
		{ruleAceTrailingData, plain("O:BAG:BAD:(A;;FA;;;BA;#00000000)"), plain("O:BAG:BAD:(XA;;FA;;;BA;#00000000)")},
		{ruleAceCondition, plain("O:BAG:BAD:(XA;;FA;;;BA;#61727478ff000000)"), plain("O:BAG:BAD:(XA;;FA;;;BA;(@User.x == 1))")},
		{ruleAceClaim, plain("O:BAG:BAD:S:(RA;;;;;WD;#00000000)"), plain(`O:BAG:BAD:S:(RA;;;;;WD;("n",TI,0x0,-5,7))`)},
	} {
		if got := check(c.bad); !slices.ContainsFunc(got, func(f finding.Finding) bool { return f.Rule == c.rule.ID && f.Severity == c.rule.Severity }) {
			t.Errorf("%v is not found, but %v", c.rule, got)
		}
		if got := check(c.good); len(got) > 0 {
			t.Errorf("the neighbour of %v has %v", c.rule, got)
		}
		broken[c.rule.ID] = true
	}
	for _, r := range Rules() {
		if !broken[r.ID] {
			t.Errorf("nothing breaks %s", r.ID)
		}
	}
}

func TestCheckRules(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		want []string
	}{
		"NULL DACL":    {`01 00 0480 00000000 00000000 00000000 00000000`, []string{"sd-no-owner", "sd-no-group", "sd-null-dacl"}},
		"nothing":      {`01 00 0080 00000000 00000000 00000000 00000000`, []string{"sd-no-dacl", "sd-no-owner", "sd-no-group"}},
		"unused":       {`01 00 0080 14000000 14000000 00000000 14000000 0101000000000005 12000000`, []string{"sd-no-dacl", "sd-unused-offset"}},
		"gap and tail": {`01 00 0480 18000000 18000000 00000000 00000000 00000000 0101000000000005 12000000 00000000`, []string{"sd-null-dacl", "sd-gap", "sd-gap"}},
		"overlap":      {`01 00 0480 14000000 18000000 00000000 00000000 0101000001010000 00000005 12000000`, []string{"sd-null-dacl", "sd-overlap"}},
		"unaligned":    {`01 00 0480 15000000 15000000 00000000 00000000 00 0101000000000005 12000000`, []string{"sd-unaligned", "sd-unaligned", "sd-null-dacl"}},
	} {
		var got []string
		for _, p := range check(testenv.Hex(t, c.raw)) {
			got = append(got, p.Rule)
			if p.Message == "" || p.String() == "" {
				t.Errorf("%s: %v says nothing", name, p)
			}
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v", name, check(testenv.Hex(t, c.raw)))
		}
	}
	for sddl, want := range map[string]string{
		"O:BAG:BAD:(A;ID;FA;;;BA)(A;;FA;;;BA)":      "acl-order",
		"O:BAG:BAD:(A;;FA;;;BA)(D;;FA;;;BU)":        "acl-order",
		"O:BAG:BAD:(AU;SA;FA;;;BA)":                 "ace-wrong-list",
		"O:BAG:BAD:S:(A;;FA;;;BA)":                  "ace-wrong-list",
		"O:BAG:BAD:(0x80;;#00112233)":               "ace-unknown-type",
		"O:BAG:BAD:(0x80;;#0011)":                   "ace-unaligned",
		"O:BAG:BAD:(A;;FA;;;BA;#00000000)":          "ace-trailing-data",
		"O:BAG:BAD:(XA;;FA;;;BA;#61727478ff000000)": "ace-condition",
		"O:BAG:BAD:S:(RA;;;;;WD;#00000000)":         "ace-claim",
	} {
		d, err := ParseSDDL(sddl)
		if err != nil {
			t.Errorf("%s: %v", sddl, err)
			continue
		}
		b, _ := d.Bytes()
		if got := check(b); !slices.ContainsFunc(got, func(p finding.Finding) bool { return p.Rule == want }) {
			t.Errorf("%s: %v, want %s", sddl, got, want)
		}
	}
	d, _ := ParseSDDL("O:BAG:BAD:(OA;;CC;00112233-4455-6677-8899-aabbccddeeff;;BA)")
	d.DACL.Revision = 2
	d.DACL.Slack = make([]byte, 8)
	b, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	got := check(b)
	for _, want := range []string{"acl-revision", "acl-slack"} {
		if !slices.ContainsFunc(got, func(p finding.Finding) bool { return p.Rule == want }) {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

// Texts that come back as they are.
var sddlVectors = []string{
	"", "O:BA", "G:SY", "D:", "S:", "O:BAG:SYD:S:",
	"D:P", "D:PAI(A;;FA;;;SY)", "D:AI(A;ID;FA;;;BA)", "D:PARAI", "S:ARAI(SP;ID;;;;S-1-17-1442530252-1178042555-1247349694-2318402534)",
	"D:NO_ACCESS_CONTROL", "D:PNO_ACCESS_CONTROL", "S:NO_ACCESS_CONTROL",
	"O:S-1-0x000100000000D:", "O:S-1-5-21-1-2-3-1001G:S-1-5-21-1-2-3-513",
	"D:(A;;;;;WD)", "D:(D;OICINPIOID;0x123456;;;WD)", "D:(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)", "D:(A;OICIIOID;SDGXGWGR;;;AU)",
	"D:(A;;GA;;;SY)(A;;GX;;;SY)(A;;GW;;;SY)(A;;GR;;;SY)(A;;FR;;;SY)(A;;FW;;;SY)(A;;FX;;;SY)(A;;KA;;;SY)(A;;KR;;;SY)(A;;KW;;;SY)",
	"D:(OA;CI;CCDC;4828cc14-1437-45bc-9b07-ad6f015e5f28;;AO)(OD;;RP;;bf967aba-0de6-11d0-a285-00aa003049e2;WD)",
	"D:(OA;;WP;4828cc14-1437-45bc-9b07-ad6f015e5f28;bf967aba-0de6-11d0-a285-00aa003049e2;PS)(OA;;WP;;;PS)",
	"S:(AU;SAFA;FA;;;WD)(OU;SA;WPWD;f30e3bbe-9ff0-11d1-b603-0000f80367c1;;WD)(AL;;CC;;;WD)(OL;;CC;;;WD)",
	"S:(ML;;NW;;;LW)", "S:(ML;OICI;NWNRNX;;;SI)", "S:(ML;;0x8;;;ME)", "S:(TL;;0x100000;;;S-1-19-512-1024)",
	`D:(XA;;FX;;;WD;(@User.Title == "PM" && (@User.Division == "Finance" || @User.Division == "Sales")))`,
	"D:(XD;;FX;;;WD;(!(Member_of {SID(BA), SID(S-1-5-21-1-2-3-4)})))",
	"D:(XA;;FR;;;WD;(a == 1 || b != -2 && c < +3 || d <= 0x1f && e > 017))",
	"D:(XA;;FR;;;WD;((a || b) && (c || d) && !(e)))",
	"D:(XA;;FR;;;WD;(a || (b || c) || d && (e && f)))",
	"D:(XA;;FR;;;WD;(Exists @Resource.x && Not_Exists y && @Device.z Any_of {1, \"two\", #0a0b}))",
	"D:(XA;;FR;;;WD;(@User.a%0020b Contains @Resource.c && x%0025 Not_Contains {} && y Not_Any_of 1))",
	"D:(XA;;FR;;;WD;(Device_Member_of SID(BU) || Member_of_Any {SID(BA)} || Device_Member_of_Any {SID(BA)}))",
	"D:(XA;;FR;;;WD;(Not_Member_of {SID(BA)} && Not_Device_Member_of {SID(BA)} && Not_Member_of_Any {SID(BA)} && Not_Device_Member_of_Any {SID(BA)}))",
	"D:(XA;;FR;;;WD;(a == -9223372036854775808 && b == 9223372036854775807))",
	`D:(ZA;;CR;00112233-4455-6677-8899-aabbccddeeff;;WD;(@User.x == "y"))`,
	`S:(XU;SA;FA;;;WD;(@User.x >= 5))`, `S:(FL;CRTP;FA;;;WD;(Member_of {SID(BA)}))`,
	`S:(RA;;;;;WD;("Project",TS,0x0,"Windows","SQL"))(RA;CI;;;;WD;("Secrecy",TU,0x2,3,18446744073709551615))`,
	`S:(RA;;;;;WD;("n",TI,0x0,-5,7))(RA;;;;;WD;("s",TD,0x0,BA,S-1-5-21-1))(RA;;;;;WD;("b",TB,0x10000,0,1))(RA;;;;;WD;("o",TX,0x0,#0102,#))`,
	`S:(RA;;;;;WD;("none",TS,0x0))`,
	"D:(0xc;;CC;;;WD)(0xf;SA;CC;00112233-4455-6677-8899-aabbccddeeff;;WD)",
	"D:(0x80;OI;#0102030405)(0x4;;#)(A;;FA;;;WD;#68656c6c)",
	"D:(XA;;FA;;;WD;#deadbeef)", "D:(XA;;FA;;;WD)",
}

func TestSDDLRoundTrip(t *testing.T) {
	for _, text := range sddlVectors {
		d, err := ParseSDDL(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := d.SDDL(); got != text {
			t.Errorf("wrote %s\nfor   %s", got, text)
		}
		b, err := d.Bytes()
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		back, err := Parse(b)
		if err != nil || back.SDDL() != text {
			t.Errorf("%s: through bytes %v, %v", text, back.SDDL(), err)
			continue
		}
		back.raw = nil
		if again, err := back.Bytes(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s: bytes differ, %v", text, err)
		}
	}
}

func TestSDDLForms(t *testing.T) {
	domain, machine := MakeSID(5, 21, 7, 8, 9), MakeSID(5, 21, 4, 5, 6)
	for text, want := range map[string]string{
		" O:BA G:SY D: ( A ; ; FA ; ; ; WD ) S: ":            "O:BAG:SYD:(A;;FA;;;WD)S:",
		"D:(A;;2032127;;;WD)(A;;017;;;WD)(A;;0X1F01FF;;;WD)": "D:(A;;FA;;;WD)(A;;CCDCLCSW;;;WD)(A;;FA;;;WD)",
		"D:(A;;GAGA;;;S-1-1-0)":                              "D:(A;;GA;;;WD)",
		"D:(A;;KX;;;WD)":                                     "D:(A;;KR;;;WD)",
		"D:(A;;FRFW;;;WD)":                                   "D:(A;;0x12019f;;;WD)",
		"D:AIP":                                              "D:PAI",
		"S:D:":                                               "D:S:",
		"O:DAG:DUD:(A;;FA;;;LA)":                             "O:DAG:DUD:(A;;FA;;;S-1-5-21-4-5-6-500)",
		"D:(XA;;FX;;;WD;(member_of{SID(BA),SID(S-1-5-18)}))": "D:(XA;;FX;;;WD;(Member_of {SID(BA), SID(SY)}))",
		"D:(XA;;FX;;;WD;( @USER.x==1&&!a ))":                 "D:(XA;;FX;;;WD;(@User.x == 1 && !(a)))",
		"D:(XA;;FX;;;WD;((((a)))))":                          "D:(XA;;FX;;;WD;(a))",
		`S:(RA;;;;;WD;( "x" , TX , 0 , 0aFF ))`:              `S:(RA;;;;;WD;("x",TX,0x0,#0aff))`,
		"D:(XA;;FX;;;WD;(\u00fc == 1))":                      "D:(XA;;FX;;;WD;(%00fc == 1))",
	} {
		d, err := ParseSDDL(text, WithDomain(domain), WithMachine(machine))
		if err != nil || d.SDDLWithDomain(domain) != want {
			t.Errorf("%s\nread as %s\nwant    %s, %v", text, d.SDDLWithDomain(domain), want, err)
		}
	}
	if _, err := ParseSDDL("O:DA"); !errors.Is(err, ErrNeedDomain) {
		t.Error(err)
	}
	if d, err := ParseSDDL("O:LA", WithDomain(domain)); err != nil || d.Owner.String() != "S-1-5-21-7-8-9-500" {
		t.Error(d, err)
	}
}

func TestSDDLErrors(t *testing.T) {
	for _, text := range []string{
		"X", "O", "O:", "O:XX", "O:B", "O:S-1-", "BA", "O:BAO:BA", "D:D:", "D:X", "D:(", "D:()", "D:(A)", "D:(A;;;;;)", "D:(A;;FA;;;WD",
		"D:(Q;;FA;;;WD)", "D:(A;XX;FA;;;WD)", "D:(A;O;FA;;;WD)", "D:(A;;ZZ;;;WD)", "D:(A;;0x;;;WD)", "D:(A;;0x100000000;;;WD)", "D:(A;;-1;;;WD)",
		"D:(A;;FA;x;;WD)", "D:(A;;FA;4828cc14-1437-45bc-9b07-ad6f015e5f28;;WD)", "D:(A;;FA;;;WD;)", "D:(A;;FA;;;WD;(a))", "D:(A;;FA;;;WD;#0)",
		"D:NO_ACCESS_CONTROL(A;;FA;;;WD)", "D:(0x80;;FA;;;WD)", "D:(0x100;;FA;;;WD)", "D:(A;;FA;;;WDX)",
		"D:(XA;;FA;;;WD;())", "D:(XA;;FA;;;WD;(a ==))", "D:(XA;;FA;;;WD;(a b))", "D:(XA;;FA;;;WD;(&& a))", "D:(XA;;FA;;;WD;(a &&))",
		`D:(XA;;FA;;;WD;(a == "x))`, "D:(XA;;FA;;;WD;(a == {1 2}))", "D:(XA;;FA;;;WD;(a == {b}))", "D:(XA;;FA;;;WD;(a == #0))",
		"D:(XA;;FA;;;WD;(a == 9223372036854775808))", "D:(XA;;FA;;;WD;(a == 1x))", "D:(XA;;FA;;;WD;(a == %12))", "D:(XA;;FA;;;WD;(Exists))",
		"D:(XA;;FA;;;WD;" + strings.Repeat("(", 100000) + "a", "D:(XA;;FA;;;WD;(" + strings.Repeat("!", 100000) + "a))",
		"D:(XA;;FA;;;WD;(a" + strings.Repeat("||a", 2000) + "))",
		`S:(RA;;;;;WD;("x"))`, `S:(RA;;;;;WD;("x",ZZ,0,1))`, `S:(RA;;;;;WD;("x",TB,0,2))`, `S:(RA;;;;;WD;("x",TI,0,"a"))`, `S:(RA;;;;;WD;("x",TS,0,1))`,
		"D:" + strings.Repeat("(A;;FA;;;WD)", 4000), strings.Repeat(" ", maxSDDL+1),
	} {
		d, err := ParseSDDL(text)
		var se *SDDLError
		if !errors.Is(err, ErrSDDL) || !errors.As(err, &se) || se.Offset > len(text) || len(err.Error()) > 500 {
			t.Errorf("%.60s: %v, %v", text, d, err)
		}
	}
}

// Conditions that MS-DTYP writes out in bytes, section 2.4.4.17.
func TestConditionVector(t *testing.T) {
	raw := testenv.Hex(t, `61727478 f80a000000 5400690074006c006500 1004000000 50004d00 80
		f912000000 63006c0065006100720061006e0063006500`+`
		04 0500000000000000 03 02 85 a0`)
	for len(raw)%4 != 0 {
		raw = append(raw, 0)
	}
	c, err := DecodeCondition(raw)
	const text = `(Title == "PM" && @User.clearance >= 5)`
	if err != nil || c.String() != text || !bytes.Equal(c.Bytes(), raw) {
		t.Fatalf("%v, %v", c, err)
	}
	parsed, err := ParseCondition(text)
	if err != nil || !bytes.Equal(parsed.Bytes(), raw) {
		t.Fatalf("%v", err)
	}
	for n := 0; n < len(raw)-3; n++ {
		_, err := DecodeCondition(raw[:n])
		if whole := n == 19 || n == 29; whole { // after Title, and after == "PM"
			if err != nil {
				t.Errorf("cut to %d bytes, a whole expression: %v", n, err)
			}
		} else if !errors.Is(err, ErrBadCondition) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	for _, bad := range []string{
		"61727478", "61727478 80", "61727478 ff", "61727478 00000000", "61727478 00 f802000000 6100", "61727478 f800000000",
		"61727478 f803000000 610062", "61727478 10ffffffff", "61727478 5105000000 0101000000", "61727478 5007000000 f8020000006100",
		"61727478 04 0000000000000000 00 02", "61727478 04 0000000000000000 03 04", "61727478 f8020000006100 f8020000006100",
	} {
		if c, err := DecodeCondition(testenv.Hex(t, bad)); !errors.Is(err, ErrBadCondition) {
			t.Errorf("%s: %v, %v", bad, c, err)
		}
	}
	deep := append(testenv.Hex(t, "61727478 f8020000006100"), bytes.Repeat([]byte{tokNot}, 65000)...)
	if _, err := DecodeCondition(deep); !errors.Is(err, ErrBadCondition) {
		t.Errorf("65,000 negations: %v", err)
	}
	// Data that text cannot express is kept as digits.
	for _, data := range []string{
		"61727478 f80c000000 450078006900730074007300 000000",
		"61727478 1002000000 2200 00", "61727478 f80a000000 4d0065006d0062006500 a2",
	} {
		raw := testenv.Hex(t, data)
		a := ACE{Type: ACEAllowedCallback, SID: Everyone, Data: raw}
		d, err := ParseSDDL("D:" + a.SDDL())
		if err != nil {
			t.Errorf("%s: %v", a.SDDL(), err)
			continue
		}
		want, _ := DecodeCondition(raw)
		got, err := DecodeCondition(d.DACL.ACEs[0].Data)
		if err != nil || !sameTerm(got.root, want.root) {
			t.Errorf("%s: another condition, %v", a.SDDL(), err)
		}
	}
}

func TestClaims(t *testing.T) {
	overlap := testenv.Hex(t, "30000000 0300 0000 00000000 04000000 30000000 30000000 30000000 30000000 00000000 00000000 00000000 00000000"+
		strings.Repeat("6100", 20)+"0000")
	if c, err := DecodeClaim(overlap); !errors.Is(err, ErrBadClaim) {
		t.Errorf("overlapping values: %v, %v", c, err)
	}
	c := &Claim{Name: "n", Type: ClaimString, Values: []ClaimValue{{Text: "a"}, {Text: "bc"}}}
	b, err := c.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for n := range b[:len(b)-3] {
		if _, err := DecodeClaim(b[:n]); !errors.Is(err, ErrBadClaim) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	for _, bad := range []*Claim{{Name: "a\x00"}, {Name: "n", Type: 4}, {Name: "a\x00", Type: ClaimInt64},
		{Name: "n", Type: ClaimSID, Values: []ClaimValue{{}}}, {Name: "n", Type: ClaimOctets, Values: []ClaimValue{{Text: strings.Repeat("x", 70000)}}}} {
		if _, err := bad.Bytes(); err == nil {
			t.Errorf("%+v was encoded", bad)
		}
	}
	// A quote cannot be said in text.
	c.Values[0].Text = `a"b`
	b, _ = c.Bytes()
	a := ACE{Type: ACEResourceAttribute, SID: Everyone, Data: b}
	if d, err := ParseSDDL("S:" + a.SDDL()); err != nil || !bytes.Equal(d.SACL.ACEs[0].Data, b) {
		t.Errorf("%s: %v", a.SDDL(), err)
	}
}

func TestGrant(t *testing.T) {
	for _, c := range []struct {
		before, after string
		dir           bool
	}{
		{"D:(A;;FA;;;BA)", "D:(A;;FA;;;BA)(A;;FR;;;S-1-5-83-0)", false},
		{"D:(A;;FA;;;BA)(A;ID;FA;;;SY)", "D:(A;;FA;;;BA)(A;OICI;FR;;;S-1-5-83-0)(A;ID;FA;;;SY)", true},
		{"D:(A;;GX;;;S-1-5-83-0)", "D:(A;;0x1200a9;;;S-1-5-83-0)", false},
		{"D:(A;;GR;;;S-1-5-83-0)", "D:(A;;FR;;;S-1-5-83-0)", false},
		{"D:(A;;GA;;;BA)(A;OICIIO;GA;;;CO)", "D:(A;;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;FR;;;S-1-5-83-0)", true},
		{"D:S:(AU;SA;GA;;;WD)", "D:(A;;FR;;;S-1-5-83-0)S:(AU;SA;GA;;;WD)", false},
		{"D:", "D:(A;;FR;;;S-1-5-83-0)", false},
		{"D:NO_ACCESS_CONTROL", "D:NO_ACCESS_CONTROL", true},
		{"O:BA", "O:BA", true},
	} {
		d, err := ParseSDDL(c.before)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := d.Bytes()
		got, err := GrantVMGroup(raw, c.dir)
		if err != nil {
			t.Fatal(err)
		}
		if d, err = Parse(got); err != nil || d.SDDL() != c.after {
			t.Errorf("%s: %s, %v", c.before, d.SDDL(), err)
		}
		if again, _ := GrantVMGroup(got, c.dir); !bytes.Equal(again, got) {
			t.Errorf("%s: granting again changes it", c.before)
		}
	}
	if _, err := GrantVMGroup(nil, false); !errors.Is(err, ErrTruncated) {
		t.Error(err)
	}
}

func TestLimits(t *testing.T) {
	d := &Descriptor{DACL: &ACL{ACEs: []ACE{{Type: 0x80, Data: make([]byte, 65527)}}}}
	if b, err := d.Bytes(); err == nil || !errors.Is(err, ErrTooLarge) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	d.DACL.ACEs[0].Data = make([]byte, 65535-8-4)
	if b, err := d.Bytes(); err != nil {
		t.Errorf("%d bytes, %v", len(b), err)
	} else if back, err := Parse(b); err != nil || len(back.DACL.ACEs) != 1 {
		t.Error(err)
	}
	if _, err := (&Descriptor{Owner: &SID{}}).Bytes(); !errors.Is(err, ErrBadSID) {
		t.Error(err)
	}
	if _, err := (&Descriptor{DACL: &ACL{ACEs: []ACE{{}}}}).Bytes(); !errors.Is(err, ErrBadACE) {
		t.Error(err)
	}
	g := winfs.GUID{1}
	o := ACE{Type: ACEAllowedObject, SID: Everyone, ObjectType: &g, ObjectFlags: 0x10}
	d = &Descriptor{DACL: &ACL{ACEs: []ACE{o}}}
	b, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse(b)
	if err != nil || back.DACL.Revision != 4 || !reflect.DeepEqual(back.DACL.ACEs[0], o) {
		t.Errorf("%+v, %v", back.DACL, err)
	}
}
