package layerdir

import (
	"fmt"
	"testing"
)

// TestTreeNewest adds names that differ in case only, as a utility VM on a host that
// distinguishes case has them, while the index grows around them.
func TestTreeNewest(t *testing.T) {
	tree := NewTree()
	dir := tree.Add(0, "Files", NodeDir)
	newest := map[string]NodeID{}
	for round, form := range []string{"name-%d.dll", "NAME-%d.dll", "Name-%d.DLL"} {
		for i := range 2000 {
			newest[fmt.Sprintf("name-%d.dll", i)] = tree.Add(dir, fmt.Sprintf(form, i), NodeFile)
		}
		for name, want := range newest {
			if got := tree.Find(dir, name); got != want {
				t.Fatalf("round %d: %s is node %d, want the newest, %d", round, name, got, want)
			}
		}
	}
	if id := tree.Find(0, "name-0.dll"); id != NoNode {
		t.Errorf("the root has node %d of another directory", id)
	}
}
