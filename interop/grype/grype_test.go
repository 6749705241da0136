package grype

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anchore/grype/grype"
	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/anchore/grype/grype/db/v6/testdb"
	"github.com/anchore/grype/grype/pkg"
	"github.com/anchore/grype/grype/vulnerability"
	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/imagetest"
	_ "github.com/mullion/mullion/image/layout"
	"github.com/mullion/mullion/inventory"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
	"github.com/mullion/mullion/wintar"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// database builds a database of the records in testdata, which are in the form of Grype's own
// collector.
func database(t *testing.T) vulnerability.Provider {
	t.Helper()
	in, out := t.TempDir(), t.TempDir()
	if err := os.CopyFS(in, os.DirFS("testdata/records")); err != nil { // the build writes beside the records
		t.Fatal(err)
	}
	// Without a pattern it builds nothing into a directory that is older than the records.
	testdb.BuildFromFlatFileDir(t, time.Date(2024, 11, 1, 0, 0, 0, 0, time.UTC), out, in, "**")
	r, err := v6.NewReader(v6.Config{DBDirPath: out})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return v6.NewVulnerabilityProvider(r)
}

// setting is a value below SOFTWARE.
type setting struct {
	key, name string
	value     any // string or uint32
}

// changed returns a hive with settings.
func changed(t *testing.T, hive []byte, settings []setting) *regf.Hive {
	t.Helper()
	h, err := regf.OpenBytes(bytes.Clone(hive), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	for _, s := range settings {
		k := h.Root()
		for name := range strings.SplitSeq(s.key, `\`) {
			if k, _, err = k.Create(name); err != nil {
				t.Fatal(err)
			}
		}
		switch v := s.value.(type) {
		case string:
			err = k.SetValue(s.name, regf.RegSZ, regf.StringData(v))
		case uint32:
			err = k.SetValue(s.name, regf.RegDword, regf.Uint32Data(v))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// tar makes the tar of a layer of files, by path.
func tar(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := wintar.NewWriter(&b)
	defer w.Close()
	made := map[string]bool{}
	for _, p := range slices.Sorted(maps.Keys(files)) {
		for at, c := range p {
			if c == '\\' && !made[p[:at]] {
				made[p[:at]] = true
				if err := w.Add(&layer.Entry{Kind: layer.Dir, Path: p[:at], Attributes: winfs.AttrDirectory, Security: winsec.BuilderDirectory()}); err != nil {
					t.Fatal(err)
				}
			}
		}
		size := int64(len(files[p]))
		err := w.Add(&layer.Entry{Kind: layer.File, Path: p, Attributes: winfs.AttrArchive, Security: winsec.BuilderFile(), Size: size})
		if err == nil {
			err = w.AddStream(&layer.Stream{Size: size})
		}
		if err == nil {
			_, err = w.Write(files[p])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// servicing is the key of servicing packages.
const servicing = `Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\`

// rollup is the servicing package of a cumulative update.
func rollup(ubr uint32, kb string, state uint32) []setting {
	key := fmt.Sprintf(`%sPackage_for_RollupFix~31bf3856ad364e35~amd64~~20348.%d.1.1`, servicing, ubr)
	return []setting{
		{key, "CurrentState", state},
		{key, "InstallLocation", `\\?\C:\Windows\CbsTemp\1\Windows10.0-KB` + kb + `-x64.cab\`},
		{key, "InstallName", fmt.Sprintf("Package_for_RollupFix~31bf3856ad364e35~amd64~~20348.%d.1.1.mum", ubr)},
	}
}

const versionKey = `Microsoft\Windows NT\CurrentVersion`

// server makes an image of two layers: a Windows Server 2022 Core of 2024-01, and one whose
// delta hive brings the update with a revision and number. It returns the reference.
func server(t *testing.T, ubr uint32, kb string) string {
	t.Helper()
	base := map[string][]byte{}
	for _, n := range hives.All() {
		b, err := hives.Minimal(n, hives.ServerCore(20348, 2227))
		if err != nil {
			t.Fatal(err)
		}
		base[n.Path(hives.Config)] = b
	}
	old := changed(t, base[hives.Software.Path(hives.Config)], rollup(2227, "5034129", 112))
	base[hives.Software.Path(hives.Config)] = contents(t, old)
	top := changed(t, contents(t, old), slices.Concat(
		rollup(2227, "5034129", 80), // superseded
		rollup(ubr, kb, 112),
		[]setting{{versionKey, "UBR", ubr}},
	))
	delta, err := regf.Diff(old, top, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer delta.Close()
	dir := t.TempDir()
	err = imagetest.WriteLayout(dir, imagetest.Image{
		Config: ocispec.Image{Platform: ocispec.Platform{OS: "windows", OSVersion: fmt.Sprintf("10.0.20348.%d", ubr), Architecture: "amd64"}},
		Layers: []imagetest.Layer{
			{Tar: tar(t, base), Format: blob.Gzip},
			{Tar: tar(t, map[string][]byte{hives.Software.Path(hives.Delta): contents(t, delta)}), Format: blob.Gzip},
		},
		Tag: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	return "oci:" + filepath.ToSlash(dir) + ":test"
}

func contents(t *testing.T, h *regf.Hive) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := h.WriteImage(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// findings runs Grype on a document and returns a line for each match.
func findings(t *testing.T, db vulnerability.Provider, document []byte) []string {
	t.Helper()
	packages, from, _, err := pkg.ProvideFromReader(bytes.NewReader(document), pkg.ProviderConfig{})
	if err != nil {
		t.Fatal(err)
	}
	m := grype.VulnerabilityMatcher{VulnerabilityProvider: db, Matchers: matchers}
	found, _, err := m.FindMatches(packages, from)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, x := range found.Sorted() {
		lines = append(lines, fmt.Sprintf("%s in %s %s (%s)", x.Vulnerability.ID, x.Package.Name, x.Package.Version, x.Package.Type))
	}
	slices.Sort(lines)
	return lines
}

func TestWindowsServer(t *testing.T) {
	t.Setenv("MULLION_CACHE", filepath.Join(t.TempDir(), "cache"))
	db := database(t)
	for _, c := range []struct {
		ubr        uint32
		kb         string
		cpes, msrc []string
	}{
		{2655, "5041160", []string{"CVE-2024-90001", "CVE-2024-90002", "CVE-2024-90003"}, []string{"CVE-2024-90011", "CVE-2024-90012"}},
		{2700, "5042881", []string{"CVE-2024-90003"}, []string{"CVE-2024-90012"}},
		{2762, "5044281", nil, nil},
	} {
		img, err := image.Open(t.Context(), server(t, c.ubr, c.kb))
		if err != nil {
			t.Fatal(err)
		}
		inv, subject, err := inventory.Of(t.Context(), img)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, id := range c.cpes {
			want = append(want, fmt.Sprintf("%s in %s 10.0.20348.%d", id, inv.System().Name, c.ubr))
		}
		for _, id := range c.msrc {
			want = append(want, fmt.Sprintf("%s in 11924 %s (msrc-kb)", id, c.kb))
		}
		for _, f := range []struct {
			name  string
			write func(io.Writer, *inventory.Inventory, inventory.Subject) error
		}{{"Syft", inventory.WriteSyft}, {"CycloneDX", inventory.WriteCycloneDX}} {
			var b bytes.Buffer
			if err := f.write(&b, inv, subject); err != nil {
				t.Fatal(err)
			}
			got := findings(t, db, b.Bytes())
			// The type of the package of Windows differs between the formats.
			if !slices.EqualFunc(got, want, func(g, w string) bool { return strings.HasPrefix(g, w) }) {
				t.Errorf("%s, revision %d: Grype finds\n%s\nwant\n%s", f.name, c.ubr, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			t.Logf("%s, revision %d:\n%s", f.name, c.ubr, strings.Join(got, "\n"))
		}
		if err := img.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
