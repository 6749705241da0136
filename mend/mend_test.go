package mend_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/mend"
	"github.com/mullion/mullion/winfs"
)

// parse makes a layer of words: d PATH, f PATH, l PATH>TARGET, w PATH, o PATH.
func parse(words ...string) *layertest.Layer {
	l := &layertest.Layer{}
	for _, word := range words {
		op, path, _ := strings.Cut(word, " ")
		it := layertest.Item{Entry: layer.Entry{Path: path}}
		switch op {
		case "d":
			it.Kind, it.Attributes = layer.Dir, winfs.AttrDirectory
		case "f":
			it.Kind, it.Attributes, it.Size = layer.File, winfs.AttrArchive, int64(len(path))
			it.Streams = []layertest.Stream{{Data: []byte(path)}}
		case "l":
			it.Kind = layer.Link
			it.Path, it.Target, _ = strings.Cut(path, ">")
		case "w":
			it.Kind = layer.Whiteout
		case "o":
			it.Kind = layer.Opaque
		}
		l.Items = append(l.Items, it)
	}
	return l
}

// format is the opposite of parse.
func format(l *layertest.Layer) []string {
	var out []string
	for i := range l.Items {
		e := &l.Items[i].Entry
		switch e.Kind {
		case layer.Dir:
			out = append(out, "d "+e.Path)
		case layer.File:
			out = append(out, "f "+e.Path)
		case layer.Link:
			out = append(out, "l "+e.Path+">"+e.Target)
		case layer.Whiteout:
			out = append(out, "w "+e.Path)
		case layer.Opaque:
			out = append(out, "o "+e.Path)
		}
	}
	return out
}

