package content_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/build/internal/content"
	"github.com/mullion/mullion/layer"
)

// holes is a tar with one file of the old GNU form that is a single hole.
func holes(size int64) []byte {
	b := make([]byte, 3*512)
	for _, f := range []struct {
		at   int
		text string
	}{
		{0, "hole"}, {100, "0000644\x00"}, {108, "0000000\x00"}, {116, "0000000\x00"}, {124, "00000000000\x00"}, {136, "00000000000\x00"},
		{148, "        "}, {156, "S"}, {257, "ustar  \x00"},
		// No data, at the end; the size with the hole.
		{386, fmt.Sprintf("%011o\x00", size)}, {398, "00000000000\x00"}, {483, fmt.Sprintf("%011o\x00", size)},
	} {
		copy(b[f.at:], f.text)
	}
	sum := 0
	for _, c := range b[:512] {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// Holes count as expansion, so that a small archive cannot fill a disk, and a small hole is
// read as zeros.
func TestHoles(t *testing.T) {
	for _, format := range []string{"gzip", "zstd"} {
		a, ok, err := content.OpenArchive(context.Background(), "x", bytes.NewReader(packed(t, format, holes(8<<30-1))), layer.Limits{})
		var limit *layer.LimitError
		if !errors.As(err, &limit) || limit.Limit != "Ratio" || ok || a != nil || !strings.Contains(err.Error(), `"hole"`) {
			t.Errorf("%s: a hole of 8 GiB: %v", format, err)
		}
		dir := tree(t, "x.tar", string(packed(t, format, holes(5))))
		d := newDraft(t)
		must(t, content.CopyInto(context.Background(), d, open(t, dir, ""), []string{"x.tar"}, "Files", true, content.Options{Extract: true}))
		if got, want := shown(t, d), []string{"hole \x00\x00\x00\x00\x00"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", format, got, want)
		}
	}
}

// What has no entry is a file, as for BuildKit, which looks for the first header.
func TestNoArchive(t *testing.T) {
	empty := archive(t)
	for name, data := range map[string]string{
		"nothing": "", "text": "text", "zeros": strings.Repeat("\x00", 4096), "tar without entries": string(empty),
		"gzip of nothing": string(packed(t, "gzip", nil)), "gzip of text": string(packed(t, "gzip", []byte("text"))),
		"gzip of a tar without entries": string(packed(t, "gzip", empty)),
		"cut gzip":                      string(packed(t, "gzip", nil)[:5]), "bzip2 of nothing": "BZh9\x17\x72\x45\x38\x50\x90\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, "x", data)
			d := newDraft(t)
			must(t, content.CopyInto(context.Background(), d, open(t, dir, ""), []string{"x"}, `Files\y`, false, content.Options{Extract: true}))
			if got, want := shown(t, d), []string{"y " + data}; !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// The checksum behind the last entry is looked at, and zeros behind it are not.
func TestChecksum(t *testing.T) {
	good := packed(t, "gzip", archive(t, entry{"a", "text", 0}))
	flipped := bytes.Clone(good)
	flipped[len(flipped)-6] ^= 1
	for _, c := range []struct {
		name string
		data []byte
		want error
	}{
		{"good", good, nil}, {"padded", append(bytes.Clone(good), make([]byte, 512)...), nil},
		{"flipped", flipped, content.ErrArchive}, {"cut", good[:len(good)-3], content.ErrArchive},
		{"garbage", append(bytes.Clone(good), "garbage"...), content.ErrArchive},
	} {
		a, _, err := content.OpenArchive(context.Background(), "x.tgz", bytes.NewReader(c.data), layer.Limits{})
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), "x.tgz") {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if a != nil {
			must(t, a.Close())
		}
	}
}

// Whatever becomes of an archive, no temporary file stays.
func TestNoLeftovers(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp)
	good := packed(t, "gzip", archive(t, entry{"a", "text", 0}))
	for name, data := range map[string][]byte{
		"complete": good, "cut": good[:len(good)-12], "hole": packed(t, "gzip", holes(8<<30-1)),
		"outside": packed(t, "gzip", archive(t, entry{"a", "text", 0}, entry{"../b", "", 0})),
	} {
		ctx, cancel := context.WithCancel(context.Background())
		a, ok, err := content.OpenArchive(ctx, name, bytes.NewReader(data), layer.Limits{})
		if (err == nil) != (name == "complete") || ok != (name == "complete") {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
		if a != nil {
			must(t, a.Close())
		}
		cancel()
		list, err := os.ReadDir(temp)
		must(t, err)
		if len(list) > 0 {
			t.Errorf("%s: %s stays", name, list[0].Name())
		}
	}
}
