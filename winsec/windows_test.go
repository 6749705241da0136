package winsec

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

// Descriptors that Windows made of SDDL, as Samba's tests record them (tests/windows
// and tests/data of its libcli/security): lists first, then owner and group; claims
// packed without gaps.
func TestWindowsBytes(t *testing.T) {
	const colours = "02004800 01000000 09004000 1f000000 0102 000000000005 20000000 43020000 61727478" +
		"fb0c000000 63006f006c006f0075007200 fa0c000000 63006f006c006f0075007200"
	for text, raw := range map[string]string{
		"O:BAG:SYD:(A;;KR;;;WD)(A;;KA;;;BA)(A;;KA;;;SY)": `0100 0480 5c000000 6c000000 00000000 14000000
			02004800 03000000 00001400 19000200 0101 000000000001 00000000 00001800 3f000f00 0102 000000000005 20000000 20020000
			00001400 3f000f00 0101 000000000005 12000000 0102 000000000005 20000000 20020000 0101 000000000005 12000000`,
		`D:(XA;;0x1f;;;AA;(@Device.colour == @Resource.colour))S:(RA;;;;;WD;("colour",TS,0,"blue"))`: `
			0100 1480 00000000 00000000 14000000 5c000000
			02004800 01000000 12004000 00000000 0101 000000000001 00000000
			14000000 0300 0000 00000000 01000000 22000000 63006f006c006f00750072000000 62006c00750065000000` + colours + "8000",
		`D:(XA;;0x1f;;;AA;(@Device.colour Contains @Resource.colour))S:(RA;;;;;WD;("colour",TS,0,"blue", "red"))`: `
			0100 1480 00000000 00000000 14000000 68000000
			02005400 01000000 12004c00 00000000 0101 000000000001 00000000
			18000000 0300 0000 00000000 02000000 26000000 30000000 63006f006c006f00750072000000 62006c00750065000000 7200650064000000` +
			colours + "8600",
		"D:(XA;;0x1f;;;AA;(!(! (Member_of{SID(AA)}))))": `0100 0480 00000000 00000000 00000000 14000000
			02004400 01000000 09003c00 1f000000 0102 000000000005 20000000 43020000 61727478
			5015000000 5110000000 0102 000000000005 20000000 43020000 89a2a2 000000`,
		"D:(XA;;;;;WD;(@Device.bb == 0x7fffffffffffffff))": `0100 0480 00000000 00000000 00000000 14000000
			02003800 01000000 09003000 00000000 0101 000000000001 00000000 61727478 fb04000000 62006200 04ffffffffffffff7f 0303 80 000000`,
	} {
		d, err := ParseSDDL(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		want := testenv.Hex(t, raw)
		got, err := d.Bytes()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s:\ngot  % x, %v\nwant % x", text, got, err, want)
		}
		back, err := Parse(want)
		if err != nil {
			t.Fatal(err)
		}
		if back.SDDL() != d.SDDL() {
			t.Errorf("%s: read as %s", text, back.SDDL())
		}
		// Built anew from the parts, claims included.
		for i := range back.DACL.ACEs {
			if a := &back.DACL.ACEs[i]; a.Type == ACEAllowedCallback {
				c, err := DecodeCondition(a.Data)
				if err != nil || !bytes.Equal(c.Bytes(), a.Data) {
					t.Errorf("%s: condition % x, %v", text, a.Data, err)
				}
			}
		}
		if back.SACL != nil {
			c, err := DecodeClaim(back.SACL.ACEs[0].Data)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := c.Bytes(); err != nil || !bytes.Equal(b, back.SACL.ACEs[0].Data) {
				t.Errorf("%s: claim % x, %v", text, b, err)
			}
		}
	}
}