func mended(t testing.TB, l *layertest.Layer, opts mend.Options) *layertest.Layer {
	t.Helper()
	open := func() layer.Reader {
		r, err := l.Open()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := open()
	p, err := mend.Learn(t.Context(), first, opts)
	if err == nil {
		err = first.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	r := p.Reader(open())
	out, err := layertest.Collect(r, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

// below makes what the layers below show.
func below(t testing.TB, layers ...*layertest.Layer) *layer.Below {
	t.Helper()
	b := &layer.Below{}
	for _, l := range layers {
		r, err := l.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := finding.Collect(layer.Check(t.Context(), r, layer.CheckOptions{Below: b})); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func TestMend(t *testing.T) {
	base := parse("d Files", `f Files\a`, "d Hives", "d UtilityVM", `d UtilityVM\Files`, `f UtilityVM\Files\v`)
	for name, c := range map[string]struct {
		opts       mend.Options
		over       bool // base
		in, result []string
	}{
		"nothing": {mend.Options{}, false, []string{"d Files", `f Files\a`, `l Files\b>Files\a`, "d Hives"}, nil},
		"missing directories": {mend.Options{}, false, []string{"d Files", `f Files\a\b\c`, `f Files\a\d`, "d Hives"},
			[]string{"d Files", `d Files\a`, `d Files\a\b`, `f Files\a\b\c`, `f Files\a\d`, "d Hives"}},
		"late directories": {mend.Options{}, false, []string{"d Hives", `f Files\a\b\c`, `d Files\a\b`, `d Files\a`, "d Files"},
			[]string{"d Hives", "d Files", `d Files\a`, `d Files\a\b`, `f Files\a\b\c`}},
		"no roots":        {mend.Options{HasParents: true}, false, []string{`f Files\a`}, []string{"d Files", "d Hives", `f Files\a`}},
		"no roots, base":  {mend.Options{Base: true}, false, []string{`f Files\a`}, []string{"d Files", `f Files\a`}},
		"case of roots":   {mend.Options{}, false, []string{"d FILES", "d files", `f files\a`, `l files\b>FILES\A`, "d hives"}, []string{"d Files", `f Files\a`, `l Files\b>Files\a`, "d Hives"}},
		"forward link":    {mend.Options{Base: true}, false, []string{"d Files", `l Files\l>Files\a`, `l Files\m>Files\l`, `d Files\d`, `f Files\a`, `f Files\z`}, []string{"d Files", `d Files\d`, `f Files\a`, `l Files\l>Files\a`, `l Files\m>Files\a`, `f Files\z`}},
		"forward, unsure": {mend.Options{HasParents: true}, false, []string{"d Files", "d Hives", `l Files\l>Files\a`, `f Files\a`}, nil},
		"forward, replaced below": {mend.Options{HasParents: true}, true, []string{"d Files", "d Hives", `l Files\l>Files\a`, `f Files\a`},
			nil},
		"forward, new": {mend.Options{HasParents: true}, true, []string{"d Files", "d Hives", `l Files\l>Files\b`, `f Files\b`},
			[]string{"d Files", "d Hives", `f Files\b`, `l Files\l>Files\b`}},
		"forward into a new directory": {mend.Options{Base: true}, false, []string{"d Files", `l Files\d\l>Files\a`, `d Files\d`, `f Files\a`},
			[]string{"d Files", `f Files\a`, `d Files\d`, `l Files\d\l>Files\a`}},
		"link to link":         {mend.Options{}, false, []string{"d Files", "d Hives", `f Files\a`, `l Files\l>Files\A`, `l Files\m>Files\L`}, []string{"d Files", "d Hives", `f Files\a`, `l Files\l>Files\a`, `l Files\m>Files\a`}},
		"circle":               {mend.Options{Base: true}, false, []string{"d Files", `l Files\l>Files\m`, `l Files\m>Files\l`, `l Files\n>Files\n`}, nil},
		"whiteouts twice":      {mend.Options{HasParents: true}, false, []string{"d Files", "d Hives", `w Files\a`, `w Files\A`, `o Files`, `o Files`}, []string{"d Files", "d Hives", `w Files\a`, `o Files`}},
		"whiteout and opaque":  {mend.Options{HasParents: true}, false, []string{"d Files", "d Hives", `o Files\a`, `w Files\a`}, []string{"d Files", "d Hives", `w Files\a`}},
		"whiteout and file":    {mend.Options{HasParents: true}, false, []string{"d Files", "d Hives", `w Files\a`, `f Files\a`, `w Files\d`, `d Files\d`}, []string{"d Files", "d Hives", `f Files\a`, `w Files\d`, `d Files\d`}},
		"whiteout in a base":   {mend.Options{Base: true}, false, []string{"d Files", `w Files\a`, `o Files`}, []string{"d Files"}},
		"whiteout of the VM":   {mend.Options{HasParents: true}, true, []string{"d Files", "d Hives", `w UtilityVM\Files\v`, `w UtilityVM\Files\n`}, []string{"d Files", "d Hives", `w UtilityVM\Files\v`}},
		"duplicate directory":  {mend.Options{}, false, []string{"d Files", "d Hives", `d Files\d`, `d Files\d`}, []string{"d Files", "d Hives", `d Files\d`}},
		"duplicate file stays": {mend.Options{}, false, []string{"d Files", "d Hives", `f Files\d`, `f Files\d`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if c.over {
				c.opts.Below = below(t, base)
			}
			want := c.result
			if want == nil {
				want = c.in
			}
			out := mended(t, parse(c.in...), c.opts)
			if got := format(out); !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
			if again := format(mended(t, out, c.opts)); !slices.Equal(again, want) {
				t.Errorf("once more: %q", again)
			}
		})
	}
}

// TestMendMetadata: times that are no times, metadata that Windows has no file for, and
// nothing else.
func TestMendMetadata(t *testing.T) {
	l := parse("d Files", "d Hives", "d UtilityVM", `f Files\a`)
	sd := []byte{1, 2, 3}
	for i := range l.Items {
		l.Items[i].Security = sd
		l.Items[i].Times = winfs.Times{Creation: 184467440737095516, LastAccess: layer.GoZeroTime, LastWrite: 7, Change: 9}
	}
	for i, it := range mended(t, l, mend.Options{HasParents: true}).Items {
		if it.Times != (winfs.Times{LastAccess: 7, LastWrite: 7, Change: 9}) || (it.Security == nil) != (it.Path == "UtilityVM") {
			t.Errorf("entry %d: %+v", i, it.Entry)
		}
	}
	for _, it := range mended(t, l, mend.Options{Base: true}).Items {
		if it.Security == nil {
			t.Errorf("the base loses the descriptor of %s", it.Path)
		}
	}
}

// TestProvide: a missing directory gets the metadata that the caller knows.
func TestProvide(t *testing.T) {
	l := parse("d Files", "d Hives", `f Files\D\e\f`)
	r, err := l.Open()
	if err != nil {
		t.Fatal(err)
	}
	p, err := mend.Learn(t.Context(), r, mend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Missing(), []string{`Files\D`, `Files\D\e`}; !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	p.Provide(`files\d`, &layer.Entry{Kind: layer.Dir, Path: `Files\d`, Attributes: winfs.AttrDirectory | winfs.AttrHidden, Security: []byte{1}})
	p.Provide(`Files\x`, &layer.Entry{Kind: layer.Dir})
	p.Provide(`Files\D\e`, &layer.Entry{Kind: layer.File, Attributes: winfs.AttrHidden})
	again, err := l.Open()
	if err != nil {
		t.Fatal(err)
	}
	out, err := layertest.Collect(p.Reader(again), false)
	if err != nil {
		t.Fatal(err)
	}
	if e := out.Items[2].Entry; e.Path != `Files\D` || e.Attributes&winfs.AttrHidden == 0 || len(e.Security) != 1 {
		t.Errorf("%+v", e)
	}
	if e := out.Items[3].Entry; e.Path != `Files\D\e` || e.Attributes != winfs.AttrDirectory {
		t.Errorf("%+v", e)
	}
}

// TestMendKeeps: a layer without faults is yielded as it is, with streams and holes, and a
// shuffled one keeps every file and its content.
func TestMendKeeps(t *testing.T) {
	for seed := range uint64(30) {
		l := layertest.Random(seed, layertest.Shape{Entries: 100})
		f := layertest.Format{}
		for _, d := range f.Compare(l, mended(t, l, mend.Options{}), true) {
			if !strings.Contains(d, "target") {
				t.Errorf("seed %d: %s", seed, d)
			}
		}
	}
}

// TestLearnLimits: a plan is bounded, and its errors name the limit.
func TestLearnLimits(t *testing.T) {
	for limit, l := range map[string]layer.Limits{"Entries": {Entries: 2}, "Depth": {Depth: 1}, "MetadataLen": {MetadataLen: 6}} {
		r, err := parse("d Files", `f Files\a`, "d Hives").Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := mend.Learn(t.Context(), r, mend.Options{Limits: l}); err == nil || !strings.Contains(err.Error(), limit) {
			t.Errorf("%s: %v", limit, err)
		}
	}
}

// errorsOf returns how many findings of severity error a layer has, by rule.
func errorsOf(t testing.TB, l *layertest.Layer, opts mend.Options) (n int, all []string) {
	r, err := l.Open()
	if err != nil {
		t.Fatal(err)
	}
	for f, err := range layer.Check(t.Context(), r, layer.CheckOptions{Base: opts.Base, HasParents: opts.HasParents}) {
		if err != nil {
			t.Fatal(err)
		}
		if f.Severity == finding.Error {
			n++
			all = append(all, fmt.Sprint(f))
		}
	}
	return n, all
}

// FuzzMend: for any sequence of entries, errors do not grow, a second correction changes
// nothing, and no file is lost.
func FuzzMend(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3}, uint8(0))
	f.Add([]byte("d0f1l2w3o4l5f6d7"), uint8(1))
	f.Add([]byte{2, 0x12, 0x21, 0x10, 0x31, 0x40, 0x02}, uint8(2))
	paths := []string{"Files", `Files\a`, `Files\A`, `Files\a\b`, `Files\a\b\c`, `Files\c`, "Hives", `Hives\System_Delta`, "UtilityVM", `UtilityVM\Files`, `UtilityVM\Files\x`, `files\d`, `Files\d`, `Files\d\e`, "x", `UtilityVM\y`}
	f.Fuzz(func(t *testing.T, data []byte, place uint8) {
		if len(data) > 200 {
			return
		}
		var words []string
		for i := 0; i+1 < len(data); i += 2 {
			path, target := paths[data[i]>>4], paths[data[i+1]&15]
			switch data[i] & 7 {
			case 0, 5:
				words = append(words, "d "+path)
			case 1, 6:
				words = append(words, "f "+path)
			case 2, 7:
				words = append(words, "l "+path+">"+target)
			case 3:
				words = append(words, "w "+path)
			case 4:
				words = append(words, "o "+path)
			}
		}
		opts := mend.Options{Base: place%3 == 1, HasParents: place%3 == 2}
		l := parse(words...)
		out := mended(t, l, opts)
		before, was := errorsOf(t, l, opts)
		after, is := errorsOf(t, out, opts)
		// In a layer with two entries for one path, one fault can hide another.
		tangled := slices.ContainsFunc(was, func(f string) bool {
			for _, rule := range []*finding.Rule{layer.RuleTypeChange, layer.RuleDuplicate, layer.RuleCaseConflict, layer.RuleLinkToDirectory} {
				if strings.HasPrefix(f, "error "+rule.ID) {
					return true
				}
			}
			return false
		})
		if after > before && !tangled {
			t.Errorf("%q: %d errors become %d: %q, then %q, of %q", words, before, after, was, is, format(out))
		}
		if again := mended(t, out, opts); !slices.Equal(format(again), format(out)) {
			t.Errorf("%q: %q is corrected to %q", words, format(out), format(again))
		}
		count := func(l *layertest.Layer) (n int) {
			for i := range l.Items {
				if k := l.Items[i].Kind; k == layer.File || k == layer.Link {
					n++
				}
			}
			return n
		}
		if count(l) != count(out) {
			t.Errorf("%q: %d files and links become %d", words, count(l), count(out))
		}
	})
}
