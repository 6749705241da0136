package hives

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/regf"
)

func TestCheckDirectory(t *testing.T) {
	system, err := Minimal(System, ServerCore(20348, 2700))
	if err != nil {
		t.Fatal(err)
	}
	delta, err := os.ReadFile(testenv.Corpus(t, "hives", "msuhanov_yarp/System_Delta"))
	if err != nil {
		t.Fatal(err)
	}
	spoilt := []byte(strings.Replace(string(delta), "nk", "xx", 2)) // the root and a key below it
	config, beside := "files/windows/SYSTEM32/Config/system", "Hives/SYSTEM_DELTA"
	for name, c := range map[string]struct {
		file    string
		content []byte
		base    bool
		want    error
	}{
		"a base layer":                  {config, system, true, nil},
		"a base layer, cut off":         {config, system[:6000], true, regf.ErrTruncated},
		"a base layer, no hive":         {config, []byte("regf"), true, regf.ErrNotHive},
		"a base layer with a delta":     {config, delta, true, regf.ErrInvalid},
		"an ordinary file of that name": {config, []byte("text"), false, nil},
		"a delta":                       {beside, delta, false, nil},
		"a delta, cut off":              {beside, delta[:len(delta)/2], false, regf.ErrTruncated},
		"a delta, damaged":              {beside, spoilt, false, regf.ErrCorrupt},
		"no hives":                      {"Files/x", nil, false, nil},
	} {
		dir := t.TempDir()
		p := filepath.Join(dir, c.file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, c.content, 0o644)); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckDirectory(t.Context(), root, c.base); !errors.Is(err, c.want) || err != nil && c.want == nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		root.Close()
	}
}
