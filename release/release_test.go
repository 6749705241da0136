package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"debug/buildinfo"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func TestParsePlatforms(t *testing.T) {
	for list, want := range map[string]int{"": 6, "linux/amd64": 1, "linux/amd64,windows/arm64,linux/amd64": 2, "plan9/386": 0, "linux": 0, ",": 0} {
		got, err := parsePlatforms(list)
		if len(got) != want || (err != nil) != (want == 0) {
			t.Errorf("%q: %v, %v", list, got, err)
		}
	}
}

// A tag is the version, a snapshot has that of the go command, and a checkout with
// changes is no release.
func TestReadCommit(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	for name, value := range map[string]string{
		"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_SYSTEM": os.DevNull, "SOURCE_DATE_EPOCH": "",
		"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
		"GIT_COMMITTER_NAME": "c", "GIT_COMMITTER_EMAIL": "c@example.com", "GIT_COMMITTER_DATE": "2026-01-02T03:04:06Z",
	} {
		t.Setenv(name, value)
	}
	git := func(args ...string) {
		t.Helper()
		if _, err := output(ctx, dir, "git", args...); err != nil {
			t.Fatal(err)
		}
	}
	git("init", "-q")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("1")
	git("add", ".")
	git("commit", "-q", "-m", "one")
	if _, err := readCommit(ctx, dir, false); err == nil || !strings.Contains(err.Error(), "no tag") {
		t.Errorf("without a tag: %v", err)
	}
	c, err := readCommit(ctx, dir, true)
	if err != nil || c.version != "v0.0.0-20260102030406-"+c.revision[:12] || len(c.revision) != 40 || !c.time.Equal(time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)) {
		t.Errorf("snapshot: %+v, %v", c, err)
	}
	git("tag", "v1.2.3")
	git("tag", "v1.10.0")
	git("tag", "v1.10") // no version of a module
	git("tag", "vnext")
	if c, err := readCommit(ctx, dir, false); err != nil || c.version != "v1.10.0" || c.number() != "1.10.0" {
		t.Errorf("tagged: %+v, %v", c, err)
	}
	write("2")
	if _, err := readCommit(ctx, dir, false); err == nil || !strings.Contains(err.Error(), "changes") {
		t.Errorf("with changes: %v", err)
	}
	if c, err := readCommit(ctx, dir, true); err != nil || c.version != "v1.10.0+dirty" {
		t.Errorf("snapshot with changes: %+v, %v", c, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1")
	if c, err := readCommit(ctx, dir, true); err != nil || c.time.Unix() != 1 {
		t.Errorf("SOURCE_DATE_EPOCH: %+v, %v", c, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if _, err := readCommit(ctx, dir, true); err == nil {
		t.Error("SOURCE_DATE_EPOCH=yesterday is accepted")
	}
}

// Archives depend on names and content alone.
func TestArchives(t *testing.T) {
	for name, pack := range map[string]func(io.Writer, []file, time.Time) error{"tar": writeTar, "tar.gz": writeTarGzip, "zip": writeZip} {
		var first []byte
		for i := range 2 {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, time.Time{}, time.Unix(int64(1e9+i), 0)); err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := pack(&b, []file{{"a/b/program", path, 0o755}, {"a/text", path, 0o644}}, time.Unix(1e9, 0).UTC()); err != nil {
				t.Fatal(err)
			}
			if i == 1 && !bytes.Equal(first, b.Bytes()) {
				t.Errorf("%s: not the same bytes again", name)
			}
			first = b.Bytes()
		}
	}
}

func TestLicenses(t *testing.T) {
	dir := t.TempDir()
	var b bytes.Buffer
	if err := appendLicenses(&b, "m", dir); err == nil {
		t.Error("a module without a license is accepted")
	}
	if err := appendLicenses(&b, "m", ""); err == nil {
		t.Error("a module without source is accepted")
	}
	for name, is := range map[string]bool{"LICENSE": true, "LICENSE.txt": true, "COPYING": true, "NOTICE": true, "UNLICENSE": true, "PATENTS": true, "README.md": false, "main.go": false} {
		if isLicense(name) != is {
			t.Errorf("%s: %v", name, !is)
		}
	}
}

// TestDist verifies the release that scripts/test-release has built: MULLION_DIST names
// the directory.
func TestDist(t *testing.T) {
	dist := os.Getenv("MULLION_DIST")
	if dist == "" {
		t.Skip("MULLION_DIST names no release; scripts/test-release builds one")
	}
	match := func(pattern string) []string {
		t.Helper()
		list, err := filepath.Glob(filepath.Join(dist, pattern))
		if err != nil || len(list) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		return list
	}
	for _, archive := range append(match("*.tar.gz"), match("*.zip")...) {
		stem := strings.TrimSuffix(strings.TrimSuffix(archive, ".tar.gz"), ".zip")
		files, err := readArchive(archive)
		if err != nil {
			t.Fatal(err)
		}
		base := filepath.Base(stem)
		windows := strings.Contains(base, "_windows_")
		program := base + "/mullion"
		if windows {
			program += ".exe"
		}
		for _, name := range []string{program, base + "/LICENSE", base + "/NOTICES", base + "/README.md", base + "/man/mullion.1", base + "/man/mullion-serve.1", base + "/completions/mullion.bash"} {
			if len(files[name]) == 0 {
				t.Errorf("%s: no %s", archive, name)
			}
		}
		info, err := buildinfo.Read(bytes.NewReader(files[program]))
		if err != nil {
			t.Fatal(err)
		}
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		if !strings.Contains(base, "_"+settings["GOOS"]+"_"+settings["GOARCH"]) || settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" {
			t.Errorf("%s: built with %v", archive, settings)
		}
		if wd, err := os.Getwd(); err != nil || bytes.Contains(files[program], []byte(wd)) {
			t.Errorf("%s: the path of the checkout is in the program (%v)", archive, err)
		}

		text, err := os.ReadFile(stem + ".cdx.json")
		if err != nil {
			t.Fatal(err)
		}
		bom := new(cdx.BOM)
		if err := cdx.NewBOMDecoder(bytes.NewReader(text), cdx.BOMFileFormatJSON).Decode(bom); err != nil {
			t.Fatal(err)
		}
		var listed, want []string
		for _, c := range *bom.Components {
			listed = append(listed, c.Name+"@"+c.Version)
		}
		want = append(want, "std@"+strings.TrimPrefix(info.GoVersion, "go"))
		for _, m := range info.Deps {
			want = append(want, m.Path+"@"+m.Version)
			if !bytes.Contains(files[base+"/NOTICES"], []byte(m.Path+" "+m.Version+":")) {
				t.Errorf("%s: no license of %s", archive, m.Path)
			}
		}
		slices.Sort(listed)
		slices.Sort(want)
		if !slices.Equal(listed, want) {
			t.Errorf("%s.cdx.json lists %v, the program is made of %v", base, listed, want)
		}
	}

	dir := t.TempDir()
	files, err := readArchive(match("*_oci.tar")[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	top, err := index.IndexManifest()
	if err != nil || len(top.Manifests) != 1 {
		t.Fatalf("index.json: %+v, %v", top, err)
	}
	images, err := index.ImageIndex(top.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	list, err := images.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list.Manifests {
		img, err := images.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.OS != m.Platform.OS || config.Architecture != m.Platform.Architecture || !slices.Equal(config.Config.Entrypoint, []string{"/usr/bin/mullion"}) {
			t.Errorf("image %v: %+v", m.Platform, config)
		}
	}
}

// readArchive reads the regular files of a tar, tar.gz or zip file.
func readArchive(path string) (map[string][]byte, error) {
	out := map[string][]byte{}
	if strings.HasSuffix(path, ".zip") {
		z, err := zip.OpenReader(path)
		if err != nil {
			return nil, err
		}
		defer z.Close()
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				return nil, err
			}
			b, err := io.ReadAll(r)
			if err != nil {
				return nil, err
			}
			out[f.Name] = b
		}
		return out, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, err
		}
	}
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if out[h.Name], err = io.ReadAll(t); err != nil {
			return nil, err
		}
	}
}
