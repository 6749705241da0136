package hostile_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"github.com/mullion/mullion/layer/hostile"
)

func TestCorpus(t *testing.T) {
	cases := hostile.Cases()
	if len(cases) < 150 {
		t.Errorf("%d cases, at least 150 are promised", len(cases))
	}
	seen := map[string]bool{}
	for _, c := range cases {
		if c.Name == "" || c.What == "" || c.Read == 0 || c.Unpack == 0 || seen[c.Name] {
			t.Errorf("%q is not complete, or there twice", c.Name)
		}
		seen[c.Name] = true
		if c.Heavy {
			continue
		}
		a, err := c.Bytes()
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		if b, _ := c.Bytes(); !bytes.Equal(a, b) {
			t.Errorf("%s: two calls write different bytes", c.Name)
		}
	}
	t.Logf("%d cases", len(cases))
}

// TestGzipBomb holds the assembled deflate stream against the standard library.
func TestGzipBomb(t *testing.T) {
	if testing.Short() {
		t.Skip("inflates 4 GiB")
	}
	for _, c := range hostile.Cases() {
		if c.Name != "bomb/gzip-file" {
			continue
		}
		b, err := c.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, io.LimitReader(z, 64<<20))
		if err != nil || n != 64<<20 {
			t.Fatalf("%d bytes, %v", n, err)
		}
		if len(b) > 8<<20 {
			t.Errorf("%d bytes are not small", len(b))
		}
		return
	}
	t.Error("there is no gzip bomb")
}
