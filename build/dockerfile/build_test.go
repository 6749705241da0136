package dockerfile

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/archive"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// everyInstruction has every instruction of Dockerfiles.
const everyInstruction = "# syntax=docker/dockerfile:1\n# escape=`\n" + `ARG VERSION=1.2.3
FROM base AS tools
ARG VERSION
WORKDIR /tools
COPY <<EOF version.txt
version ${VERSION}
EOF
RUN echo made> C:\tools\made.txt

FROM base
MAINTAINER somebody
ARG VERSION
ENV APP_HOME=C:\app ` + "`" + `
    PATH="${PATH};C:\app\bin" ` + "`" + `
    APP_ROOT=%SystemRoot%\app
LABEL org.opencontainers.image.title="An app" version=${VERSION}
WORKDIR ${APP_HOME}
WORKDIR bin
COPY app.exe ./
COPY --chown=ContainerUser conf/*.ini C:/app/conf/
COPY --from=tools C:\tools\ C:\app\tools\
ADD assets.tar.gz C:\app\assets
SHELL ["powershell", "-Command"]
RUN New-Item -ItemType Directory -Path C:\app\logs
SHELL ["cmd", "/S", "/C"]
RUN reg add HKLM\SOFTWARE\App /v Version /d %VERSION% /f && mkdir C:\app\data
RUN setx /M APP_MODE production
USER ContainerUser
EXPOSE 8080 8443/tcp 9000-9001/udp
VOLUME C:\data
HEALTHCHECK --interval=30s --timeout=3s CMD app.exe -check
STOPSIGNAL SIGTERM
ONBUILD COPY . C:\site\
ENTRYPOINT ["C:\\app\\bin\\app.exe"]
CMD ["-serve", ":8080"]
`

func everyFiles(t testing.TB) map[string]string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range map[string]string{"css/site.css": "body {}"} {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(text)), Mode: 0o644, ModTime: baseTime}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"app.exe": "MZ app", "conf/a.ini": "[a]", "conf/b.ini": "[b]", "conf/c.txt": "no", "assets.tar.gz": b.String()}
}

