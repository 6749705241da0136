package inventory

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

// tlv makes a DER value.
func tlv(tag byte, parts ...[]byte) []byte {
	content := slices.Concat(parts...)
	return append(derHead(tag, len(content)), content...)
}

// oid makes the DER value of an object identifier: numbers, or an encoding.
func oid(s string) []byte {
	var numbers asn1.ObjectIdentifier
	for part := range strings.SplitSeq(s, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return tlv(derOID, []byte(s))
		}
		numbers = append(numbers, n)
	}
	b, err := asn1.Marshal(numbers)
	if err != nil {
		panic(err)
	}
	return b
}

// testSigner is a key with a certificate that is its own issuer.
type testSigner struct {
	key  crypto.Signer
	cert *x509.Certificate
}

func newSigner(tb testing.TB, key crypto.Signer, name string) testSigner {
	tb.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(4711), Subject: pkix.Name{CommonName: name, Organization: []string{"Contoso"}},
		NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(2e9, 0), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return testSigner{key, cert}
}

var testKeys = sync.OnceValues(func() (*rsa.PrivateKey, *ecdsa.PrivateKey) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return r, e
})

const (
	oidSHA1   = "1.3.14.3.2.26"
	oidSHA256 = "2.16.840.1.101.3.4.2.1"
)

// sign makes a ContentInfo that signs content, a SEQUENCE of type kind. The time is that of
// a countersignature, or with a year of four digits of a time stamp.
func (s testSigner) sign(tb testing.TB, kind string, content []byte, at string) []byte {
	tb.Helper()
	body := derReader{rest: content}
	digest := sha256.Sum256(body.take(derSequence))
	attrs := slices.Concat(
		tlv(derSequence, oid("1.2.840.113549.1.9.3"), tlv(derSet, oid(kind))),
		tlv(derSequence, oid(oidMessageDigest), tlv(derSet, tlv(derOctets, digest[:]))))
	sum := sha256.Sum256(tlv(derSet, attrs))
	sig, err := s.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		tb.Fatal(err)
	}
	alg := oid("1.2.840.113549.1.1.1")
	if _, ok := s.key.(*ecdsa.PrivateKey); ok {
		alg = oid("1.2.840.10045.2.1")
	}
	null, one := []byte{5, 0}, []byte{2, 1, 1}
	sha := tlv(derSequence, oid(oidSHA256), null)
	name := tlv(derSequence, s.cert.RawIssuer, tlv(derInteger, s.cert.SerialNumber.Bytes()))
	var unsigned []byte
	switch len(at) {
	case len("20060102150405Z"):
		info := tlv(derSequence, one, oid("1.2.3"), tlv(derSequence, sha, tlv(derOctets, sum[:])), one, tlv(derTime, []byte(at)))
		token := tlv(derSequence, oid(oidSignedData), tlv(derContext, tlv(derSequence, one, tlv(derSet, sha),
			tlv(derSequence, oid(oidTSTInfo), tlv(derContext, tlv(derOctets, info))), tlv(derSet))))
		unsigned = tlv(derContext+1, tlv(derSequence, oid(oidTimestamp), tlv(derSet, token)))
	case len("060102150405Z"):
		counter := tlv(derSequence, one, name, sha, tlv(derContext, tlv(derSequence, oid(oidSigningTime), tlv(derSet, tlv(derUTCTime, []byte(at))))),
			tlv(derSequence, alg, null), tlv(derOctets, sig))
		unsigned = tlv(derContext+1, tlv(derSequence, oid(oidCounterSignature), tlv(derSet, counter)))
	}
	info := tlv(derSequence, one, name, sha, tlv(derContext, attrs), tlv(derSequence, alg, null), tlv(derOctets, sig), unsigned)
	return tlv(derSequence, oid(oidSignedData), tlv(derContext, tlv(derSequence, one, tlv(derSet, sha),
		tlv(derSequence, oid(kind), tlv(derContext, content)), tlv(derContext, s.cert.Raw), tlv(derSet, info))))
}

// indirectData makes the SpcIndirectDataContent of a digest.
func indirectData(algorithm string, sum []byte) []byte {
	link := tlv(derContext+2, tlv(0x80, []byte("\x00<\x00<\x00<")))
	data := tlv(derSequence, oid("1.3.6.1.4.1.311.2.1.15"), tlv(derSequence, []byte{3, 1, 0}, tlv(derContext, link)))
	return tlv(derSequence, data, tlv(derSequence, tlv(derSequence, oid(algorithm), []byte{5, 0}), tlv(derOctets, sum)))
}

