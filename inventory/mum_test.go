package inventory

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf16"
)

// A manifest in the form of those of Windows: made here, after public samples.
const rollupManifest = `<?xml version="1.0" encoding="utf-8" standalone="yes"?>
<assembly xmlns="urn:schemas-microsoft-com:asm.v3" manifestVersion="1.0" description="Fix for KB5041160" displayName="default" company="Microsoft Corporation" supportInformation="https://support.microsoft.com/help/5041160" creationTimeStamp="2024-08-02T03:11:52Z">
  <assemblyIdentity name="Package_for_RollupFix" version="20348.2655.1.11" language="neutral" processorArchitecture="amd64" publicKeyToken="31bf3856ad364e35"/>
  <package identifier="KB5041160" applicabilityEvaluation="deep" releaseType="Security Update" restart="possible" psfName="Windows10.0-KB5041160-x64.psf">
    <parent buildCompare="EQ" serviceCompare="LT" integrate="separate" disposition="detect"><assemblyIdentity name="Microsoft-Windows-ServerCoreEdition" version="10.0.20348.1"/></parent>
`

func TestReadManifest(t *testing.T) {
	want := packageManifest{"Package_for_RollupFix", "20348.2655.1.11", "KB5041160", "Security Update"}
	for name, text := range map[string]string{
		"truncated behind the package": rollupManifest,
		"byte order mark":              "\uFEFF" + rollupManifest,
		"UTF-16 little endian":         wide(binary.LittleEndian, strings.Replace(rollupManifest, "utf-8", "UTF-16", 1)),
		"UTF-16 big endian":            wide(binary.BigEndian, strings.Replace(rollupManifest, "utf-8", "utf-16", 1)),
		"prefixes":                     strings.NewReplacer("<assembly ", "<m:assembly xmlns:m='urn:schemas-microsoft-com:asm.v3' ", "<package ", "<m:package x:identifier='KB1' ").Replace(rollupManifest),
		"a long tail":                  rollupManifest + strings.Repeat("x", 10*maxManifestHead),
	} {
		if got, err := readManifest(strings.NewReader(text)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// The second number is XML that is well formed, but in the wrong place.
func TestReadManifestErrors(t *testing.T) {
	for name, text := range map[string]string{
		"empty":             "",
		"not XML":           "MZ\x90\x00",
		"compressed":        "DCM\x01PA30",
		"another document":  `<html><package identifier="KB5041160"/></html>`,
		"no package":        `<assembly><assemblyIdentity name="a"/></assembly>`,
		"package too deep":  `<assembly><a><package identifier="KB5041160"/></a></assembly>`,
		"document type":     `<!DOCTYPE assembly [<!ENTITY k "KB5041160">]><assembly><package identifier="&k;"/></assembly>`,
		"unknown entity":    `<assembly><package identifier="&k;"/></assembly>`,
		"nested":            strings.Repeat("<assembly>", maxManifestDepth+1),
		"another encoding":  `<?xml version="1.0" encoding="koi8-r"?><assembly><package identifier="KB5041160"/></assembly>`,
		"package far below": `<assembly><a>` + strings.Repeat("x", maxManifestHead) + `</a><package identifier="KB5041160"/></assembly>`,
	} {
		if got, err := readManifest(strings.NewReader(text)); !errors.Is(err, errManifest) || got.identifier != "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := readManifest(io.MultiReader(strings.NewReader("<assembly>"), failing{})); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a failing reader: %v", err)
	}
}

// A gigabyte in one attribute costs no more than the head.
func TestReadManifestBound(t *testing.T) {
	r := &endless{"<assembly description=\""}
	if _, err := readManifest(r); !errors.Is(err, errManifest) {
		t.Error(err)
	}
	if n := testing.AllocsPerRun(1, func() { readManifest(&endless{"<a b=\""}) }); n > 1000 {
		t.Errorf("%v allocations", n)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

// endless is a text with an x after it, again and again.
type endless struct{ head string }

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, e.head)
	e.head = e.head[n:]
	for i := n; i < len(b); i++ {
		b[i] = 'x'
	}
	return len(b), nil
}

func wide(order binary.AppendByteOrder, s string) string {
	b := order.AppendUint16(nil, 0xFEFF)
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

func FuzzReadManifest(f *testing.F) {
	f.Add([]byte(rollupManifest))
	f.Add([]byte(wide(binary.LittleEndian, rollupManifest)))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><assembly><package identifier="&b;"/></assembly>`))
	f.Add([]byte(`<assembly><package identifier="KB1"`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := readManifest(strings.NewReader(string(b)))
		if err != nil && !errors.Is(err, errManifest) {
			t.Errorf("%v", err)
		}
		if err == nil && len(m.identifier) > 4*maxManifestHead {
			t.Errorf("%d bytes of an identifier", len(m.identifier))
		}
	})
}
