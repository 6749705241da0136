package layer

import (
	"fmt"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/winfs"
)

// BenchmarkAudit measures clean files, 100 in a directory.
func BenchmarkAudit(b *testing.B) {
	var list []Entry
	for d := range 100 {
		dir := fmt.Sprintf(`Files\Program Files\Application\Resources%d`, d)
		for f := range 100 {
			list = append(list, Entry{Path: fmt.Sprintf(`%s\Resource file %d.txt`, dir, f), Kind: File, Attributes: winfs.AttrArchive, Security: []byte{1, 0, 0, 0x80}})
		}
	}
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		a := Audit{Report: func(finding.Finding) {}}
		for j := range list {
			a.Entry(&list[j], int64(j+1), -1)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(list)), "ns/entry")
}
