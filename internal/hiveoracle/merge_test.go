package hiveoracle_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// naiveKey is a key of the naive model of merging.
type naiveKey struct {
	layer  regf.Layer
	values map[string]string // by folded name: type and data; "" is a tombstone
	kids   map[string]*naiveKey
}

// naiveOf reads a hive, a delta with what its keys and values say of the layer below.
func naiveOf(t *testing.T, h *regf.Hive) *naiveKey {
	t.Helper()
	var stack []*naiveKey
	for k, err := range h.Root().Walk() {
		if err != nil {
			t.Fatal(err)
		}
		n := &naiveKey{layer: k.Layer(), values: map[string]string{}, kids: map[string]*naiveKey{}}
		for v, err := range k.Values() {
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			if !v.Tombstone() {
				data, err := v.Data()
				if err != nil {
					t.Fatal(err)
				}
				text = fmt.Sprintf("%x %s", uint32(v.Type()), hexField(data))
			}
			n.values[winfs.Fold(v.Name())] = text
		}
		stack = append(stack[:k.Level()], n)
		if k.Level() > 0 {
			stack[k.Level()-1].kids[winfs.Fold(k.Name())] = n
		}
	}
	return stack[0]
}

// naiveMerge puts a key of the delta over that of the base; either may be nil. These
// are the rules of docs/spec/registry.md, "Merging", one after the other.
func naiveMerge(base, delta *naiveKey) *naiveKey {
	if delta == nil {
		return base
	}
	if delta.layer == regf.LayerTombstone {
		return nil
	}
	out := &naiveKey{values: map[string]string{}, kids: map[string]*naiveKey{}}
	if base != nil && delta.layer != regf.LayerSupersedeTree {
		if delta.layer != regf.LayerSupersedeLocal {
			for n, v := range base.values {
				out.values[n] = v
			}
		}
		for n, k := range base.kids {
			out.kids[n] = k
		}
	}
	for n, v := range delta.values {
		if out.values[n] = v; v == "" {
			delete(out.values, n)
		}
	}
	for n, k := range delta.kids {
		if out.kids[n] = naiveMerge(out.kids[n], k); out.kids[n] == nil {
			delete(out.kids, n)
		}
	}
	return out
}

// flatten lists the keys by path.
func (k *naiveKey) flatten(path string, to map[string]map[string]string) {
	to[path] = k.values
	for n, kid := range k.kids {
		kid.flatten(path+`\`+n, to)
	}
}

// flattenLines does the same to what an oracle printed.
func flattenLines(t *testing.T, lines []string) map[string]map[string]string {
	t.Helper()
	to := map[string]map[string]string{}
	var path []string
	name := func(field string) string {
		if field == "-" {
			return ""
		}
		b, err := hex.DecodeString(field)
		if err != nil {
			t.Fatal(err)
		}
		return winfs.Fold(string(b))
	}
	for _, l := range lines {
		f := strings.Fields(l)
		if f[0] == "V" {
			to[strings.Join(path, `\`)][name(f[1])] = strings.Join(f[2:], " ")
			continue
		}
		var level int
		if _, err := fmt.Sscan(f[1], &level); err != nil {
			t.Fatal(err)
		}
		n := name(f[2])
		if level == 0 {
			n = ""
		}
		path = append(path[:level], n)
		to[strings.Join(path, `\`)] = map[string]string{}
	}
	return to
}

// The genuine delta, merged over every SYSTEM hive of the corpus that is whole, is read
// by the libraries behind hivexsh, regfexport and reglookup as the naive model has it,
// key by key and value by value.
func TestMergeReadByOracles(t *testing.T) {
	deltaFile := testenv.Corpus(t, "hives", "msuhanov_yarp/System_Delta")
	delta, err := regf.Open(deltaFile, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { delta.Close() }) // after the subtests, which run side by side
	deltaModel := naiveOf(t, delta)
	var built []*oracle
	for _, o := range oracles() {
		o.build(t)
		built = append(built, o)
	}
	done := 0
	for _, file := range corpusHives(t) {
		if !strings.HasPrefix(strings.ToUpper(filepath.Base(file)), "SYSTEM") || strings.Contains(file, "Delta") {
			continue
		}
		if _, bad := damaged[file]; bad {
			continue
		}
		done++
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			mergeReadByOracles(t, built, file, delta, deltaModel)
		})
	}
	if done < 2 {
		t.Errorf("only %d hives", done)
	}
}

func mergeReadByOracles(t *testing.T, built []*oracle, file string, delta *regf.Hive, deltaModel *naiveKey) {
	// A dirty one, as that of Windows 10 1709, is taken as it stands: the rules of
	// merging do not depend on what its logs would change.
	base, err := regf.Open(testenv.Corpus(t, "hives", file), &regf.Options{AllowDirty: true})
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	merged, err := hives.MergeHives(t.Context(), base, delta)
	if base.Header().Flags&regf.HeaderLayered != 0 {
		// A hive of Windows NT 4 that has the bit by chance: ORMergeHives refuses it too.
		if !errors.Is(err, regf.ErrInvalid) {
			t.Errorf("a base with the flag of differencing hives: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "merged")
	if err := errors.Join(merged.WriteCompactFile(out, nil), merged.Close()); err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]string{}
	naiveMerge(naiveOf(t, base), deltaModel).flatten("", want)
	values := 0
	for _, v := range want {
		values += len(v)
	}
	for _, o := range built {
		lines, err := o.run(out)
		if err != nil {
			t.Errorf("%s: %v", o.name, err)
			continue
		}
		got := flattenLines(t, lines)
		bad := 0
		tell := func(format string, a ...any) {
			if bad++; bad <= 10 {
				t.Errorf("%s: %s", o.name, fmt.Sprintf(format, a...))
			}
		}
		for p, values := range want {
			theirs, ok := got[p]
			if !ok {
				tell("key %s is missing", p)
			}
			for n, v := range values {
				if w, ok := theirs[n]; !ok {
					tell("%s: value %s is missing", p, n)
				} else if w != v && !explained(o, n, v, w) {
					tell("%s: value %s is %.80s, want %.80s", p, n, w, v)
				}
			}
			if len(theirs) > len(values) {
				tell("%s: %d values, want %d", p, len(theirs), len(values))
			}
		}
		for p := range got {
			if want[p] == nil {
				tell("key %s should not be there", p)
			}
		}
	}
	t.Logf("%d keys, %d values merged as the model has them", len(want), values)
}

// explained tells whether an oracle is known to print such data wrongly.
func explained(o *oracle, name, ours, theirs string) bool {
	fields := func(s string) []string { return append([]string{"V", name}, strings.Fields(s)...) }
	for _, e := range exceptions {
		if e.oracle == o.name && e.explains != nil && (e.file == "" || strings.Contains(e.file, "SYSTEM")) && e.explains(fields(ours), fields(theirs)) {
			return true
		}
	}
	return false
}
