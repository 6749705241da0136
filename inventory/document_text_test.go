package inventory

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mullion/mullion/hives"
)

// hostileTexts are names that an image can hold: what JSON escapes, what UTF-8 cannot hold, what
// a terminal obeys, and a long one.
var hostileTexts = []string{
	`quote " and \ backslash`, "\x00\x01\x1b[31m\r\n\t\x7f", "\u202eexe.txt", "\u2028\u2029", "\ufeff\ufffd",
	"\xed\xa0\x80", "\xff\xfe", "\xc0\x80", "</script><!--", "\U0001f600\xf0\x9f", strings.Repeat("long ", 2<<10),
}

// Whatever the texts of an image are, the documents are JSON in UTF-8 and have as many
// components as the inventory.
func TestHostileTexts(t *testing.T) {
	inv := &Inventory{}
	for _, s := range hostileTexts {
		for _, k := range Kinds() {
			inv.Components = append(inv.Components, Component{
				Kind: k, Name: s, Version: s, Publisher: s, Architecture: s, Language: s, KB: s, ProductID: s, State: State(s), ProductCode: s,
				CPEs: []string{s}, PURL: s, SHA256: s, Licenses: []string{s}, FoundBy: "test", Properties: []Property{{Name: s, Value: s}},
				Evidence: []Evidence{{Path: s, Key: s}, {Hive: hives.Software, Key: s, Layer: 7}},
			})
		}
		inv.Skipped = append(inv.Skipped, Skipped{Cataloger: "test", Evidence: Evidence{Path: s}, Reason: s})
	}
	for name, f := range map[string]struct {
		write func(io.Writer, *Inventory, Subject) error
		list  string
	}{"cyclonedx": {WriteCycloneDX, "components"}, "spdx": {WriteSPDX, "packages"}, "syft": {WriteSyft, "artifacts"}} {
		for _, s := range hostileTexts[:3] {
			var out bytes.Buffer
			if err := f.write(&out, inv, Subject{Name: s, Digest: s, Architecture: s, Layers: []Layer{{Digest: s, DiffID: s, MediaType: s}}}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var doc map[string]any
			if err := json.Unmarshal(out.Bytes(), &doc); err != nil || !utf8.Valid(out.Bytes()) {
				t.Fatalf("%s: %v, UTF-8 %v", name, err, utf8.Valid(out.Bytes()))
			}
			if bytes.ContainsFunc(out.Bytes(), func(r rune) bool { return r < ' ' && r != '\n' }) {
				t.Errorf("%s: a control character is not escaped", name)
			}
			if list, _ := doc[f.list].([]any); len(list) < len(inv.Components) {
				t.Errorf("%s: %d %s, want at least %d", name, len(list), f.list, len(inv.Components))
			}
		}
	}
}
