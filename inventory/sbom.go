package inventory

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// tool is the program named in the documents. It has no version, so that a document
// depends on the image alone.
const tool = "mullion"

// ref is a name for a component inside a document, the same in every run.
func (c *Component) ref() string {
	sum := sha256.Sum256([]byte(string(c.Kind) + "\x00" + c.FoundBy + "\x00" + c.Evidence[0].String() + "\x00" + c.Name))
	return string(c.Kind) + "-" + hex.EncodeToString(sum[:8])
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
		{"kind", string(c.Kind)}, {"architecture", c.Architecture}, {"kb", c.KB},
		{"state", string(c.State)}, {"installed", c.installed()}, {"productCode", c.ProductCode}, {"evidence", c.Evidence[0].String()},
	} {
		if p.value != "" {
			list = append(list, property{"mullion:" + p.name, p.value})
		}
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
