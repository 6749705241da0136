package winsec

import (
	"bytes"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

// Whatever parses is written again byte for byte, composing it anew keeps its
// meaning, and neither Check nor SDDL ever panics.
func FuzzParse(f *testing.F) {
	for _, v := range descriptorVectors {
		f.Add(testenv.Hex(f, v.raw))
	}
	for _, text := range sddlVectors {
		d, err := ParseSDDL(text)
		if err != nil {
			f.Fatal(err)
		}
		b, _ := d.Bytes()
		f.Add(b)
		d.SetLayout(OwnerFirst)
		b, _ = d.Bytes()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		problems := check(raw)
		d, err := Parse(raw)
		if err != nil {
			for _, p := range problems {
				if fatal(p) {
					return
				}
			}
			t.Fatalf("check finds nothing fatal in what does not parse: %v", err)
		}
		if b, err := d.Bytes(); err != nil || !bytes.Equal(b, raw) {
			t.Fatalf("% x\nwritten again as % x: %v", raw, b, err)
		}
		// Parts that overlap can make more than a list can hold, never less.
		d.raw = nil
		b, err := d.Bytes()
		if err != nil {
			t.Fatalf("composing: %v", err)
		}
		back, err := Parse(b)
		if err != nil {
			t.Fatalf("composed % x: %v", b, err)
		}
		text := d.SDDL()
		if got := back.SDDL(); got != text {
			t.Fatalf("meaning changed:\n%s\n%s", text, got)
		}
		again, err := ParseSDDL(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := again.SDDL(); got != text {
			t.Fatalf("text changed:\n%s\n%s", text, got)
		}
	})
}

// Whatever is SDDL has one canonical form, as text and as bytes.
func FuzzParseSDDL(f *testing.F) {
	for _, text := range sddlVectors {
		f.Add(text)
	}
	f.Add(" O:BA G:SY D: ( A ; ; FA ; ; ; WD )")
	f.Add("D:(A;;2032127;;;WD)(A;;017;;;WD)")
	f.Add("O:s-1-0xfb-0xabcdS:D:(xa;oici;gafa;;;wd;(member_of((sid(da))) && !not_member_of( {sid( lg )} ) || @DEVICE.b == 0xffffffffffffffff))")
	f.Add(`O:S-1-5-0x20D:S:(ra;;;;;wd;("x",td,0,sid( ba ),DU))(RA;;;;;WD;("odd",TX,0,#01,0203,#))(RA;;;;;WD;("n",TI,1,-1,0x7f))`)
	domain := MakeSID(5, 21, 1, 2, 3)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseSDDL(text, WithDomain(domain))
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Fatalf("message of %d bytes", len(err.Error()))
			}
			return
		}
		canonical := d.SDDLWithDomain(domain)
		back, err := ParseSDDL(canonical, WithDomain(domain))
		if err != nil {
			t.Fatalf("%s: %v", canonical, err)
		}
		if got := back.SDDLWithDomain(domain); got != canonical {
			t.Fatalf("%s\nbecame %s", canonical, got)
		}
		x, err := d.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		y, err := back.Bytes()
		if err != nil || !bytes.Equal(x, y) {
			t.Fatalf("%s: % x\n% x, %v", canonical, x, y, err)
		}
		if p, err := Parse(x); err != nil || p.SDDLWithDomain(domain) != canonical {
			t.Fatalf("%s: %v", canonical, err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	raw := BuilderDirectory()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSDDL(b *testing.B) {
	d, err := Parse(BuilderDirectory())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if d.SDDL() == "" {
			b.Fatal("empty")
		}
	}
}

func BenchmarkParseSDDL(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseSDDL(descriptorVectors[1].sddl); err != nil {
			b.Fatal(err)
		}
	}
}
