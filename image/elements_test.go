package image

import (
	"errors"
	"strings"
	"testing"

	"github.com/mullion/mullion/image/internal/oci"
	"github.com/mullion/mullion/layer"
)

func TestElements(t *testing.T) {
	for text, want := range map[string]int{
		`null`: 1, `[]`: 1, `["a,]b\",",{"c":[1,2]}]`: 2, `[[1,2],[3,4],{}]`: 3,
	} {
		var n oci.Elements
		if err := n.UnmarshalJSON([]byte(text)); err != nil || int(n) != want {
			t.Errorf("%s: %d, %v", text, n, err)
		}
	}
	long := "[" + strings.Repeat("{},", oci.MaxElements) + "{}]"
	var limit *layer.LimitError
	for _, text := range []string{`{"manifests":` + long + `}`, `{"layers":` + long + `}`, `{"layers":[],"Layers":` + long + `}`} {
		if _, err := ParseDocument(Descriptor{}, []byte(text)); !errors.As(err, &limit) {
			t.Errorf("%.20s: %v", text, err)
		}
	}
	for _, text := range []string{`{"history":` + long + `}`, `{"rootfs":{"diff_ids":` + long + `}}`} {
		if _, err := ParseConfig(Descriptor{}, []byte(text)); !errors.As(err, &limit) {
			t.Errorf("%.20s: %v", text, err)
		}
	}
}
