package layerdir

import (
	"bytes"
	"testing"

	"github.com/mullion/mullion/winfs"
)

// FuzzMetaRecord holds that a record has one spelling, and so have the lists it
// refers to.
func FuzzMetaRecord(f *testing.F) {
	full := Record{Flags: recordKnown, attributes: 0x20, Times: winfs.Times{Creation: 1, LastAccess: -2, LastWrite: 132356160001234567, Change: 1<<63 - 1}}
	for i := range full.refs {
		full.refs[i] = ref{int64(i) << 20, 100, 7}
	}
	f.Add(full.append(nil))
	f.Add((&Record{Flags: RecordDir | RecordTimes}).append(nil))
	f.Add(appendStreams(nil, []streamInfo{{name: "s", size: 9, sparse: true, extents: extents{{Offset: 1, Length: 2}, {Offset: 5, Length: 4}}, data: ref{3, 6, 1}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := ParseRecord(b); err == nil {
			if again := r.append(nil); !bytes.Equal(b, again) {
				t.Fatalf("record %x is written as %x", b, again)
			}
			if len(b) > maxRecord {
				t.Fatalf("%d bytes", len(b))
			}
		}
		if list, err := parseStreams(b, 100); err == nil {
			if again := appendStreams(nil, list); !bytes.Equal(b, again) {
				t.Fatalf("streams %x are written as %x", b, again)
			}
		}
	})
}
