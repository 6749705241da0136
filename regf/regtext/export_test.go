package regtext_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/regf/regtext"
)

// wholeHives are the corpus hives without damage, clean or dirty.
func wholeHives(t testing.TB) []string {
	t.Helper()
	root := testenv.Corpus(t, "hives")
	var names []string
	for _, n := range strings.Fields(`
		AndrewRathbun_DFIRArtifactMuseum/BCD-Template AndrewRathbun_DFIRArtifactMuseum/DEFAULT
		EricZimmerman_Registry/SAM_hasBigEndianDWord JimDude7404_WSA-Windows-10/Registry.dat buildpacks_imgutil/BCD
		log2timeline_plaso/100_sub_keys.hiv log2timeline_plaso/UsrClass.dat mkorman90_regipy/NTUSER.DAT
		mkorman90_regipy/NTUSER_BAGMRU.DAT mkorman90_regipy/SYSTEM mkorman90_regipy/SYSTEM_B
		msuhanov_yarp/BigDataHive msuhanov_yarp/UpcaseHive msuhanov_yarp/System_Delta
		skelsec_aiowinreg/nt/software.reg skelsec_aiowinreg/win2022_64/sam.reg strozfriedberg_notatin/win7_ntuser.dat`) {
		if strings.HasSuffix(n, "SYSTEM_B") && os.Getenv("MULLION_LONG") != "1" {
			continue // like SYSTEM
		}
		names = append(names, filepath.Join(root, n))
	}
	return names
}

func open(t testing.TB, name string) *regf.Hive {
	t.Helper()
	h, err := regf.Open(name, &regf.Options{AllowDirty: true, Mode: regf.Report})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// Reading an export returns the keys and values of the hive in their order, in every
// encoding that can hold them.
func TestExportRoundTrip(t *testing.T) {
	for _, file := range wholeHives(t) {
		h := open(t, file)
		for _, opt := range []regtext.Options{{}, {Encoding: regtext.UTF8, Prefix: "X"}, {Version: 4}} {
			t.Run(fmt.Sprintf("%s/%d,%d", filepath.Base(file), opt.Version, opt.Encoding), func(t *testing.T) {
				var text bytes.Buffer
				if err := regtext.Export(&text, h.Root(), opt); err != nil {
					if opt.Version == 4 && errors.Is(err, regtext.ErrCannotHold) {
						return // the old form has no way to say it
					}
					t.Fatal(err)
				}
				prefix := opt.Prefix
				if prefix == "" {
					prefix = regtext.DefaultPrefix
				}
				r := regtext.NewReader(&text)
				r.Raw = true
				keys, values := 0, 0
				next := func(want regtext.Op) {
					t.Helper()
					got, err := r.Next()
					if err != nil {
						t.Fatalf("want %+v: %v", want, err)
					}
					want.Line = got.Line
					if got.Kind != want.Kind || got.Key != want.Key || got.Name != want.Name || got.Type != want.Type || !bytes.Equal(got.Data, want.Data) {
						t.Fatalf("got %+v\nwant %+v", got, want)
					}
				}
				for k, err := range h.Root().Walk() {
					if err != nil {
						t.Fatal(err)
					}
					path := prefix
					if p := k.Path(); p != "" {
						path += `\` + p
					}
					keys++
					if l := k.Layer(); l == regf.LayerTombstone || l == regf.LayerSupersedeTree {
						next(regtext.Op{Kind: regtext.DeleteKey, Key: path})
						if l == regf.LayerTombstone {
							continue
						}
					}
					next(regtext.Op{Kind: regtext.MakeKey, Key: path})
					for v, err := range k.Values() {
						if err != nil {
							t.Fatal(err)
						}
						values++
						if v.Tombstone() {
							next(regtext.Op{Kind: regtext.DeleteValue, Key: path, Name: v.Name()})
							continue
						}
						data, err := v.Data()
						if err != nil {
							t.Fatal(err)
						}
						next(regtext.Op{Kind: regtext.SetValue, Key: path, Name: v.Name(), Type: uint32(v.Type()), Data: data})
					}
				}
				if _, err := r.Next(); err != io.EOF {
					t.Error("more than the hive holds:", err)
				}
				t.Logf("%d keys, %d values", keys, values)
			})
		}
	}
}

// The example is regedit's output, line breaks included.
func TestExportForm(t *testing.T) {
	h := open(t, testenv.Corpus(t, "hives", "mkorman90_regipy", "BCD"))
	k, err := h.Key(`Description`)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := regtext.Export(&b, k, regtext.Options{Prefix: `HKEY_LOCAL_MACHINE\BCD00000000`, Encoding: regtext.UTF8}); err != nil {
		t.Fatal(err)
	}
	t.Log(b.String())
	for line := range strings.SplitSeq(b.String(), "\r\n") {
		if len(line) > 80 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
}

func BenchmarkExport(b *testing.B) {
	name := testenv.Corpus(b, "hives", "mkorman90_regipy", "SYSTEM")
	for b.Loop() {
		h, err := regf.Open(name, nil)
		if err != nil {
			b.Fatal(err)
		}
		f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		if err != nil {
			b.Fatal(err)
		}
		if err := regtext.Export(f, h.Root(), regtext.Options{}); err != nil {
			b.Fatal(err)
		}
		f.Close()
		h.Close()
	}
}
