package inventory

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

// resourceScript is compiled by windres.
const resourceScript = `1 VERSIONINFO
FILEVERSION 1,2,3,4
PRODUCTVERSION 5,6,7,65535
BEGIN
 BLOCK "StringFileInfo"
 BEGIN
  BLOCK "040704B0"
  BEGIN
   VALUE "CompanyName", "Contoso & S\xf6hne"
   VALUE "FileDescription", "A tool"
   VALUE "FileVersion", "1.2 beta"
   VALUE "InternalName", "tool"
   VALUE "OriginalFilename", "TOOL.EXE"
   VALUE "ProductName", "Tools"
   VALUE "ProductVersion", "5.6"
  END
 END
 BLOCK "VarFileInfo"
 BEGIN
  VALUE "Translation", 0x407, 1200
 END
END
`

// compiled returns programs for two architectures that mingw links, by path.
func compiled(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "tool.c"), []byte("int main(void) { return 0; }\n"))
	writeFile(t, filepath.Join(dir, "tool.rc"), []byte(resourceScript))
	var all []string
	for _, target := range []string{"x86_64-w64-mingw32", "i686-w64-mingw32"} {
		execute(t, dir, testenv.Program(t, target+"-windres", "mingw-w64"), "tool.rc", "tool.o")
		execute(t, dir, testenv.Program(t, target+"-gcc", "mingw-w64"), "-s", "-o", target+".exe", "tool.c", "tool.o")
		all = append(all, filepath.Join(dir, target+".exe"))
	}
	return all
}

func writeFile(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func execute(t *testing.T, dir, program string, arg ...string) string {
	t.Helper()
	cmd := exec.Command(program, arg...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, arg, err, out)
	}
	return string(out)
}

// ExifTool reads the same versions: of programs linked here, and of all of Wine's where it is
// installed.
func TestVersionsByExifTool(t *testing.T) {
	exiftool := testenv.Program(t, "exiftool", "libimage-exiftool-perl")
	files := compiled(t)
	wine, err := filepath.Glob("/usr/lib/*/wine/*-windows/*.*")
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range wine {
		if i%20 == 0 || os.Getenv("MULLION_LONG") != "" {
			files = append(files, name)
		}
	}
	args := filepath.Join(t.TempDir(), "files")
	writeFile(t, args, []byte(strings.Join(files, "\n")))
	cmd := exec.Command(exiftool, "-j", "-q", "-q", "-FileVersionNumber", "-ProductVersionNumber", "-CompanyName", "-FileDescription",
		"-ProductName", "-OriginalFileName", "-MachineType", "-@", args)
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) { // it fails for a warning of one file
		t.Fatal(err)
	}
	var all []struct {
		SourceFile, FileVersionNumber, ProductVersionNumber    string
		CompanyName, FileDescription, ProductName, MachineType any
		OriginalFileName                                       any
	}
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != len(files) {
		t.Fatalf("%d files, want %d", len(all), len(files))
	}
	versions := 0
	for _, want := range all {
		b := readFile(t, want.SourceFile)
		p, err := openPE(bytes.NewReader(b), int64(len(b)))
		if errors.Is(err, errNoPE) && want.MachineType == nil {
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", want.SourceFile, err)
			continue
		}
		v, err := p.version()
		if err != nil {
			t.Errorf("%s: %v", want.SourceFile, err)
		}
		if v.file != "" {
			versions++
		}
		zero := func(s string) string { return strings.TrimSuffix(s, "0.0.0.0") }
		if v.file != zero(want.FileVersionNumber) && v.file != want.FileVersionNumber || v.product != zero(want.ProductVersionNumber) && v.product != want.ProductVersionNumber {
			t.Errorf("%s: versions %s and %s, want %s and %s", want.SourceFile, v.file, v.product, want.FileVersionNumber, want.ProductVersionNumber)
		}
		for name, text := range map[string]any{"CompanyName": want.CompanyName, "FileDescription": want.FileDescription,
			"ProductName": want.ProductName, "OriginalFilename": want.OriginalFileName} {
			if s, ok := text.(string); ok && v.texts[name] != strings.TrimSpace(s) {
				t.Errorf("%s: %s %q, want %q", want.SourceFile, name, v.texts[name], s)
			}
		}
		machine := map[string]string{"amd64": "AMD AMD64", "386": "Intel 386 or later, and compatibles", "": "Intel 386 or later, and compatibles"}
		if arch, _ := p.architecture(); want.MachineType != machine[arch] {
			t.Errorf("%s: architecture %q, want %v", want.SourceFile, arch, want.MachineType)
		}
	}
	t.Logf("%d files, %d with a version", len(all), versions)
	if versions < 2 {
		t.Errorf("%d versions", versions)
	}
}

// pemFiles writes the certificate and the key of a signer.
func (s testSigner) pemFiles(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(s.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	writeFile(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cert.Raw}))
	writeFile(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return cert, key
}

