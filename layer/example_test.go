package layer_test

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
)

// A layer goes from one form to another through a Reader and a Writer. Here both
// are tars; any other pair works the same way.
func ExampleCopy() {
	var first bytes.Buffer
	w := wintar.NewWriter(&first)
	w.Add(&layer.Entry{Path: "Files", Kind: layer.Dir, Attributes: winfs.AttrDirectory})
	w.Add(&layer.Entry{Path: `Files\hello.txt`, Kind: layer.File, Size: 5, Attributes: winfs.AttrArchive})
	w.AddStream(&layer.Stream{Size: 5})
	io.WriteString(w, "hello")
	if err := w.Commit(); err != nil {
		fmt.Println(err)
		return
	}

	dst := wintar.NewWriter(io.Discard)
	defer dst.Close()
	stats, err := layer.Copy(context.Background(), dst, wintar.NewReader(&first), layer.WithLimits(layer.Limits{FileSize: 1 << 30}))
	if err == nil {
		err = dst.Commit()
	}
	fmt.Println(stats.Files, stats.Dirs, stats.Bytes, err)
	// Output: 1 1 5 <nil>
}

// A container sees the union of its layers.
func ExampleUnion() {
	base := tarSource(
		layer.Entry{Path: "Files", Kind: layer.Dir},
		layer.Entry{Path: `Files\old.txt`, Kind: layer.File},
		layer.Entry{Path: `Files\kept.txt`, Kind: layer.File})
	top := tarSource(
		layer.Entry{Path: `Files\old.txt`, Kind: layer.Whiteout},
		layer.Entry{Path: `Files\new.txt`, Kind: layer.File})
	view, err := layer.Union(context.Background(), []layer.Source{base, top})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer view.Close()
	for item, err := range view.Walk("") {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(item.Path, "from layer", item.Layer)
	}
	// Output:
	// Files from layer 0
	// Files\kept.txt from layer 0
	// Files\new.txt from layer 1
}

func tarSource(entries ...layer.Entry) layer.Source {
	var b bytes.Buffer
	w := wintar.NewWriter(&b)
	for i := range entries {
		w.Add(&entries[i])
	}
	w.Commit()
	return layer.SourceFunc(func() (layer.Reader, error) { return wintar.NewReader(bytes.NewReader(b.Bytes())), nil })
}
