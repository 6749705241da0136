package cimfs

import (
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

func wantClean(t testing.TB, dir, name string) {
	t.Helper()
	found, err := Check(dir, name, CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

func TestCheckSamples(t *testing.T) {
	wantClean(t, testenv.Corpus(t, "cim", "hello-v3"), "hello.cim")
	wantClean(t, testenv.Corpus(t, "cim", "synthetic-v1"), "synthetic.cim")
}
