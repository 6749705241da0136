package mend

import "github.com/mullion/mullion/layer"

// Rules returns the IDs of the rules of package layer whose breaches are corrected, ordered:
// those with a Fix, which says what is changed and what stays. A breach of some of them has
// more than one correction in some layers, and stays there: two files of one name, a link
// before a target that a layer below may have.
func Rules() []string {
	var ids []string
	for _, r := range layer.Rules() {
		if r.Fix != "" {
			ids = append(ids, r.ID)
		}
	}
	return ids
}
