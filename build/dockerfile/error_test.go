package dockerfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/mullion/mullion/build/offline"
	"github.com/mullion/mullion/image"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Each error has its line and column, and nothing is written.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name, text   string
		line, column int
		is           error
		message      string
	}{
		{"empty", "", 0, 0, ErrSyntax, "no instructions"},
		{"comment", "# nothing\n", 1, 1, ErrSyntax, "no instructions"},
		{"no FROM", "ARG a\n", 0, 0, ErrSyntax, "it has no FROM"},
		{"before FROM", "LABEL a=b\nFROM base\n", 1, 1, ErrSyntax, "no build stage"},
		{"unknown", "FROM base\n  FRMO x\n", 2, 3, ErrSyntax, "unknown instruction: FRMO"},
		{"flag", "FROM base\nCOPY --unknown=x a b\n", 2, 1, ErrSyntax, "unknown flag: --unknown"},
		{"mount", "FROM base\nRUN --mount=type=cache,target=/x echo a> b\n", 2, 5, ErrUnsupported, "--mount"},
		{"network", "FROM base\nRUN --network=none echo a> b\n", 2, 5, ErrUnsupported, "--network"},
		{"security", "FROM base\nRUN --security=insecure echo a> b\n", 2, 5, ErrUnsupported, "--security"},
		{"frontend", "# syntax=example/frontend:1\nFROM base\n", 1, 1, ErrUnsupported, "example/frontend"},
		{"old frontend", "# syntax=docker/dockerfile:2\nFROM base\n", 1, 1, ErrUnsupported, "docker/dockerfile:2"},
		{"check", "# check=nothing=1\nFROM base\n", 0, 0, ErrSyntax, "check"},
		{"heredoc", "FROM base\nRUN <<EOF\nmkdir a\n", 2, 1, ErrSyntax, "unterminated heredoc"},
		{"program's heredoc", "FROM base\nRUN python <<EOF\nmkdir a\nEOF\n", 2, 1, ErrUnsupported, "heredoc"},
		{"missing source", "FROM base\n\nCOPY a.txt none.txt C:/app/\n", 3, 12, fs.ErrNotExist, "none.txt"},
		{"missing stage", "FROM base\nCOPY --from=5 a b\n", 2, 0, ErrStage, "no such stage: 5"},
		{"later stage", "FROM base\nCOPY --from=b a b\nFROM base AS b\nFROM base\nCOPY --from=0 a b\n", 2, 0, ErrStage, "line 3"},
		{"variable in --from", "FROM base\nENV a=b\nCOPY --from=${a} a b\n", 3, 0, nil, "not expanded in --from"},
		{"empty base", "ARG b\nFROM ${b}\n", 2, 6, ErrStage, "is empty"},
		{"URL", "FROM base\nADD https://example.com/a.zip C:/\n", 2, 5, ErrUnsupported, "URL"},
		{"git", "FROM base\nADD git@github.com:a/b.git C:/\n", 2, 5, ErrUnsupported, "git"},
		{"checksum", "FROM base\nADD --checksum=sha256:0 a.txt C:/\n", 2, 0, ErrUnsupported, "--checksum"},
		{"chmod", "FROM base\nCOPY --chmod=0711 a.txt C:/\n", 2, 0, nil, "0711"},
		{"chmod of link", "FROM base\nCOPY --chmod=u+x a.txt C:/\n", 2, 0, nil, "u+x"},
		{"chown", "FROM base\nCOPY --chown=somebody a.txt C:/\n", 2, 0, nil, "somebody"},
		{"drive", "FROM base\nCOPY a.txt D:/\n", 2, 12, ErrPath, "C:"},
		{"workdir", "FROM base\nWORKDIR //server/share\n", 2, 0, ErrPath, "UNC"},
		{"workdir is a file", "FROM base\nWORKDIR /Windows/win.ini\n", 2, 9, nil, "no directory"},
		{"name", "FROM base\nCOPY a.txt C:/a/nul\n", 2, 12, ErrPath, "nul"},
		{"port", "FROM base\nEXPOSE 80/icmp\n", 2, 8, ErrSyntax, "icmp"},
		{"signal", "FROM base\nSTOPSIGNAL SIGNONE\n", 2, 12, ErrSyntax, "SIGNONE"},
		{"expansion", "FROM base\nENV a=${b\n", 2, 0, nil, ""},
		{"required", "FROM base\nLABEL a=\"${b:?give it}\"\n", 2, 9, nil, "give it"},
		{"platform", "FROM --platform=linux/amd64 base\n", 1, 0, ErrUnsupported, "linux"},
		{"bad platform", "FROM --platform=win(x base\n", 1, 17, image.ErrPlatform, "win(x"},
		{"RUN outside the table", "# escape=`\nFROM base\nRUN mkdir C:\\a && `\n    msiexec /i setup.msi\n", 4, 5, offline.ErrNotOffline, "msiexec"},
		{"RUN of another account", "FROM base\nUSER ContainerUser\nRUN echo a> b\n", 3, 0, offline.ErrNotOffline, "ContainerUser"},
		{"not UTF-8", "FROM base\nENV a=\xff\n", 2, 7, ErrSyntax, "UTF-8"},
		{"chained ONBUILD", "FROM base\nONBUILD ONBUILD RUN ver\n", 2, 1, ErrSyntax, "ONBUILD"},
		{"lint as error", "# check=error=true\nFROM base\nMAINTAINER x\n", 0, 0, nil, "lint"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &buildTest{dockerfile: c.text, files: map[string]string{"a.txt": "text", "a": "text"}}
			_, err := b.build(t)
			if err == nil {
				t.Fatal("no error")
			}
			if c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.message) || !strings.HasPrefix(err.Error(), "Dockerfile") {
				t.Errorf("%v", err)
			}
			var e *Error
			if !errors.As(err, &e) {
				if c.line != 0 {
					t.Errorf("no place: %v", err)
				}
				return
			}
			if e.Line != c.line || c.column != 0 && e.Column != c.column {
				t.Errorf("%d:%d, want %d:%d: %v", e.Line, e.Column, c.line, c.column, err)
			}
			if c.line > 0 && !strings.Contains(e.Excerpt(), ">>>") {
				t.Errorf("excerpt: %q", e.Excerpt())
			}
		})
	}
}