// SDDL that Windows accepts, by the same records: lower case in types, rights, SIDs and
// words, spaces, hexadecimal subauthorities, parentheses around operands.
func TestWindowsSDDL(t *testing.T) {
	domain := MakeSID(5, 21, 7, 8, 9)
	for text, want := range map[string]string{
		"D:(a;;GA;;;LG)":                                     "D:(A;;GA;;;LG)",
		"D:(A;;GA;;;lg)":                                     "D:(A;;GA;;;LG)",
		"D:(A;;ga;;;LG)":                                     "D:(A;;GA;;;LG)",
		"D:(a;oici;frFw;;;wd)":                               "D:(A;OICI;0x12019f;;;WD)",
		"D: AI(A;;GA;;;LG)":                                  "D:AI(A;;GA;;;LG)",
		"D:P (A;;GA;;;LG)":                                   "D:P(A;;GA;;;LG)",
		"D:P(A;;GA;;;LG) (A;;GX;;;AA)":                       "D:P(A;;GA;;;LG)(A;;GX;;;AA)",
		"D:(A; ;GA;;;LG)":                                    "D:(A;;GA;;;LG)",
		"D:(A;;GA;; ;S-1-3-4)":                               "D:(A;;GA;;;OW)",
		"D:(A;;GA;;; S-1-333-4)":                             "D:(A;;GA;;;S-1-333-4)",
		"  O:AA G:WD  ":                                      "O:AAG:WD",
		"O:s-1-5-32-0x220":                                   "O:BA",
		"O:S-1-5-0x20-544G:S-1-5-0X12D:":                     "O:BAG:SYD:",
		"O:S-1-5-0x12D:P":                                    "O:SYD:P",
		"O:S-1-0x000000000005-0x12S:D:":                      "O:SYD:S:",
		"O:S-1-0x5-0x12G:s-1-0xfb-0xabcdd":                   "O:SYG:S-1-251-703709",
		"O:S-1-1-0D:(xd;;;;;WD;(Member_Of SID(S-1-1-0)))":    "O:WDD:(XD;;;;;WD;(Member_of SID(WD)))",
		"O:s-1-1-0D:(xa;;;;;wd;(member_of sid(s-1-1-0)))":    "O:WDD:(XA;;;;;WD;(Member_of SID(WD)))",
		"O:s-1-1-0D:(xa;;;;;wd;(member_of(sid(s-1-1-0))))":   "O:WDD:(XA;;;;;WD;(Member_of SID(WD)))",
		"O:s-1-1-0D:(xa;;;;;wd;(member_of((sid(s-1-1-0)))))": "O:WDD:(XA;;;;;WD;(Member_of SID(WD)))",
		"D:(XA;;;;;WD;(Member_of( {SID(BA), sid( bo )} ) && !Member_of(SID(SY))))": "D:(XA;;;;;WD;(Member_of {SID(BA), SID(BO)} && !(Member_of SID(SY))))",
		"D:(XA;;;;;WD;(@Device.bb == 0xffffffffffffffff))":                         "D:(XA;;;;;WD;(@Device.bb == 0xffffffffffffffff))",
		"D:(XA;;;;;WD;(@Device.bb == -0x1))":                                       "D:(XA;;;;;WD;(@Device.bb == -0x1))",
		`S:(ra;;;;;wd;("x",ti,0,1))`:                                               `S:(RA;;;;;WD;("x",TI,0x0,1))`,
		`S:(RA;;;;;WD;("x",td,0,sid( ba ),BA))`:                                    `S:(RA;;;;;WD;("x",TD,0x0,BA,BA))`,
		"S:(ml;;nwNX;;;hi)":                                                        "S:(ML;;NWNX;;;HI)",
	} {
		d, err := ParseSDDL(text, WithDomain(domain))
		if err != nil || d.SDDLWithDomain(domain) != want {
			t.Errorf("%s\nread as %s\nwant    %s, %v", text, d.SDDLWithDomain(domain), want, err)
		}
	}
	for _, text := range []string{ // refused by Windows as well
		"d:(A;;GA;;;LG)", "o:BA", "D:((A;;GA;;;LG))", "D :S:", "D:(A;;GA;;)", "D:P:S:", "D:(A;;0x 75bcd15;;;LG)",
		"O:S-1-0x1313131313131-513", "O:S-1-", "O:S-1-5-0x", "O:S-1-5-0x123456789", "O:S-1-5-4294967296",
		"D:(XA;;;;;WD;(Member_of_AnySID(S-1-1-0)))", "D:(XA;;;;;WD;(@Device.bb == 0x10000000000000000))",
		"D:(XA;;;;;WD;(Member_of(SID(WD)))", "D:(XA;;;;;WD;(Member_of(SID(WD) SID(WD))))", "D:(XA;;;;;WD;(Member_of SID(ernie)))",
		"D:(XA;;;;;WD;(Member_of" + strings.Repeat("(", 100000) + "SID(WD)" + strings.Repeat(")", 100000) + "))",
	} {
		if d, err := ParseSDDL(text, WithDomain(domain)); !errors.Is(err, ErrSDDL) {
			t.Errorf("%.60s: %v, %v", text, d, err)
		}
	}
}

