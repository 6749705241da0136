package mend_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/hostile"
	"github.com/mullion/mullion/mend"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
)

var fuzzLimits = layer.Limits{FileSize: 1 << 20, TotalSize: 4 << 20, Entries: 10_000}

// mendTar corrects a layer tar.
func mendTar(ctx context.Context, data []byte, opts mend.Options) ([]byte, error) {
	p, err := mend.Learn(ctx, wintar.NewReader(bytes.NewReader(data)), opts)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := wintar.NewWriter(&b)
	if _, err := layer.Copy(ctx, w, p.Reader(wintar.NewReader(bytes.NewReader(data))), layer.WithLimits(fuzzLimits)); err != nil {
		return nil, err
	}
	if err := w.Commit(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// rulesOf returns the rules of the errors of a layer tar, by rule, and whether one path has
// two entries, in which case one fault can hide another.
func rulesOf(t *testing.T, data []byte) (list []string, tangled bool) {
	t.Helper()
	for f, err := range wintar.Check(t.Context(), bytes.NewReader(data), wintar.WithLimits(fuzzLimits)) {
		if err != nil {
			t.Fatal(err)
		}
		if f.Severity == finding.Error {
			list = append(list, fmt.Sprint(f))
		}
		tangled = tangled || slices.Contains([]string{layer.RuleTypeChange.ID, layer.RuleDuplicate.ID, layer.RuleCaseConflict.ID, layer.RuleLinkToDirectory.ID, layer.RuleLimitExceeded.ID}, f.Rule)
	}
	return list, tangled
}

// mendAndCompare corrects a layer tar and verifies the result.
func mendAndCompare(t *testing.T, data []byte) {
	t.Helper()
	out, err := mendTar(t.Context(), data, mend.Options{Limits: fuzzLimits, FileAttributes: winfs.AttrArchive})
	if err != nil {
		return // the layer cannot be read, or not be written without a loss
	}
	before, tangled := rulesOf(t, data)
	after, _ := rulesOf(t, out)
	if len(after) > len(before) && !tangled {
		t.Errorf("%d errors become %d: %q, then %q", len(before), len(after), before, after)
	}
	again, err := mendTar(t.Context(), out, mend.Options{Limits: fuzzLimits, FileAttributes: winfs.AttrArchive})
	if err != nil {
		t.Fatalf("what was written is not read: %v", err)
	}
	if !bytes.Equal(again, out) {
		t.Error("a second correction changes something")
	}
}

// TestMendHostile corrects every layer of the hostile corpus that can be read.
func TestMendHostile(t *testing.T) {
	for _, c := range hostile.Cases() {
		if c.Packed != "" || c.Heavy {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			b, err := c.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			mendAndCompare(t, b)
		})
	}
}

// FuzzMendTar: a mutated layer that can be read is written so that it is read again, with no
// more errors than before.
func FuzzMendTar(f *testing.F) {
	for _, c := range hostile.Cases() {
		if c.Packed != "" || c.Heavy {
			continue
		}
		if b, err := c.Bytes(); err == nil && len(b) < 16<<10 {
			f.Add(b)
		}
	}
	f.Fuzz(mendAndCompare)
}
