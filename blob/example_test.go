package blob_test

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/mullion/mullion/blob"
)

func Example() {
	var stored bytes.Buffer
	w, err := blob.NewWriter(&stored, blob.Gzip)
	if err != nil {
		panic(err)
	}
	io.WriteString(w, "a layer tar\n")
	if err := w.Close(); err != nil {
		panic(err)
	}

	r, err := blob.NewReader(context.Background(), &stored,
		blob.WithDigest(w.Digest(), w.StoredSize()), blob.WithDiffID(w.DiffID()))
	if err != nil {
		panic(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r) // nil only if both digests held
	fmt.Printf("%v %s%v", r.Format(), data, err)
	// Output:
	// gzip a layer tar
	// <nil>
}