func TestEveryInstruction(t *testing.T) {
	b := &buildTest{dockerfile: everyInstruction, files: everyFiles(t)}
	img := b.must(t)
	for path, want := range map[string]string{
		`Files\app\bin\app.exe`:              "MZ app",
		`Files\app\conf\a.ini`:               "[a]",
		`Files\app\conf\b.ini`:               "[b]",
		`Files\app\assets\css\site.css`:      "body {}",
		`Files\app\tools\made.txt`:           "made\r\n",
		`Files\app\tools\version.txt`:        "version 1.2.3\n",
		`Files\inetpub\wwwroot\iisstart.htm`: "<html>",
	} {
		if got, _ := read(t, img, path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	for _, dir := range []string{`Files\app\logs`, `Files\app\data`} {
		read(t, img, dir)
	}
	for _, path := range []string{`Files\app\conf\c.txt`, `Files\tools`} {
		absent(t, img, path)
	}
	want := map[string]any{
		"User":         "ContainerUser",
		"ExposedPorts": map[string]any{"8080/tcp": map[string]any{}, "8443/tcp": map[string]any{}, "9000/udp": map[string]any{}, "9001/udp": map[string]any{}},
		"Env":          []any{`APP_HOME=C:\app`, `PATH=C:\Windows\system32;C:\Windows;C:\Users\ContainerAdministrator\AppData\Local\Microsoft\WindowsApps;;C:\app\bin`, `APP_ROOT=C:\Windows\app`},
		"Entrypoint":   []any{`C:\app\bin\app.exe`},
		"Cmd":          []any{"-serve", ":8080"},
		"Volumes":      map[string]any{`C:\data`: map[string]any{}},
		"WorkingDir":   `C:\app\bin`,
		"Labels":       map[string]any{"org.opencontainers.image.title": "An app", "version": "1.2.3"},
		"StopSignal":   "SIGTERM",
		"Healthcheck":  map[string]any{"Test": []any{"CMD-SHELL", "app.exe -check"}, "Interval": 3e10, "Timeout": 3e9},
		"OnBuild":      []any{`COPY . C:\site\`},
		"Shell":        []any{"cmd", "/S", "/C"},
	}
	if got := config(t, img); !reflect.DeepEqual(got, want) {
		t.Errorf("configuration\n%v\nwant\n%v", got, want)
	}
	c := img.Config()
	if c.Author != "somebody" || c.OSVersion != "10.0.20348.2700" || c.Architecture != "amd64" || !c.Created.Equal(baseTime) {
		t.Errorf("configuration: %+v", c)
	}
	env, err := img.Environment(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"APP_MODE": "production", "path": `C:\Windows\system32;C:\Windows;C:\Users\ContainerAdministrator\AppData\Local\Microsoft\WindowsApps;;C:\app\bin`} {
		if got, _ := env.Get(name); got != value {
			t.Errorf("%s=%s, want %s", name, got, value)
		}
	}
	if got := value(t, img, hives.Software, "App", "Version"); got != "1.2.3" {
		t.Errorf("Version is %q", got)
	}
	checkHistory(t, img, []string{
		`MAINTAINER somebody`, `ARG VERSION=1.2.3`,
		`ENV APP_HOME=C:\app PATH=C:\Windows\system32;C:\Windows;C:\Users\ContainerAdministrator\AppData\Local\Microsoft\WindowsApps;;C:\app\bin APP_ROOT=C:\Windows\app`,
		`LABEL org.opencontainers.image.title=An app version=1.2.3`,
		`+WORKDIR C:\app`, `+WORKDIR C:\app\bin`, `+COPY app.exe ./`, `+COPY --chown=ContainerUser conf/*.ini C:/app/conf/`,
		`+COPY C:\tools\ C:\app\tools\`, `+ADD assets.tar.gz C:\app\assets`, `SHELL [powershell -Command]`,
		`+RUN |1 VERSION=1.2.3 powershell -Command New-Item -ItemType Directory -Path C:\app\logs`, `SHELL [cmd /S /C]`,
		`+RUN |1 VERSION=1.2.3 cmd /S /C reg add HKLM\SOFTWARE\App /v Version /d %VERSION% /f && mkdir C:\app\data`,
		`+RUN |1 VERSION=1.2.3 cmd /S /C setx /M APP_MODE production`,
		`USER ContainerUser`, `EXPOSE [8080/tcp 8443/tcp 9000/udp 9001/udp]`, `VOLUME [C:\data]`,
		`HEALTHCHECK {Test:[CMD-SHELL app.exe -check] Interval:30s Timeout:3s StartPeriod:0s StartInterval:0s Retries:0}`,
		`STOPSIGNAL SIGTERM`, `ONBUILD COPY . C:\site\`, `ENTRYPOINT ["C:\\app\\bin\\app.exe"]`, `CMD ["-serve" ":8080"]`,
	})
	if b.result.Base != 1 || len(b.result.Layers) != 9 || b.result.Layers[2].Instruction != "COPY app.exe ./" {
		t.Errorf("result: %+v", b.result)
	}
	if got := img.Manifest().Annotations[ocispec.AnnotationBaseImageDigest]; !strings.HasPrefix(got, "sha256:") {
		t.Errorf("annotations: %v", img.Manifest().Annotations)
	}
	if len(b.warnings) != 1 || !strings.Contains(b.warnings[0], "MaintainerDeprecated") {
		t.Errorf("warnings: %q", b.warnings)
	}
}

// checkHistory compares the history that a build has added; "+" marks entries with a layer.
func checkHistory(t *testing.T, img *image.Image, want []string) {
	t.Helper()
	var got []string
	layers := 0
	for _, h := range img.Config().History {
		text := h.CreatedBy
		if !h.EmptyLayer {
			text, layers = "+"+text, layers+1
		}
		if h.Comment == historyComment {
			got = append(got, text)
		}
	}
	if layers != len(img.Layers()) {
		t.Errorf("the history has %d layers, the image %d", layers, len(img.Layers()))
	}
	for i := range max(len(got), len(want)) {
		g, w := "", ""
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("history entry %d:\n%s\nwant\n%s", i, g, w)
		}
	}
}

func TestReproducible(t *testing.T) {
	files := everyFiles(t)
	base := baseImage(t, nil)
	digests := map[string]bool{}
	for range 2 {
		b := &buildTest{dockerfile: everyInstruction, files: files, base: base}
		digests[string(b.must(t).Digest())] = true
	}
	if len(digests) != 1 {
		t.Errorf("two builds: %v", digests)
	}
	// With an epoch the times of the context do not count.
	epoch := time.Date(2024, 9, 11, 0, 0, 0, 0, time.UTC)
	digests = map[string]bool{}
	for n := range 2 {
		b := &buildTest{dockerfile: everyInstruction, files: files, base: base, options: func(o *Options) {
			o.Epoch = epoch
			late := epoch.Add(time.Duration(n+1) * time.Hour)
			for name := range files {
				if err := os.Chtimes(filepath.Join(o.Context, name), late, late); err != nil {
					t.Fatal(err)
				}
			}
		}}
		img := b.must(t)
		digests[string(img.Digest())] = true
		if !img.Config().Created.Equal(epoch) {
			t.Errorf("created %v", img.Config().Created)
		}
		if _, e := read(t, img, `Files\app\bin\app.exe`); !e.Times.LastWrite.Time().Equal(epoch) {
			t.Errorf("app.exe was written %v", e.Times.LastWrite.Time())
		}
	}
	if len(digests) != 1 {
		t.Errorf("two builds with an epoch: %v", digests)
	}
}

// New files have the owner that --chown names and inherit all else.
func TestChown(t *testing.T) {
	b := &buildTest{
		dockerfile: "# escape=`\nFROM base\nCOPY a C:\\app\\\nCOPY --chown=ContainerUser a C:\\app\\b\nCOPY --chown=\"BUILTIN\\Users\" a C:\\app\\c\nCOPY --chown=S-1-5-19 a C:\\app\\d\n",
		files:      map[string]string{"a": "text"},
	}
	img := b.must(t)
	for path, want := range map[string]string{`Files\app\a`: "S-1-5-32-544", `Files\app\b`: "S-1-5-93-2-2", `Files\app\c`: "S-1-5-32-545", `Files\app\d`: "S-1-5-19"} {
		_, e := read(t, img, path)
		d, err := winsec.Parse(e.Security)
		if err != nil {
			t.Fatal(err)
		}
		if d.Owner.String() != want {
			t.Errorf("%s belongs to %v, want %s", path, d.Owner, want)
		}
	}
}

// The flags of COPY, and the file that says what the context has not.
func TestCopyFlags(t *testing.T) {
	text := `FROM base AS x
COPY --chmod=0444 --link a/b/c.txt C:/locked/
FROM base
COPY --exclude=*.md . C:/all/
COPY --parents a/b/c.txt C:/parents/
COPY --from=x /locked C:/same/
COPY --from=x --chmod=0644 /locked C:/cleared/
COPY --from=base /windows/WIN.INI C:/copied.ini
COPY a/b/c.txt a/d.txt C:/several/
COPY a/b/c.txt C:/INETPUB/wwwroot/IISSTART.HTM
`
	files := map[string]string{"a/b/c.txt": "c", "a/d.txt": "d", "x.md": "no", "ignored.txt": "no", ".dockerignore": "ignored.txt\n"}
	img := (&buildTest{dockerfile: text, files: files}).must(t)
	for path, want := range map[string]string{
		`Files\all\a\b\c.txt`: "c", `Files\parents\a\b\c.txt`: "c", `Files\same\c.txt`: "c", `Files\cleared\c.txt`: "c",
		`Files\copied.ini`: "[fonts]\r\n", `Files\several\d.txt`: "d", `Files\inetpub\wwwroot\iisstart.htm`: "c",
	} {
		got, e := read(t, img, path)
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
		if locked := strings.Contains(path, "same"); (e.Attributes&winfs.AttrReadOnly != 0) != locked {
			t.Errorf("%s has the attributes %v", path, e.Attributes)
		}
	}
	for _, path := range []string{`Files\all\x.md`, `Files\all\ignored.txt`, `Files\locked`} {
		absent(t, img, path)
	}
	img = (&buildTest{dockerfile: "FROM base\nCOPY . C:/all/\n", files: files, options: func(o *Options) { o.Ignore = strings.NewReader("a\n") }}).must(t)
	absent(t, img, `Files\all\a`)
	read(t, img, `Files\all\ignored.txt`)
}

// Stages that the target does not need are not built, and a stage can be replaced.
func TestStages(t *testing.T) {
	text := `FROM absent AS broken
RUN ver
FROM scratch AS data
COPY a /data/a
FROM base AS final
COPY --from=data /data/ C:/copied/
COPY --from=1 /data/a C:/again
FROM broken AS last
`
	files := map[string]string{"a": "text"}
	img := (&buildTest{dockerfile: text, files: files, options: func(o *Options) { o.Target = "Final" }}).must(t)
	for _, path := range []string{`Files\copied\a`, `Files\again`} {
		if got, _ := read(t, img, path); got != "text" {
			t.Errorf("%s: %q", path, got)
		}
	}
	if len(img.Layers()) != 3 {
		t.Errorf("%d layers", len(img.Layers()))
	}
	img = (&buildTest{dockerfile: text, files: files, options: func(o *Options) {
		o.Target = "final"
		o.Contexts["data"] = Context{Dir: contextDir(t, map[string]string{"data/a": "text", "data/b": "other"})}
	}}).must(t)
	if got, _ := read(t, img, `Files\copied\b`); got != "other" {
		t.Errorf("from the build context: %q", got)
	}
}

// The triggers of a base are carried out in the stage that begins with it.
func TestOnBuild(t *testing.T) {
	base := baseImage(t, nil)
	first := &buildTest{dockerfile: "FROM base\nWORKDIR /app\nONBUILD ARG NAME=app\nONBUILD COPY ${NAME}.txt ./\nONBUILD ENV DONE=yes\n", base: base}
	first.must(t)
	reference := first.reference
	second := &buildTest{dockerfile: "FROM base\nLABEL a=b\n", base: reference, files: map[string]string{"app.txt": "text"}}
	img := second.must(t)
	if got, _ := read(t, img, `Files\app\app.txt`); got != "text" {
		t.Errorf("app.txt: %q", got)
	}
	c := config(t, img)
	if c["OnBuild"] != nil || !reflect.DeepEqual(c["Env"], []any{"DONE=yes"}) {
		t.Errorf("configuration: %v", c)
	}
	if !strings.HasPrefix(second.steps[1].Instruction, "ONBUILD ARG") {
		t.Errorf("steps: %+v", second.steps)
	}
	// A trigger that is wrong has the line of FROM.
	bad := baseImage(t, nil)
	third := &buildTest{dockerfile: "FROM base\nONBUILD RUN msiexec /i x\n", base: bad}
	third.must(t)
	fourth := &buildTest{dockerfile: "\nFROM base\nLABEL a=b\n", base: third.reference}
	_, err := fourth.build(t)
	var e *Error
	if !errors.As(err, &e) || e.Line != 2 {
		t.Errorf("error: %v", err)
	}
}

// CMD and ENTRYPOINT are stored as Docker on Windows stores them.
func TestCommandLines(t *testing.T) {
	for _, c := range []struct {
		text            string
		entrypoint, cmd []string
		escaped         bool
	}{
		{`CMD echo "a b" %PATH%`, nil, []string{`cmd /S /C echo "a b" %PATH%`}, true},
		{`CMD ["echo", "a b"]`, nil, []string{"echo", "a b"}, false},
		{"SHELL [\"powershell\", \"-Command\"]\nCMD Get-Date", nil, []string{`powershell -Command Get-Date`}, true},
		{`ENTRYPOINT app.exe -x`, []string{`cmd /S /C app.exe -x`}, nil, true},
		{"ENTRYPOINT [\"app.exe\"]\nCMD [\"-x\"]", []string{"app.exe"}, []string{"-x"}, false},
		{"CMD [\"-x\"]\nENTRYPOINT [\"app.exe\"]", []string{"app.exe"}, []string{"-x"}, false},
		{`CMD []`, nil, nil, false},
	} {
		img := (&buildTest{dockerfile: "# escape=`\nFROM base\n" + c.text + "\n"}).must(t)
		got := img.Config().Config
		escaped := config(t, img)["ArgsEscaped"] == true
		if strings.Join(got.Entrypoint, "|") != strings.Join(c.entrypoint, "|") || strings.Join(got.Cmd, "|") != strings.Join(c.cmd, "|") || escaped != c.escaped {
			t.Errorf("%s:\n%q %q %v", c.text, got.Entrypoint, got.Cmd, escaped)
		}
	}
}

func TestScratch(t *testing.T) {
	p, err := image.ParsePlatform("windows(10.0.20348)/amd64")
	if err != nil {
		t.Fatal(err)
	}
	b := &buildTest{
		dockerfile: "FROM scratch\nENV A=b\nCOPY a C:/app/\nWORKDIR C:/app\nCOPY a b\nENTRYPOINT [\"app.exe\"]\n",
		files:      map[string]string{"a": "text"},
		options:    func(o *Options) { o.Platform = p },
	}
	img := b.must(t)
	if len(img.Layers()) != 2 {
		t.Errorf("%d layers", len(img.Layers()))
	}
	v, err := img.OSVersion(t.Context(), nil)
	if err != nil || v.Build != 20348 {
		t.Errorf("version %v, %v", v, err)
	}
	if got := img.Platform(); got.String() != "windows(10.0.20348)/amd64" {
		t.Errorf("platform %v", got)
	}
	if got, _ := read(t, img, `Files\app\b`); got != "text" {
		t.Errorf("b: %q", got)
	}
}

// The registry of an image from scratch can be changed too.
func TestScratchRegistry(t *testing.T) {
	b := &buildTest{dockerfile: "FROM scratch\nRUN reg add HKLM\\SOFTWARE\\A /v x /d 1 /f\nRUN reg add HKLM\\SOFTWARE\\B /v x /d 2 /f\n", options: func(o *Options) {
		o.Platform = image.Platform{OS: "windows", OSVersion: "10.0.20348", Architecture: "amd64"}
	}}
	img := b.must(t)
	for key, want := range map[string]string{"A": "1", "B": "2"} {
		if got := value(t, img, hives.Software, key, "x"); got != want {
			t.Errorf("%s: %q", key, got)
		}
	}
}

func TestVolumes(t *testing.T) {
	for text, bad := range map[string]int{
		"VOLUME C:/inetpub/wwwroot":                       2,
		"VOLUME C:/empty":                                 0,
		"VOLUME [\"D:\", \"C:/new\"]":                     0,
		"VOLUME C:/data\nCOPY a C:/data/":                 2,
		"RUN mkdir C:\\data\nVOLUME C:/data":              0,
		"VOLUME C:/Windows/win.ini":                       2,
		"VOLUME C:/":                                      2,
		"VOLUME ${HOME_OF_DATA:-C:/inetpub} D:/x E:\\y\\": 2,
	} {
		b := &buildTest{dockerfile: "FROM base\n" + text + "\n", files: map[string]string{"a": "b"}}
		_, err := b.build(t)
		var e *Error
		line := 0
		if errors.As(err, &e) {
			line = e.Line
		} else if err != nil {
			t.Fatal(err)
		}
		if line != bad {
			t.Errorf("%s: error in line %d, want %d: %v", text, line, bad, err)
		}
	}
}

// Samples in the style of those for public images.
func TestSamples(t *testing.T) {
	samples, err := os.ReadDir("testdata/samples")
	if err != nil {
		t.Fatal(err)
	}
	if len(samples) < 4 {
		t.Fatalf("%d samples", len(samples))
	}
	for _, s := range samples {
		t.Run(s.Name(), func(t *testing.T) {
			dir := filepath.Join("testdata", "samples", s.Name())
			text, err := os.ReadFile(filepath.Join(dir, "Dockerfile"))
			if err != nil {
				t.Fatal(err)
			}
			b := &buildTest{dockerfile: string(text), options: func(o *Options) {
				o.Context = dir
				o.Contexts["dist"] = Context{Dir: filepath.Join(dir, "dist")}
			}}
			img := b.must(t)
			var want struct {
				Files map[string]string
				Env   map[string]string
				// Registry has values by their paths, the hive first.
				Registry map[string]string
				Config   map[string]any
				Layers   int
			}
			raw, err := os.ReadFile(filepath.Join(dir, "want.json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
			for path, text := range want.Files {
				if got, _ := read(t, img, path); got != text {
					t.Errorf("%s: %q, want %q", path, got, text)
				}
			}
			env, err := img.Environment(context.WithoutCancel(t.Context()), nil)
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range want.Env {
				if got, _ := env.Get(name); got != value {
					t.Errorf("%s=%s, want %s", name, got, value)
				}
			}
			for path, text := range want.Registry {
				hive, rest, _ := strings.Cut(path, `\`)
				key, name := winfs.SplitPath(rest)
				n, ok := hives.ParseName(hive)
				if !ok {
					t.Fatal(path)
				}
				if got := value(t, img, n, key, name); got != text {
					t.Errorf("%s is %q, want %q", path, got, text)
				}
			}
			got := config(t, img)
			for name, value := range want.Config {
				if !reflect.DeepEqual(got[name], value) {
					t.Errorf("%s: %v, want %v", name, got[name], value)
				}
			}
			if n := len(img.Layers()); n != want.Layers {
				t.Errorf("%d layers, want %d", n, want.Layers)
			}
		})
	}
}

// BenchmarkSample builds the sample of the command.
func BenchmarkSample(b *testing.B) {
	root := testenv.Root(b)
	text, err := os.ReadFile(filepath.Join(root, "examples", "build", "Dockerfile"))
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	for n := range b.N {
		_, err := Build(b.Context(), Options{
			Dockerfile: bytes.NewReader(text),
			Context:    filepath.Join(root, "examples", "build"),
			Contexts:   map[string]Context{"hello": {Image: "oci-archive:" + filepath.Join(root, "examples", "hello", "hello.tar")}},
			Output:     fmt.Sprintf("oci:%s/%d:v1", dir, n),
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
