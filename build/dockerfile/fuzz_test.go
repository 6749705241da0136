package dockerfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
)

// FuzzDockerfile builds Dockerfiles from a small context, without a base image: stages begin
// with scratch. Whatever the text says, the build ends with an image or an error with a
// place that exists.
func FuzzDockerfile(f *testing.F) {
	for _, seed := range []string{
		strings.ReplaceAll(everyInstruction, "FROM base", "FROM scratch"),
		"FROM scratch\nCOPY <<EOF /a\n$x ${y:-z}\nEOF\n",
		"# escape=`\nFROM scratch AS a\nWORKDIR C:\\a`\nFROM a\nCOPY --from=a C:\\ C:\\b\n",
		"ARG a=${a:-$a}\nFROM ${a#s*}cratch\nENV b=\"${a//x/y}\" c='%b%' d=%b%\n",
		"FROM scratch\nADD --exclude=*.x --chown=S-1-1-0 a* /b/\nVOLUME [\"C:/v\"]\nEXPOSE 1-3/udp\n",
		"FROM scratch\nRUN <<A\nmkdir b && echo x> b\\y\nA\nRUN [\"cmd\", \"/C\", \"del b\\\\y\"]\n",
		"FROM scratch\nONBUILD COPY a /\nFROM 0\n",
	} {
		f.Add(seed)
	}
	dir := f.TempDir()
	for _, name := range []string{"a", "a.x", "app.exe"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		// Names of images would be asked of registries.
		opt := Options{Dockerfile: strings.NewReader(text), Context: dir, Image: offlineImages(), Output: "oci:" + filepath.Join(t.TempDir(), "out")}
		r, err := Build(t.Context(), opt)
		if err == nil {
			if r.Config == "" {
				t.Error("an image without a configuration")
			}
			return
		}
		var e *Error
		if errors.As(err, &e) && (e.Line < 0 || e.EndLine < e.Line && e.Line > 0 || e.Line > strings.Count(text, "\n")+1 || e.Column < 0) {
			t.Errorf("place %d:%d-%d of %d lines", e.Line, e.Column, e.EndLine, strings.Count(text, "\n")+1)
		}
	})
}

// refusing is a registry that has nothing.
type refusing struct{}

var errRefused = errors.New("no registry is asked")

func (refusing) Scheme() string { return image.Registry }
func (refusing) ParseReference(rest string) (image.Reference, error) {
	return image.Reference{Path: rest}, nil
}
func (refusing) OpenSource(context.Context, image.Reference, layer.Limits) (image.Source, error) {
	return nil, errRefused
}
func (refusing) OpenDestination(context.Context, image.Reference) (image.Destination, error) {
	return nil, errRefused
}

func offlineImages() []image.Option { return []image.Option{image.WithTransport(refusing{})} }