// attach signs a PE file: its digest and the certificate table at its end.
func (s testSigner) attach(tb testing.TB, file []byte) []byte {
	tb.Helper()
	for len(file)%8 != 0 {
		file = append(file, 0)
	}
	p, err := openPE(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		tb.Fatal(err)
	}
	d, err := p.digests(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return attachTable(file, s.sign(tb, oidIndirectData, indirectData(oidSHA256, d.sha256[:]), "240301120000Z"))
}

func attachTable(file, pkcs7 []byte) []byte {
	table := slices.Concat(le(uint32(8+len(pkcs7)), uint16(0x200), uint16(2)), pkcs7)
	for len(table)%8 != 0 {
		table = append(table, 0)
	}
	out := slices.Concat(file, table)
	copy(out[testDirs+4*8:], le(uint32(len(file)), uint32(len(table))))
	return out
}

// catalog makes a catalog with the members of a list.
func (s testSigner) catalog(tb testing.TB, members ...[]byte) []byte {
	tb.Helper()
	list := tlv(derSequence,
		tlv(derSequence, oid("1.3.6.1.4.1.311.12.1.1")),
		tlv(derOctets, make([]byte, 16)),
		tlv(derUTCTime, []byte("240301120000Z")),
		tlv(derSequence, oid("1.3.6.1.4.1.311.12.1.3"), []byte{5, 0}),
		tlv(derSequence, members...))
	return s.sign(tb, oidTrustList, list, "")
}

// member makes a member of a catalog whose digest is in its attributes.
func member(id []byte, algorithm string, sum []byte) []byte {
	return tlv(derSequence, tlv(derOctets, id), tlv(derSet, tlv(derSequence, oid(oidIndirectData), tlv(derSet, indirectData(algorithm, sum)))))
}

func executablesOf(t *testing.T, e Executables, files map[string][]byte) *Inventory {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, b := range files {
		fsys[name] = &fstest.MapFile{Data: b}
	}
	inv, err := Run(t.Context(), NewSystem(fsys, nil), Catalogers(WithExecutables(e))...)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func named(inv *Inventory, name string) *Component {
	for i := range inv.Components {
		if inv.Components[i].Name == name {
			return &inv.Components[i]
		}
	}
	return &Component{}
}

// Object identifiers are encoded as encoding/asn1 encodes them.
func TestOID(t *testing.T) {
	for got, want := range map[string]string{oidSignedData: "1.2.840.113549.1.7.2", oidTimestamp: "1.3.6.1.4.1.311.3.3.1",
		oidTrustList: "1.3.6.1.4.1.311.10.1", oidOf(2, 16, 0, 127, 128, 1<<31-1): "2.16.0.127.128.2147483647"} {
		if !bytes.Equal(tlv(derOID, []byte(got)), oid(want)) || oidText([]byte(got)) != want {
			t.Errorf("%x is %s, want %s", got, oidText([]byte(got)), want)
		}
	}
}

func TestExecutables(t *testing.T) {
	tool := makePE(peOptions{version: sampleVersion()})
	sum := sha256.Sum256(tool)
	files := map[string][]byte{
		"Files/Program Files/Tool/tool.EXE":     tool,
		"Files/Program Files/Tool/de/tool.mui":  tool,
		"Files/Program Files/Tool/readme.exe":   []byte(strings.Repeat("text", 100)),
		"Files/Program Files/Tool/broken.dll":   tool[:100],
		"Files/Windows/system32/ntdll.dll":      tool,
		"Files/WindowsApps/app.dll":             makePE(peOptions{machine: 0xaa64}),
		"UtilityVM/Files/Windows/explorer.exe":  tool,
		"Files/Program Files/Tool/liar.dll":     makePE(peOptions{version: sampleVersion(), change: func(b []byte) { copy(b[testResources+0x54:], le(uint32(1<<30))) }}),
		"Files/Program Files/Tool/lib/mod.node": makePE(peOptions{machine: 0x9999}),
	}
	inv := executablesOf(t, ProgramExecutables, files)
	var names []string
	for _, c := range inv.Components {
		names = append(names, c.Name)
	}
	if want := []string{"app.dll", "liar.dll", "mod.node", "tool.EXE"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	c := named(inv, "tool.EXE")
	if c.Kind != Executable || c.Version != "1.2.3.4" || c.Publisher != "Contoso, Ltd." || c.Architecture != "amd64" || c.Language != "de-DE" ||
		c.SHA256 != hex.EncodeToString(sum[:]) || c.FoundBy != "pe" || c.Evidence[0] != (Evidence{Path: `Files\Program Files\Tool\tool.EXE`}) {
		t.Errorf("%+v", c)
	}
	want := []Property{{"description", "Prüfer"}, {"originalName", "TOOL.EXE"}, {"product", "Tools"}, {"productVersion", "5.6.0.0"}, {"signature", "none"}}
	if !slices.Equal(c.Properties, want) {
		t.Errorf("%+v, want %+v", c.Properties, want)
	}
	if c := named(inv, "liar.dll"); c.Version != "" || c.SHA256 == "" {
		t.Errorf("%+v", c)
	}
	if len(inv.Skipped) != 2 || inv.Skipped[0].Cataloger != "pe" {
		t.Errorf("skipped %+v", inv.Skipped)
	}
	if n := len(executablesOf(t, AllExecutables, files).Components); n != 6 {
		t.Errorf("all: %d, want 6", n)
	}
	if n := len(executablesOf(t, NoExecutables, files).Components); n != 0 {
		t.Errorf("none: %d", n)
	}
}

// facts are the properties about the signature.
func facts(c *Component) string {
	var b strings.Builder
	for _, p := range c.Properties {
		if strings.HasPrefix(p.Name, "sign") {
			fmt.Fprintf(&b, "%s=%s;", p.Name, p.Value)
		}
	}
	return b.String()
}

func TestEmbeddedSignature(t *testing.T) {
	rsaKey, ecKey := testKeys()
	plain := makePE(peOptions{version: sampleVersion(), code: []byte("code")})
	for _, key := range []crypto.Signer{rsaKey, ecKey} {
		good := newSigner(t, key, "Contoso Code").attach(t, plain)
		at := int(binary.LittleEndian.Uint32(good[testDirs+32:])) // of the table
		edit := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
		flip := func(off int) []byte { return edit(func(b []byte) []byte { b[off] ^= 1; return b }) }
		const who = "signatureTime=2024-03-01T12:00:00Z;signer=Contoso Code;signerIssuer=Contoso Code;"
		digest := at + bytes.Index(good[at:], []byte("<\x00<\x00<")) + 25
		inv := executablesOf(t, ProgramExecutables, map[string][]byte{
			"Files/good.exe":     good,
			"Files/checksum.exe": flip(88 + 64),
			"Files/content.exe":  flip(512),
			"Files/digest.exe":   flip(digest),
			"Files/appended.exe": edit(func(b []byte) []byte { return append(b, "appended"...) }),
			"Files/beyond.exe":   edit(func(b []byte) []byte { copy(b[testDirs+36:], le(uint32(len(b)))); return b }),
			"Files/huge.exe":     edit(func(b []byte) []byte { copy(b[testDirs+36:], le(uint32(1<<31))); return b }),
			"Files/entry.exe":    edit(func(b []byte) []byte { copy(b[at:], le(uint32(1<<31))); return b }),
			"Files/type.exe":     edit(func(b []byte) []byte { b[at+6] = 1; return b }),
			"Files/der.exe":      edit(func(b []byte) []byte { b[at+8+1] = 0x84; return b }),
			"Files/header.exe":   edit(func(b []byte) []byte { copy(b[testDirs+32:], le(uint32(8), uint32(64))); return b }),
		})
		for name, want := range map[string]string{
			"good.exe":     "signature=embedded;signatureCheck=matches;" + who,
			"checksum.exe": "signature=embedded;signatureCheck=matches;" + who,
			"content.exe":  "signature=embedded;signatureCheck=the file has another content;" + who,
			"digest.exe":   "signature=embedded;signatureCheck=it signs another content;" + who,
			"appended.exe": "signature=embedded;signatureCheck=8 bytes behind the signature are not signed;" + who,
			"beyond.exe":   "signature=embedded;signatureCheck=unreadable;",
			"huge.exe":     "signature=embedded;signatureCheck=unreadable;",
			"entry.exe":    "signature=embedded;signatureCheck=unreadable;",
			"type.exe":     "signature=embedded;signatureCheck=unreadable;",
			"der.exe":      "signature=embedded;signatureCheck=unreadable;",
			"header.exe":   "signature=embedded;signatureCheck=unreadable;",
		} {
			if got := facts(named(inv, name)); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
		if len(inv.Skipped) != 6 {
			t.Errorf("%d skipped: %+v", len(inv.Skipped), inv.Skipped)
		}
	}
}

// The time is that of a time stamp too, and a fault of it hides nothing else.
func TestSignatureTime(t *testing.T) {
	_, key := testKeys()
	s := newSigner(t, key, "Contoso")
	for at, want := range map[string]string{"240301120000Z": "2024-03-01T12:00:00Z", "20240301120001Z": "2024-03-01T12:00:01Z", "20240341120001Z": "", "": ""} {
		e, err := readPKCS7(s.sign(t, oidIndirectData, indirectData(oidSHA256, make([]byte, 32)), at))
		var c Component
		e.describe(&c)
		if err != nil || c.Property("signatureTime") != want || e.fault != "" || e.signer != "Contoso" {
			t.Errorf("%q: %+v, %v, want %q", at, e, err, want)
		}
	}
}

// A certificate of megabytes and a key of many bits are refused before they cost time.
func TestSignatureLimits(t *testing.T) {
	_, key := testKeys()
	s := newSigner(t, key, strings.Repeat("x", maxCert))
	_, err := readPKCS7(s.sign(t, oidIndirectData, indirectData(oidSHA256, make([]byte, 32)), ""))
	if !errors.Is(err, errTooLarge) {
		t.Errorf("%v", err)
	}
	data := signedData{content: []byte{1}}
	cert := &x509.Certificate{PublicKey: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), maxRSABits), E: 3}}
	if err := data.check(signerInfo{digest: []byte(oidOf(1, 3, 14, 3, 2, 26))}, cert); err == nil || !strings.Contains(err.Error(), "8193 bits") {
		t.Errorf("%v", err)
	}
}

// A file above what is kept in memory is signed and read from a temporary file.
func TestLargeExecutable(t *testing.T) {
	_, key := testKeys()
	file := append(makePE(peOptions{version: sampleVersion()}), make([]byte, smallFile)...)
	c := named(executablesOf(t, ProgramExecutables, map[string][]byte{"Files/a.exe": newSigner(t, key, "Contoso").attach(t, file)}), "a.exe")
	if c.Version != "1.2.3.4" || c.Property("signatureCheck") != "matches" {
		t.Errorf("%+v", c)
	}
	p, err := openPE(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.digests(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A signature that another key has made is told from a good one.
func TestSignatureOfAnotherKey(t *testing.T) {
	rsaKey, ecKey := testKeys()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []testSigner{{other, newSigner(t, rsaKey, "Contoso").cert}, {other, newSigner(t, ecKey, "Contoso").cert}} {
		inv := executablesOf(t, ProgramExecutables, map[string][]byte{"Files/a.exe": s.attach(t, makePE(peOptions{}))})
		if got := named(inv, "a.exe").Property("signatureCheck"); got != "the signature is not that of its certificate's key" {
			t.Errorf("%q", got)
		}
	}
}

func TestCatalogs(t *testing.T) {
	rsaKey, _ := testKeys()
	s := newSigner(t, rsaKey, "Contoso Windows")
	digests := func(code string) (file []byte, d peDigests) {
		file = makePE(peOptions{code: []byte(code)})
		p, err := openPE(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		if d, err = p.digests(t.Context()); err != nil {
			t.Fatal(err)
		}
		return file, d
	}
	a, da := digests("a")
	b, db := digests("b")
	c, dc := digests("c")
	e, de := digests("e")
	none, _ := digests("none")
	const root = "Files/Windows/System32/CatRoot/{F750E6C3-38EE-11D1-85E5-00C04FC295EE}/"
	one := s.catalog(t,
		member(db.sha256[:], oidSHA256, db.sha256[:]),
		member(utf16le(strings.ToUpper(hex.EncodeToString(da.sha1[:]))), oidSHA1, da.sha1[:]),
		tlv(derSequence, tlv(derOctets, dc.sha256[:])),
		tlv(derSequence, tlv(derOctets, utf16le(hex.EncodeToString(de.sha1[:])))),
		tlv(derSequence, tlv(derOctets, []byte("no digest"))))
	files := map[string][]byte{
		"Files/Windows/a.exe": a, "Files/b.exe": b, "Files/c.exe": c, "Files/e.exe": e, "Files/none.exe": none,
		"Files/signed.exe":                    s.attach(t, a),
		root + "One.cat":                      one,
		root + "Two.cat":                      s.catalog(t, member(db.sha256[:], oidSHA256, db.sha256[:])),
		root + "Broken.cat":                   one[:len(one)-1],
		root + "Empty.cat":                    s.catalog(t),
		root + "Other.cat":                    s.sign(t, oidIndirectData, indirectData(oidSHA1, da.sha1[:]), ""),
		"Files/Windows/elsewhere/Ignored.cat": []byte("text"),
	}
	inv := executablesOf(t, AllExecutables, files)
	const who = "signatureCatalog=One.cat;signatureCheck=matches;signer=Contoso Windows;signerIssuer=Contoso Windows;"
	for name, want := range map[string]string{
		"a.exe": "signature=catalog;" + who, "b.exe": "signature=catalog;" + who, "c.exe": "signature=catalog;" + who,
		"e.exe": "signature=catalog;" + who, "none.exe": "signature=none;",
	} {
		if got := facts(named(inv, name)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if got := named(inv, "signed.exe").Property("signature"); got != "embedded" {
		t.Errorf("signed.exe: %s", got)
	}
	if len(inv.Skipped) != 2 || !strings.Contains(fmt.Sprint(inv.Skipped), "Broken.cat") || !strings.Contains(fmt.Sprint(inv.Skipped), "not a list of trust") {
		t.Errorf("skipped %+v", inv.Skipped)
	}
	if n := strings.Count(fmt.Sprint(inv.Skipped), "not well-formed"); n != 1 {
		t.Errorf("the fault of one catalog is told %d times: %+v", n, inv.Skipped)
	}
	// A catalog whose members were changed is not the signer's any more.
	at := bytes.LastIndex(one, dc.sha256[:])
	one[at] ^= 1
	copy(one[at:], da.sha256[:])
	inv = executablesOf(t, AllExecutables, map[string][]byte{"Files/a.exe": a, root + "One.cat": one})
	if got := named(inv, "a.exe").Property("signatureCheck"); got != "it signs another content" {
		t.Errorf("a changed catalog: %q", got)
	}
}

// The limit of members holds over all catalogs.
func TestCatalogLimit(t *testing.T) {
	rsaKey, _ := testKeys()
	s := newSigner(t, rsaKey, "Contoso")
	var c catalogSet
	c.members = make([]catalogMember, maxCatalogMembers-1)
	two := s.catalog(t, tlv(derSequence, tlv(derOctets, make([]byte, 32))), tlv(derSequence, tlv(derOctets, make([]byte, 20))))
	if err := c.add("a", two); err == nil || !strings.Contains(err.Error(), "more than 1048576 members") {
		t.Error(err)
	}
	if err := c.add("b", s.catalog(t, tlv(derSequence, tlv(derOctets, make([]byte, 32))))); err != nil {
		t.Error(err)
	}
}

func FuzzSignature(f *testing.F) {
	rsaKey, ecKey := testKeys()
	sum := sha1.Sum(nil)
	for _, key := range []crypto.Signer{rsaKey, ecKey} {
		s := newSigner(f, key, "Contoso")
		f.Add(attachTable(make([]byte, 2048), s.sign(f, oidIndirectData, indirectData(oidSHA1, sum[:]), "240301120000Z"))[2048:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := readEmbedded(b); err == nil && e.fault == "" && (e.signer == "" || e.digest == 0) {
			t.Errorf("%+v", e)
		}
	})
}

func FuzzCatalog(f *testing.F) {
	rsaKey, _ := testKeys()
	s := newSigner(f, rsaKey, "Contoso")
	sum := sha256.Sum256(nil)
	f.Add(s.catalog(f, member(sum[:], oidSHA256, sum[:]), tlv(derSequence, tlv(derOctets, utf16le(strings.Repeat("AB", 20))))))
	f.Add(s.catalog(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c catalogSet
		if c.add("a.cat", b) != nil {
			return
		}
		for _, m := range c.members {
			if _, ok := c.find(m.sum); !ok {
				t.Errorf("%x is not found", m.sum)
			}
		}
	})
}
