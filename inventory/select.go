package inventory

import "slices"

// Kinds lists the kinds of component in the order of an inventory.
func Kinds() []Kind { return slices.Clone(kindOrder) }

// Select returns an inventory with the components of some kinds, in the same order. What was
// skipped and the warnings stay. The components are shared with inv.
func (inv *Inventory) Select(kinds ...Kind) *Inventory {
	out := *inv
	out.Components = []Component{}
	for _, c := range inv.Components {
		if slices.Contains(kinds, c.Kind) {
			out.Components = append(out.Components, c)
		}
	}
	return &out
}

// The media types of the documents, under which registries keep them. That of Syft is not
// registered with IANA; Syft uses it.
const (
	MediaTypeCycloneDX = "application/vnd.cyclonedx+json"
	MediaTypeSPDX      = "application/spdx+json"
	MediaTypeSyft      = "application/vnd.syft+json"
)
