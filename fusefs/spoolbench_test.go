package fusefs

import (
	"fmt"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// BenchmarkSpool adds 100,000 empty files in directories of 1,000.
func BenchmarkSpool(b *testing.B) {
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("File-%07d.dll", i))
	}
	b.ReportAllocs()
	for b.Loop() {
		s, err := NewSpool(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		for d := range 100 {
			if err := s.Add(&layer.Entry{Path: names[d], Kind: layer.Dir}); err != nil {
				b.Fatal(err)
			}
			for _, n := range names {
				if err := s.Add(&layer.Entry{Path: winfs.JoinPath(names[d], n), Kind: layer.File}); err != nil {
					b.Fatal(err)
				}
			}
		}
		if err := s.Commit(); err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
