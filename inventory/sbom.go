package inventory

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// tool is the program named in the documents. It has no version, so that a document
// depends on the image alone.
const tool = "mullion"

// ref is a name for a component inside a document, the same in every run.
func (c *Component) ref() string {
	parts := []string{string(c.Kind), c.FoundBy, c.Evidence[0].String(), c.Name, c.Version, c.Architecture, c.Language}
	return string(c.Kind) + "-" + shortSum(strings.Join(parts, "\x00"))
}

// shortSum is a hash of a text for identifiers.
func shortSum(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// sha256Hex is the hash in a digest of OCI. It is not ok for other algorithms and forms.
func sha256Hex(digest string) (s string, ok bool) {
	s, ok = strings.CutPrefix(digest, "sha256:")
	return s, ok && len(s) == 2*sha256.Size && strings.Trim(s, "0123456789abcdef") == ""
}

// uuid is a UUID of version 8 (RFC 9562, 5.8), derived from the subject of a document.
func (s Subject) uuid(format string) string {
	b := sha256.Sum256([]byte(tool + "\x00" + format + "\x00" + s.Name + "\x00" + s.Digest))
	b[6], b[8] = b[6]&0x0F|0x80, b[8]&0x3F|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// created is the time that documents bear: that of the image, or 1970.
func (s Subject) created() string {
	t := s.Created
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// property is a fact that a document has no field for.
type property struct{ name, value string }

// properties lists such facts, in order.
func (c *Component) properties() []property {
	var list []property
	for _, p := range []property{
		{"kind", string(c.Kind)}, {"architecture", c.Architecture}, {"language", c.Language}, {"kb", c.KB}, {"productID", c.ProductID},
		{"state", string(c.State)}, {"installed", c.installed()}, {"productCode", c.ProductCode}, {"foundBy", c.FoundBy},
	} {
		if p.value != "" {
			list = append(list, property{"mullion:" + p.name, p.value})
		}
	}
	for _, p := range c.Properties {
		list = append(list, property{"mullion:" + string(c.Kind) + ":" + p.Name, p.Value})
	}
	return list
}

// installed is the date of installation, "" if it is not known.
func (c *Component) installed() string {
	if c.Installed.IsZero() {
		return ""
	}
	return c.Installed.UTC().Format(time.DateOnly)
}

// String formats as "CATALOGER: PLACE: REASON".
func (s Skipped) String() string {
	parts := []string{s.Cataloger, s.Evidence.String(), s.Reason}
	if s.Evidence.Path == "" && s.Evidence.Key == "" {
		parts = slices.Delete(parts, 1, 2)
	}
	return strings.Join(parts, ": ")
}
