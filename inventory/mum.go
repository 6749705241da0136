package inventory

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// Limits of a manifest of a servicing package. The elements that are read are its first ones.
const (
	maxManifestHead  = 64 << 10 // bytes that are read
	maxManifestDepth = 8
	maxManifestFile  = 64 << 20 // bytes of the whole file
)

// errManifest is the error of a manifest that is not one.
var errManifest = errors.New("malformed package manifest")

// packageManifest is what the head of a manifest says, the file NAME.mum of a servicing package.
type packageManifest struct {
	name, version string // of the assembly identity
	identifier    string // of the package, "KB5041160"
	releaseType   string // "Security Update", "Update", "Feature Pack"
}

// readManifest reads the head of a manifest: XML, assembly/assemblyIdentity, then
// assembly/package with its attributes, in UTF-8 or UTF-16 with a byte order mark. What
// follows is not read. A document type, which could define entities, is errManifest.
func readManifest(r io.Reader) (m packageManifest, err error) {
	head, err := io.ReadAll(io.LimitReader(r, maxManifestHead))
	if err != nil {
		return m, err
	}
	text, err := manifestText(head)
	if err != nil {
		return m, err
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = func(label string, in io.Reader) (io.Reader, error) {
		if !strings.EqualFold(label, "utf-16") { // already converted
			return nil, fmt.Errorf("character set %.20q", label)
		}
		return in, nil
	}
	for depth := 0; ; {
		t, err := d.RawToken()
		if err != nil {
			return m, fmt.Errorf("%w: offset %d: %w", errManifest, d.InputOffset(), noEOF(err))
		}
		switch t := t.(type) {
		case xml.Directive:
			return m, fmt.Errorf("%w: offset %d: a document type", errManifest, d.InputOffset())
		case xml.StartElement:
			depth++
			switch {
			case depth > maxManifestDepth:
				return m, fmt.Errorf("%w: offset %d: more than %d levels", errManifest, d.InputOffset(), maxManifestDepth)
			case depth == 1 && t.Name.Local != "assembly":
				return m, fmt.Errorf("%w: offset %d: element %.40q, want assembly", errManifest, d.InputOffset(), t.Name.Local)
			case depth == 2 && t.Name.Local == "assemblyIdentity":
				m.name, m.version = xmlAttribute(t, "name"), xmlAttribute(t, "version")
			case depth == 2 && t.Name.Local == "package":
				m.identifier, m.releaseType = xmlAttribute(t, "identifier"), xmlAttribute(t, "releaseType")
				return m, nil
			}
		case xml.EndElement:
			if depth--; depth <= 0 {
				return m, fmt.Errorf("%w: offset %d: no package", errManifest, d.InputOffset())
			}
		}
	}
}

// noEOF is the error of a head that ends too early.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func xmlAttribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Space == "" && a.Name.Local == name {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

// manifestText converts the head of a manifest to UTF-8 without a byte order mark.
func manifestText(b []byte) ([]byte, error) {
	if rest, ok := bytes.CutPrefix(b, []byte{0xEF, 0xBB, 0xBF}); ok {
		return rest, nil
	}
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(b, []byte{0xFF, 0xFE}):
		order = binary.LittleEndian
	case bytes.HasPrefix(b, []byte{0xFE, 0xFF}):
		order = binary.BigEndian
	default:
		return b, nil
	}
	units := make([]uint16, (len(b)-2)/2)
	for i := range units {
		units[i] = order.Uint16(b[2+2*i:])
	}
	return []byte(string(utf16.Decode(units))), nil
}
