package backup_test

import (
	"bytes"
	"fmt"
	"io"

	"github.com/mullion/mullion/backup"
)

// A file with an alternate stream and a hole, written and probed.
func Example() {
	var buf bytes.Buffer
	w := backup.NewWriter(&buf)
	put := func(h backup.Header, data string) {
		h.Size = int64(len(data))
		if err := w.WriteHeader(&h); err != nil {
			fmt.Println(err)
		}
		if _, err := io.WriteString(w, data); err != nil {
			fmt.Println(err)
		}
	}
	put(backup.Header{ID: backup.Data, Attributes: backup.AttrSparse}, "")
	put(backup.Header{ID: backup.SparseBlock, Offset: 4096}, "content")
	put(backup.Header{ID: backup.SparseBlock, Offset: 65536}, "")
	put(backup.Header{ID: backup.AlternateData, Name: backup.StreamName("note")}, "hi")
	if err := w.Close(); err != nil {
		fmt.Println(err)
	}

	src := bytes.NewReader(buf.Bytes())
	info, err := backup.Probe(src, backup.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range info.Streams {
		n, _ := io.Copy(io.Discard, s.Reader(src))
		fmt.Printf("%q: %d bytes, %d allocated ranges, read %d\n", s.Name, s.Size, len(s.Extents), n)
	}
	// Output:
	// "": 65536 bytes, 1 allocated ranges, read 65536
	// "note": 2 bytes, 1 allocated ranges, read 2
}
