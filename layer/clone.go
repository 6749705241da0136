package layer

import (
	"bytes"
	"slices"
)

// Clone returns a copy that shares no memory with e, for keeping an entry after the
// reader's next step.
func (e *Entry) Clone() Entry {
	c := *e
	c.Security = bytes.Clone(e.Security)
	c.Reparse = bytes.Clone(e.Reparse)
	c.ObjectID = bytes.Clone(e.ObjectID)
	c.EAs = slices.Clone(e.EAs)
	for i := range c.EAs {
		c.EAs[i].Value = bytes.Clone(c.EAs[i].Value)
	}
	return c
}
