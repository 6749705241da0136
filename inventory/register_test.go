package inventory

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/internal/testenv"
)

// oneLibrary finds one package of a language.
type oneLibrary struct{ registryOnly }

func (oneLibrary) Name() string { return "one" }

func (oneLibrary) Catalog(context.Context, System) iter.Seq2[Component, error] {
	return func(yield func(Component, error) bool) {
		yield(Component{Kind: Library, Name: "left-pad", Version: "1.3.0", Evidence: FileEvidence(`Files\app\package.json`)}, nil)
	}
}

func TestLanguages(t *testing.T) {
	img, err := image.Open(t.Context(), "oci-archive:"+testenv.Root(t)+"/examples/hello/hello.tar")
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	_, _, err = Of(t.Context(), img, WithLanguages())
	if e, ok := errors.AsType[*UnlinkedError](err); !ok || e.Package != languagesPackage {
		t.Errorf("without catalogers of languages: %v", err)
	}
	RegisterLanguages(func() []Cataloger { return []Cataloger{oneLibrary{}} })
	defer func() { languages = nil }()
	for _, c := range []struct {
		opts []Option
		want int
	}{{nil, 2}, {[]Option{WithLanguages()}, 3}, {nil, 2}} {
		inv, _, err := Of(t.Context(), img, c.opts...)
		if err != nil || len(inv.Components) != c.want {
			t.Errorf("%d options: %+v, %v", len(c.opts), inv, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("registered twice")
		}
	}()
	RegisterLanguages(func() []Cataloger { return nil })
}