func TestLargeDockerfile(t *testing.T) {
	for name, text := range map[string]string{
		"10 MB":             "FROM base\n" + strings.Repeat("# a line of a comment\n", 10<<20/22),
		"a long line":       "FROM base\nENV a=" + strings.Repeat("x", 1<<17) + "\n",
		"many instructions": "FROM base\n" + strings.Repeat("ENV a b\n", maxInstructions),
	} {
		b := &buildTest{dockerfile: text}
		if _, err := b.build(t); !errors.Is(err, ErrLimit) && !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTargets(t *testing.T) {
	text := "FROM base AS a\nLABEL x=a\nFROM base AS b\nLABEL x=b\nFROM base\nLABEL x=last\n"
	for target, want := range map[string]string{"": "last", "a": "a", "B": "b", "1": "b", "2": "last"} {
		img := (&buildTest{dockerfile: text, options: func(o *Options) { o.Target = target; o.Labels = map[string]string{"y": "z"} }}).must(t)
		if got := img.Config().Config.Labels; got["x"] != want || got["y"] != "z" {
			t.Errorf("target %q: %v", target, got)
		}
	}
	for _, target := range []string{"c", "3", "-1"} {
		b := &buildTest{dockerfile: text, options: func(o *Options) { o.Target = target }}
		if _, err := b.build(t); !errors.Is(err, ErrStage) {
			t.Errorf("target %q: %v", target, err)
		}
	}
}

// Variables before FROM, those of the command line and the platform's.
func TestArgs(t *testing.T) {
	text := `ARG BASE=absent
ARG BASE_NAME=${BASE}
FROM ${BASE_NAME} AS x
ARG TARGETPLATFORM
ARG TARGETOS
ARG BUILDPLATFORM
ARG given=default
ARG derived=${given}-${TARGETOS}
ARG BASE
ENV A=${TARGETPLATFORM} B=${derived} C=${BASE} D=${BUILDPLATFORM} E=${BASE_NAME:-unset}
ENV c=again
`
	b := &buildTest{dockerfile: text, options: func(o *Options) {
		o.Args = map[string]string{"BASE": "base", "given": "here"}
		o.Platform = image.Platform{OS: "windows", OSVersion: "10.0.20348", Architecture: "amd64"}
	}}
	want := "A=windows(10.0.20348)/amd64 B=here-windows c=again D=windows/amd64 E=unset"
	if got := strings.Join(b.must(t).Config().Config.Env, " "); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// What the registry of a base image lacks or hides is an error where it is needed.
func TestCorruptBase(t *testing.T) {
	base := baseImage(t, func(c *ocispec.Image) { c.Config.WorkingDir = `D:\app` })
	if _, err := (&buildTest{dockerfile: "FROM base\n", base: base}).build(t); !errors.Is(err, ErrPath) {
		t.Errorf("working directory on another drive: %v", err)
	}
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := t.TempDir() + "/out"
	_, err := Build(ctx, Options{Dockerfile: strings.NewReader("FROM scratch\nWORKDIR /a\n"), Context: t.TempDir(), Output: "oci:" + out})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
	if _, err := os.Stat(out); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is left: %v", err)
	}
}
