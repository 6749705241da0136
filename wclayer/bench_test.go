package wclayer

import (
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

func BenchmarkFinalSmallFiles(b *testing.B) {
	n := 100_000
	sd := make([]byte, 124)
	data := make([]byte, 1000)
	for _, mode := range []MetadataMode{MetadataXattr, MetadataIndex} {
		b.Run(fmt.Sprint(mode), func(b *testing.B) {
			for b.Loop() {
				dir := filepath.Join(b.TempDir(), fmt.Sprint("l", time.Now().UnixNano()))
				t0 := time.Now()
				w, err := Create(dir, nil, WithMetadata(mode), WithSync(SyncNone))
				if err != nil {
					b.Fatal(err)
				}
				must := func(err error) {
					if err != nil {
						b.Fatal(err)
					}
				}
				tm := winfs.Times{Creation: 132356160001234567, LastAccess: 132356160001234567, LastWrite: 132356160001234567, Change: 132356160001234567}
				must(w.Add(&layer.Entry{Path: "Files", Kind: layer.Dir, Times: tm, Security: sd}))
				for i := range n {
					if i%100 == 0 {
						must(w.Add(&layer.Entry{Path: fmt.Sprintf(`Files\d%d`, i/100), Kind: layer.Dir, Times: tm, Security: sd}))
					}
					must(w.Add(&layer.Entry{Path: fmt.Sprintf(`Files\d%d\file%d`, i/100, i), Kind: layer.File, Times: tm, Security: sd, Attributes: 0x20, Size: 1000}))
					must(w.AddStream(&layer.Stream{Size: 1000}))
					_, err := w.Write(data)
					must(err)
				}
				t1 := time.Now()
				must(w.Commit())
				t2 := time.Now()
				r, err := Open(dir)
				must(err)
				c := 0
				for {
					_, err := r.Next()
					if err == io.EOF {
						break
					}
					must(err)
					c++
					if _, err := r.NextStream(); err == nil {
						io.Copy(io.Discard, r)
					}
				}
				r.Close()
				t3 := time.Now()
				b.Log(c, t1.Sub(t0), t2.Sub(t1), t3.Sub(t2))

			}
		})
	}
}
