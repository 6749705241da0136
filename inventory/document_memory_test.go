package inventory

import (
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/mullion/mullion/hives"
)

// heapMeter measures the live heap whenever a few more mebibytes are written.
type heapMeter struct {
	next, written int64
	most          uint64
}

func (m *heapMeter) Write(p []byte) (int, error) {
	if m.written += int64(len(p)); m.written >= m.next {
		m.next = m.written + 8<<20
		m.most = max(m.most, heap())
	}
	return len(p), nil
}

func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// A document is not held in memory: what is kept of a component is its name in the document.
func TestDocumentMemory(t *testing.T) {
	const n, each = 100_000, 250
	inv := &Inventory{}
	for i := range n {
		inv.Components = append(inv.Components, Component{
			Kind: Program, Name: fmt.Sprintf("Program %d", i), Version: "1.2.3", Publisher: "Contoso", FoundBy: "programs", SHA256: fmt.Sprintf("%064x", i),
			Properties: []Property{{Name: "path", Value: fmt.Sprintf(`C:\Program Files\Contoso\%d`, i)}},
			Evidence:   []Evidence{{Path: fmt.Sprintf(`Files\Program Files\Contoso\%d\program.exe`, i), Layer: i % 3}, {Hive: hives.Software, Key: `Microsoft\Windows`}},
		})
	}
	s := Subject{Name: "image", Digest: "sha256:00", Layers: []Layer{{Digest: "sha256:01"}, {Digest: "sha256:02"}}}
	for name, write := range map[string]func(io.Writer, *Inventory, Subject) error{"cyclonedx": WriteCycloneDX, "spdx": WriteSPDX, "syft": WriteSyft} {
		before := heap()
		m := &heapMeter{}
		if err := write(m, inv, s); err != nil {
			t.Fatal(err)
		}
		more := int64(m.most) - int64(before)
		t.Logf("%s: %d MB written, %d bytes a component held", name, m.written>>20, more/n)
		if more > n*each {
			t.Errorf("%s: %d bytes a component are held while %d bytes are written, want at most %d", name, more/n, m.written/n, each)
		}
	}
	runtime.KeepAlive(inv)
}