// timestampFlags are the flags with which osslsigncode makes a time stamp of its own, and the
// fact that is read of it. Releases before 2.8 make none.
func timestampFlags(t *testing.T, tool, dir string) (flags []string, fact string) {
	t.Helper()
	if help, _ := exec.Command(tool, "sign", "--help").CombinedOutput(); !bytes.Contains(help, []byte("-TSA-key")) {
		return nil, ""
	}
	rsaKey, _ := testKeys()
	template := *newSigner(t, rsaKey, "Time").cert
	template.ExtKeyUsage = nil
	critical, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	if err != nil {
		t.Fatal(err)
	}
	template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: critical}}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, rsaKey.Public(), rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	certFile, key := testSigner{rsaKey, cert}.pemFiles(t, dir, "time")
	return []string{"-TSA-certs", certFile, "-TSA-key", key, "-TSA-time", "1709294400"}, "signatureTime=2024-03-01T12:00:00Z;"
}

// A catalog made here has a file for osslsigncode too.
func TestCatalogByOsslsigncode(t *testing.T) {
	tool := testenv.Program(t, "osslsigncode", "osslsigncode")
	rsaKey, _ := testKeys()
	s := newSigner(t, rsaKey, "Contoso")
	dir := t.TempDir()
	cert, _ := s.pemFiles(t, dir, "signer")
	file := readFile(t, compiled(t)[0])
	p, err := openPE(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	d, err := p.digests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	name, cat := filepath.Join(dir, "a.exe"), filepath.Join(dir, "a.cat")
	writeFile(t, cat, s.catalog(t, member(d.sha256[:], oidSHA256, d.sha256[:])))
	for _, changed := range []bool{false, true} {
		if changed {
			file[len(file)/4] ^= 1
		}
		writeFile(t, name, file)
		out, _ := exec.Command(tool, "verify", "-CAfile", cert, "-time", "1709294400", "-catalog", cat, "-in", name).CombinedOutput()
		theirs := bytes.Contains(out, []byte("Signature verification: ok"))
		inv := executablesOf(t, ProgramExecutables, map[string][]byte{"Files/a.exe": file, "Files/Windows/System32/CatRoot/a/a.cat": readFile(t, cat)})
		if ours := named(inv, "a.exe").Property("signature") == "catalog"; ours == changed || theirs == changed {
			t.Errorf("changed %v: found %v, by osslsigncode %v\n%s", changed, ours, theirs, out)
		}
	}
}

// What osslsigncode signs is read, and the digests are those that it prints.
func TestSignaturesByOsslsigncode(t *testing.T) {
	tool := testenv.Program(t, "osslsigncode", "osslsigncode")
	rsaKey, ecKey := testKeys()
	dir := t.TempDir()
	files := compiled(t)
	stamp, stamped := timestampFlags(t, tool, dir)
	odd := append(readFile(t, files[0]), "overlay"...)
	files = append(files, filepath.Join(dir, "odd.exe"))
	writeFile(t, files[2], odd)
	for _, k := range []crypto.Signer{rsaKey, ecKey} {
		cert, key := newSigner(t, k, "Contoso Code").pemFiles(t, dir, "signer")
		for _, digest := range []string{"sha1", "sha256", "sha384"} {
			for _, file := range files {
				out := filepath.Join(dir, "signed.exe")
				os.Remove(out)
				args := slices.Concat([]string{"sign", "-h", digest, "-certs", cert, "-key", key, "-n", "A tool"}, stamp, []string{"-in", file, "-out", out})
				execute(t, dir, tool, args...)
				signed := readFile(t, out)
				inv := executablesOf(t, ProgramExecutables, map[string][]byte{"Files/a.exe": signed, "Files/plain.exe": readFile(t, file)})
				c := named(inv, "a.exe")
				if got := facts(c); got != "signature=embedded;signatureCheck=matches;"+stamped+"signer=Contoso Code;signerIssuer=Contoso Code;" {
					t.Errorf("%s %s: %s %+v", filepath.Base(file), digest, got, inv.Skipped)
				}
				signed[len(signed)/4] ^= 1
				if got := named(executablesOf(t, ProgramExecutables, map[string][]byte{"Files/a.exe": signed}), "a.exe").Property("signatureCheck"); got != "the file has another content" {
					t.Errorf("%s %s, changed: %s", filepath.Base(file), digest, got)
				}
				// The digest of the file without signature is that which osslsigncode has signed.
				cmd := exec.Command(tool, "verify", "-in", out)
				printed, _ := cmd.CombinedOutput() // fails, as the certificate is not trusted
				m := regexp.MustCompile(`Calculated message digest : ([0-9A-F]+)`).FindSubmatch(printed)
				if m == nil {
					t.Fatalf("no digest in %s", printed)
				}
				p, err := openPE(bytes.NewReader(readFile(t, file)), int64(len(readFile(t, file))))
				if err != nil {
					t.Fatal(err)
				}
				d, err := p.digests(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if sum := strings.ToUpper(hex.EncodeToString(map[string][]byte{"sha1": d.sha1[:], "sha256": d.sha256[:]}[digest])); digest != "sha384" && sum != string(m[1]) {
					t.Errorf("%s %s: digest %s, want %s", filepath.Base(file), digest, sum, m[1])
				}
			}
		}
	}
}
