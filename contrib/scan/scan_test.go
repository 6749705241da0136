package scan

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/extractor/filesystem"
	scalibr "github.com/google/osv-scalibr/inventory"
	scalibrlog "github.com/google/osv-scalibr/log"
	"github.com/google/osv-scalibr/plugin"
	"github.com/google/osv-scalibr/purl"
	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/imagetest"
	_ "github.com/mullion/mullion/image/layout"
	"github.com/mullion/mullion/inventory"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
	"github.com/mullion/mullion/wintar"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestMain(m *testing.M) {
	scalibrlog.SetLogger(silent{})
	os.Exit(m.Run())
}

// silent is a logger that drops everything.
type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Error(...any)          {}
func (silent) Warnf(string, ...any)  {}
func (silent) Warn(...any)           {}
func (silent) Infof(string, ...any)  {}
func (silent) Info(...any)           {}
func (silent) Debugf(string, ...any) {}
func (silent) Debug(...any)          {}

// program compiles a program for Windows with one module that it requires.
func program(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"go.mod":                         "module example.com/tool\n\ngo 1.26\n\nrequire example.com/part v1.2.3\n",
		"main.go":                        "package main\n\nimport \"example.com/part\"\n\nfunc main() { println(part.Name) }\n",
		"vendor/example.com/part/par.go": "package part\n\nvar Name = \"part\"\n",
		"vendor/modules.txt":             "# example.com/part v1.2.3\n## explicit; go 1.26\nexample.com/part\n",
	})
	cmd := exec.Command("go", "build", "-mod=vendor", "-buildvcs=false", "-o", "tool.exe", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "tool.exe"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, data := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// archiveOf makes a ZIP archive of members, in the order of their names.
func archiveOf(t testing.TB, members map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		w, err := z.Create(name)
		if err == nil {
			_, err = io.WriteString(w, members[name])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func jar(t testing.TB, group, artifact, version string, more map[string]string) string {
	members := map[string]string{
		"META-INF/maven/" + group + "/" + artifact + "/pom.properties": fmt.Sprintf("groupId=%s\nartifactId=%s\nversion=%s\n", group, artifact, version),
	}
	maps.Copy(members, more)
	return archiveOf(t, members)
}

// files are those of a Windows with packages of each language, without the Go program.
func files(t testing.TB) map[string]string {
	t.Helper()
	return map[string]string{
		"Files/app/package-lock.json": `{"name":"app","version":"1.0.0","lockfileVersion":3,"packages":{
			"":{"name":"app","version":"1.0.0"},"node_modules/left-pad":{"version":"1.3.0"},"node_modules/@scope/inner":{"version":"2.0.0"}}}`,
		"Files/shrunk/package-lock.json":                                `{"name":"x","version":"1.0.0","lockfileVersion":3,"packages":{"node_modules/hidden":{"version":"9.9.9"}}}`,
		"Files/shrunk/npm-shrinkwrap.json":                              `{"name":"x","version":"1.0.0","lockfileVersion":3,"packages":{"node_modules/shown":{"version":"1.0.1"}}}`,
		"Files/app/node_modules/left-pad/package.json":                  `{"name":"left-pad","version":"1.3.0","license":"WTFPL"}`,
		"Files/Python312/Lib/site-packages/Demo-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: Demo\nVersion: 1.0\n\nText\n",
		"Files/wheels/packed-2.5-py3-none-any.whl":                      archiveOf(t, map[string]string{"packed-2.5.dist-info/METADATA": "Name: packed\nVersion: 2.5\n"}),
		"Files/web/Web.deps.json":                                       `{"libraries":{"Newtonsoft.Json/13.0.1":{"type":"package"},"Web/1.0.0":{"type":"project"}}}`,
		"Files/old/packages.config":                                     `<?xml version="1.0"?><packages><package id="log4net" version="2.0.8" targetFramework="net45"/></packages>`,
		"Files/src/packages.lock.json":                                  `{"version":1,"dependencies":{"net8.0":{"Serilog":{"type":"Direct","resolved":"3.1.1"}}}}`,
		"Files/ProgramData/Chocolatey/lib/git/git.nuspec":               `<?xml version="1.0"?><package><metadata><id>git</id><version>2.43.0</version><authors>Johannes</authors></metadata></package>`,
		"Files/java/Fat.JAR":                                            jar(t, "com.example", "fat", "1.0", map[string]string{"BOOT-INF/lib/log4j-core-2.14.1.jar": jar(t, "org.apache.logging.log4j", "log4j-core", "2.14.1", nil)}),
		"Files/php/composer.lock":                                       `{"packages":[{"name":"monolog/monolog","version":"2.9.1"}]}`,
		"Files/Ruby/specifications/rake-13.1.0.gemspec":                 "Gem::Specification.new do |s|\n  s.name = \"rake\"\n  s.version = \"13.1.0\"\nend\n",
		"UtilityVM/Files/app/node_modules/outside/package.json":         `{"name":"outside","version":"1.0.0"}`,
		"Files/app/node_modules/broken/package.json":                    `{"name":`,
		"Files/java/broken.jar":                                         "PK",
		"Files/ProgramData/chocolatey/lib/bad/bad.nuspec":               `<package><metadata>`,
		"Files/web/Bad.deps.json":                                       `{"libraries":{}}`,
		"Files/Windows/System32/notgo.exe":                              "MZ" + strings.Repeat("\x00", 1000),
	}
}

func system(files map[string]string) inventory.System {
	m := fstest.MapFS{}
	for name, data := range files {
		m[name] = &fstest.MapFile{Data: []byte(data)}
	}
	return inventory.NewSystem(m, nil)
}

// lines describes an inventory, a component or skipped item a line.
func lines(inv *inventory.Inventory) []string {
	var all []string
	for _, c := range inv.Components {
		s := fmt.Sprintf("%s %s %s %s %s", c.FoundBy, c.Kind, c.Name, c.Version, c.PURL)
		if at := c.Property(archivePath); at != "" {
			s += " in " + at
		}
		all = append(all, s+" "+c.Evidence[0].Path)
	}
	for _, s := range inv.Skipped {
		all = append(all, "skipped by "+s.Cataloger+": "+s.Evidence.Path)
	}
	slices.Sort(all)
	return all
}

func compare(t *testing.T, got []string, want string) {
	t.Helper()
	var wanted []string
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" {
			wanted = append(wanted, line)
		}
	}
	slices.Sort(wanted)
	for _, g := range got {
		if !slices.Contains(wanted, g) {
			t.Errorf("unexpected: %s", g)
		}
	}
	for _, w := range wanted {
		if !slices.Contains(got, w) {
			t.Errorf("missing:    %s", w)
		}
	}
	if len(got) != len(wanted) {
		t.Errorf("%d lines, want %d", len(got), len(wanted))
	}
}

// expected is the inventory of files.
const expected = `
	javascript/packagelockjson library left-pad 1.3.0 pkg:npm/left-pad@1.3.0 Files\app\package-lock.json
	javascript/packagelockjson library @scope/inner 2.0.0 pkg:npm/%40scope/inner@2.0.0 Files\app\package-lock.json
	javascript/packagelockjson library shown 1.0.1 pkg:npm/shown@1.0.1 Files\shrunk\npm-shrinkwrap.json
	javascript/packagejson library left-pad 1.3.0 pkg:npm/left-pad@1.3.0 Files\app\node_modules\left-pad\package.json
	python/wheelegg library Demo 1.0 pkg:pypi/demo@1.0 Files\Python312\Lib\site-packages\Demo-1.0.dist-info\METADATA
	python/wheelegg library packed 2.5 pkg:pypi/packed@2.5 Files\wheels\packed-2.5-py3-none-any.whl
	dotnet/depsjson library Newtonsoft.Json 13.0.1 pkg:nuget/Newtonsoft.Json@13.0.1 Files\web\Web.deps.json
	dotnet/depsjson library Web 1.0.0 pkg:nuget/Web@1.0.0 Files\web\Web.deps.json
	dotnet/packagesconfig library log4net 2.0.8 pkg:nuget/log4net@2.0.8 Files\old\packages.config
	dotnet/packageslockjson library Serilog 3.1.1 pkg:nuget/Serilog@3.1.1 Files\src\packages.lock.json
	os/chocolatey program git 2.43.0 pkg:chocolatey/git@2.43.0 Files\ProgramData\Chocolatey\lib\git\git.nuspec
	java/archive library com.example:fat 1.0 pkg:maven/com.example/fat@1.0 Files\java\Fat.JAR
	java/archive library org.apache.logging.log4j:log4j-core 2.14.1 pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1 in BOOT-INF/lib/log4j-core-2.14.1.jar Files\java\Fat.JAR
	php/composerlock library monolog/monolog 2.9.1 pkg:composer/monolog/monolog@2.9.1 Files\php\composer.lock
	ruby/gemspec library rake 13.1.0 pkg:gem/rake@13.1.0 Files\Ruby\specifications\rake-13.1.0.gemspec
	skipped by javascript/packagejson: Files\app\node_modules\broken\package.json
	skipped by java/archive: Files\java\broken.jar
	skipped by os/chocolatey: Files\ProgramData\chocolatey\lib\bad\bad.nuspec
	skipped by dotnet/depsjson: Files\web\Bad.deps.json
`

func TestCatalogers(t *testing.T) {
	all := files(t)
	all["Files/tool/Tool.EXE"] = string(program(t))
	sys := system(all)
	inv, err := inventory.Run(t.Context(), sys, Catalogers()...)
	if err != nil {
		t.Fatal(err)
	}
	again, err := inventory.Run(t.Context(), sys, Catalogers()...)
	if err != nil || !slices.Equal(lines(inv), lines(again)) {
		t.Errorf("a second run differs: %q, %v", lines(again), err)
	}
	// The Go release is that of the test.
	for i, c := range inv.Components {
		if c.FoundBy == "go/binary" && c.Name == "go" {
			inv.Components[i].Version, inv.Components[i].PURL = "RELEASE", strings.ReplaceAll(c.PURL, c.Version, "RELEASE")
		}
	}
	compare(t, lines(inv), expected+`
		go/binary library go RELEASE pkg:golang/go@RELEASE Files\tool\Tool.EXE
		go/binary library example.com/part 1.2.3 pkg:golang/example.com/part@1.2.3 Files\tool\Tool.EXE
		go/binary library example.com/tool (devel) pkg:golang/example.com/tool@%28devel%29 Files\tool\Tool.EXE
	`)
}

// tarOf makes the tar of a layer.
func tarOf(t *testing.T, files map[string]string, whiteouts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := wintar.NewWriter(&b)
	defer w.Close()
	made := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		p := strings.ReplaceAll(name, "/", `\`)
		for at, c := range p {
			if c == '\\' && !made[p[:at]] {
				made[p[:at]] = true
				if err := w.Add(&layer.Entry{Kind: layer.Dir, Path: p[:at], Attributes: winfs.AttrDirectory, Security: winsec.BuilderDirectory()}); err != nil {
					t.Fatal(err)
				}
			}
		}
		size := int64(len(files[name]))
		err := w.Add(&layer.Entry{Kind: layer.File, Path: p, Attributes: winfs.AttrArchive, Security: winsec.BuilderFile(), Size: size})
		if err == nil {
			err = w.AddStream(&layer.Stream{Size: size})
		}
		if err == nil {
			_, err = io.WriteString(w, files[name])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range whiteouts {
		if err := w.Add(&layer.Entry{Kind: layer.Whiteout, Path: p}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The packages of an image are those that a container sees, with the layers that brought them.
func TestImage(t *testing.T) {
	t.Setenv("MULLION_CACHE", filepath.Join(t.TempDir(), "cache"))
	base := map[string]string{
		"Files/gone/package.json":                      `{"name":"gone","version":"1.0.0"}`,
		"Files/app/node_modules/left-pad/package.json": `{"name":"left-pad","version":"1.0.0"}`,
		"Files/under/node_modules/is-odd/package.json": `{"name":"is-odd","version":"3.0.1"}`,
		"Files/gone/large/package-lock.json":           `{"name":"x","version":"1.0.0","lockfileVersion":3,"packages":{"node_modules/hidden":{"version":"9.9.9"}}}`,
	}
	for _, n := range hives.All() {
		b, err := hives.Minimal(n, hives.ServerCore(20348, 2700))
		if err != nil {
			t.Fatal(err)
		}
		base[strings.ReplaceAll(n.Path(hives.Config), `\`, "/")] = string(b)
	}
	top := maps.Clone(files(t))
	delete(top, "UtilityVM/Files/app/node_modules/outside/package.json")
	dir := t.TempDir()
	err := imagetest.WriteLayout(dir, imagetest.Image{
		Config: ocispec.Image{Platform: ocispec.Platform{OS: "windows", OSVersion: "10.0.20348.2700", Architecture: "amd64"}},
		Layers: []imagetest.Layer{{Tar: tarOf(t, base), Format: blob.Gzip}, {Tar: tarOf(t, top, `Files\gone`), Format: blob.Gzip}},
		Tag:    "v1",
	})
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Open(t.Context(), "oci:"+filepath.ToSlash(dir)+":v1")
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	inv, _, err := inventory.Of(t.Context(), img, inventory.WithLanguages())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range inv.Components {
		want := 1
		if c.Name == "is-odd" {
			want = 0
		}
		if strings.Contains(c.FoundBy, "/") && c.Layer() != want {
			t.Errorf("%s is in layer %d, want %d", c.Name, c.Layer(), want)
		}
	}
	got := slices.DeleteFunc(lines(inv), func(s string) bool {
		return !strings.Contains(strings.TrimPrefix(strings.Fields(s)[0], "skipped"), "/") && !strings.HasPrefix(s, "skipped")
	})
	compare(t, got, expected+`
		javascript/packagejson library is-odd 3.0.1 pkg:npm/is-odd@3.0.1 Files\under\node_modules\is-odd\package.json`)
}

func TestLanguages(t *testing.T) {
	all, err := inventory.Languages()
	if err != nil || len(all) != len(makers) {
		t.Fatalf("%d catalogers, %v", len(all), err)
	}
	var names []string
	for _, c := range all {
		names = append(names, c.Name())
		if _, ok := ruleOf[c.Name()]; !ok {
			t.Errorf("%s has no rules", c.Name())
		}
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if !strings.Contains(string(doc), "\t"+n+" ") {
			t.Errorf("the package comment lacks %s", n)
		}
	}
}

// fake is an extractor of .fake files.
type fake struct {
	extract func(context.Context, *filesystem.ScanInput) (scalibr.Inventory, error)
}

func (fake) Name() string                       { return "test/fake" }
func (fake) Version() int                       { return 0 }
func (fake) Requirements() *plugin.Capabilities { return &plugin.Capabilities{} }

func (fake) FileRequired(api filesystem.FileAPI) bool {
	if strings.HasSuffix(api.Path(), "panic.fake") {
		panic("required")
	}
	return strings.HasSuffix(api.Path(), ".fake")
}

func (f fake) Extract(ctx context.Context, in *filesystem.ScanInput) (scalibr.Inventory, error) {
	return f.extract(ctx, in)
}

func TestCataloger(t *testing.T) {
	sys := system(map[string]string{
		"Files/a/one.FAKE": "1", "Files/a/two.fake": "22", "Files/a/beside.txt": "beside", "Files/b/panic.fake": "", "Files/b/three.fake": "333",
	})
	var paths []string
	e := fake{func(_ context.Context, in *filesystem.ScanInput) (scalibr.Inventory, error) {
		paths = append(paths, in.Path)
		if in.Path == "b/three.fake" {
			panic("extract")
		}
		f, err := in.FS.Open("A/beside.txt")
		if err != nil {
			f, err = in.FS.Open("a/beside.txt")
		}
		if err != nil {
			return scalibr.Inventory{}, err
		}
		defer f.Close()
		b := make([]byte, 4)
		if _, err := f.(io.ReaderAt).ReadAt(b, 2); err != nil {
			return scalibr.Inventory{}, err
		}
		data, err := io.ReadAll(in.Reader)
		if int64(len(data)) != in.Info.Size() {
			return scalibr.Inventory{}, fmt.Errorf("%d bytes of %d: %w", len(data), in.Info.Size(), err)
		}
		x := &extractor.Package{Name: string(b) + "\xff", Version: string(data), PURLType: purl.TypeNPM, Location: extractor.LocationFromPath(in.Path)}
		return scalibr.Inventory{Packages: []*extractor.Package{nil, x, x}}, nil
	}}
	inv, err := inventory.Run(t.Context(), sys, Cataloger(e))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, lines(inv), `
		test/fake library side`+"\uFFFD"+` 1 pkg:npm/side%EF%BF%BD@1 Files\a\one.FAKE
		test/fake library side`+"\uFFFD"+` 22 pkg:npm/side%EF%BF%BD@22 Files\a\two.fake
		skipped by test/fake: Files\b\three.fake`)
	if want := []string{"a/one.fake", "a/two.fake", "b/three.fake"}; !slices.Equal(paths, want) {
		t.Errorf("paths %q, want %q", paths, want)
	}
}

// An extractor that reads on and on ends with the context.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	e := fake{func(_ context.Context, in *filesystem.ScanInput) (scalibr.Inventory, error) {
		cancel()
		_, err := io.ReadAll(in.Reader)
		return scalibr.Inventory{}, err
	}}
	if _, err := inventory.Run(ctx, system(map[string]string{"Files/x.fake": "x"}), Cataloger(e)); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}

// Files above the limits are skipped, with a reason, unless they are hidden.
func TestLarge(t *testing.T) {
	c := Catalogers()
	at := slices.IndexFunc(c, func(c inventory.Cataloger) bool { return c.Name() == "javascript/packagejson" })
	sys := system(map[string]string{"Files/package.json": strings.Repeat(" ", maxText+1)})
	if c[at].Wants(`Files\hidden\package.json`, maxText+1) {
		t.Error("a large file is wanted")
	}
	inv, err := inventory.Run(t.Context(), sys, c[at])
	if err != nil {
		t.Fatal(err)
	}
	compare(t, lines(inv), `skipped by javascript/packagejson: Files\package.json`)
}

func reasons(inv *inventory.Inventory) string {
	var all []string
	for _, s := range inv.Skipped {
		all = append(all, s.Reason)
	}
	return strings.Join(all, "\n")
}

func TestArchives(t *testing.T) {
	deep := jar(t, "g", "deepest", "1", nil)
	for range maxDepth + 1 {
		deep = jar(t, "g", "around", "1", map[string]string{"in.jar": deep})
	}
	big := strings.Repeat(" ", maxText+1)
	for _, c := range []struct {
		name, data string
		found      int
		reason     string
	}{
		{"deep.jar", deep, maxDepth, "archives in each other"},
		{"manifest.jar", archiveOf(t, map[string]string{"META-INF/MANIFEST.MF": big}), 0, "META-INF/MANIFEST.MF: 10485761 bytes"},
		{"x.whl", archiveOf(t, map[string]string{"x.dist-info/METADATA": big}), 0, "x.dist-info/METADATA: 10485761 bytes"},
		{"nested.jar", jar(t, "g", "a", "1", map[string]string{"bad.jar": strings.Repeat("PK", 30), "good.war": jar(t, "g", "b", "1", nil)}), 2, "bad.jar: zip: not a valid zip file"},
		{"junit-4.12.jar", archiveOf(t, map[string]string{"x": "x"}), 1, ""},
		{"nameless.jar", archiveOf(t, map[string]string{"x": "x"}), 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv, err := inventory.Run(t.Context(), system(map[string]string{"Files/" + c.name: c.data}), Catalogers()...)
			if err != nil {
				t.Fatal(err)
			}
			if got := reasons(inv); len(inv.Components) != c.found || !strings.Contains(got, c.reason) || (c.reason == "") != (got == "") {
				t.Errorf("%d components, %q; want %d, %q", len(inv.Components), got, c.found, c.reason)
			}
		})
	}
}

// A directory of 20 MiB is not read.
func TestArchiveDirectory(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := range 400 {
		if _, err := z.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("%d", i), Comment: strings.Repeat("c", 50000)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	inv, err := inventory.Run(t.Context(), system(map[string]string{"Files/a.jar": b.String()}), Catalogers()...)
	if err != nil || !strings.Contains(reasons(inv), "the directory of the archive has more than") {
		t.Errorf("%q, %v", reasons(inv), err)
	}
}

func FuzzCatalogers(f *testing.F) {
	for name, data := range files(f) {
		f.Add(name, data)
	}
	f.Fuzz(func(t *testing.T, name, data string) {
		if !strings.HasPrefix(name, "Files/") || !fs.ValidPath(name) {
			return
		}
		sys := system(map[string]string{name: data})
		inv, err := inventory.Run(t.Context(), sys, Catalogers()...)
		if err != nil {
			t.Fatal(err)
		}
		again, err := inventory.Run(t.Context(), sys, Catalogers()...)
		if err != nil || !slices.Equal(lines(inv), lines(again)) {
			t.Errorf("two runs differ: %q, %q, %v", lines(inv), lines(again), err)
		}
	})
}