// An alias that cannot be resolved is named, with the kind of SID that it needs.
func TestAliasError(t *testing.T) {
	machine, domain := MakeSID(5, 21, 4, 5, 6), MakeSID(5, 21, 7, 8, 9)
	for text, want := range map[string]AliasError{
		"O:LAD:(A;;FA;;;BA)": {"LA", true}, "O:BAG:DU": {"DU", false}, "D:(A;;FA;;;lg)": {"LG", true}, "D:(A;;FA;;;DA)(A;;FA;;;LA)": {"DA", false},
		`S:(RA;;;;;WD;("x",TD,0,SID(EA)))`: {"EA", false}, "D:(XA;;FX;;;WD;(Member_of {SID(LA)}))": {"LA", true},
	} {
		_, err := ParseSDDL(text)
		var e *AliasError
		if !errors.As(err, &e) || *e != want || !errors.Is(err, ErrNeedDomain) || !errors.Is(err, ErrSDDL) || !strings.Contains(err.Error(), want.Alias) {
			t.Errorf("%s: %v", text, err)
		}
		// The error disappears when the requested domain or machine is supplied.
		opt := WithDomain(domain)
		if want.Machine {
			opt = WithMachine(machine)
		}
		if _, again := ParseSDDL(text, opt); again != nil && !(errors.As(again, &e) && e.Alias != want.Alias) {
			t.Errorf("%s: %v", text, again)
		}
	}
	if _, err := ParseSDDL("O:XX"); errors.Is(err, ErrNeedDomain) {
		t.Error("an unknown alias is not one that needs a domain")
	}
}

func TestMapGeneric(t *testing.T) {
	for _, c := range []struct {
		rights       ObjectRights
		before, want string
	}{
		{FileRights, "D:(A;;GR;;;WD)(A;;GW;;;WD)(A;;GX;;;WD)(A;;GA;;;WD)", "D:(A;;FR;;;WD)(A;;FW;;;WD)(A;;FX;;;WD)(A;;FA;;;WD)"},
		{FileRights, "D:(A;OICI;GRGX;;;WD)(D;OICIIO;GA;;;CO)(A;;0x10000;;;WD)", "D:(A;OICI;0x1200a9;;;WD)(D;OICIIO;GA;;;CO)(A;;SD;;;WD)"},
		{FileRights, "D:S:(AU;SAFA;GW;;;WD)(ML;;NW;;;HI)", "D:S:(AU;SAFA;FW;;;WD)(ML;;NW;;;HI)"},
		{FileRights, "O:BAD:NO_ACCESS_CONTROL", "O:BAD:NO_ACCESS_CONTROL"},
		{KeyRights, "D:(A;CI;GR;;;WD)(A;;GA;;;WD)", "D:(A;CI;KR;;;WD)(A;;KA;;;WD)"},
	} {
		d, err := ParseSDDL(c.before)
		if err != nil {
			t.Fatal(err)
		}
		d.MapGeneric(c.rights)
		if d.SDDL() != c.want {
			t.Errorf("%s: %s, want %s", c.before, d.SDDL(), c.want)
		}
	}
	raw := ACE{Type: 0x80, Data: []byte{0, 0, 0, 0x10}}
	d := &Descriptor{DACL: &ACL{ACEs: []ACE{raw}}}
	d.MapGeneric(FileRights)
	if !bytes.Equal(d.DACL.ACEs[0].Data, raw.Data) || d.DACL.ACEs[0].Mask != 0 {
		t.Error("an entry of an unknown type is changed")
	}
}
