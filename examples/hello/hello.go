// Package hello makes hello.tar, a Windows image in miniature with one of everything
// that a layer can hold. The base layer has the five registry hives of a Windows
// Server 2022, and System32 with one program, which prints a line;
// the application layer has a delta hive that adds, changes and deletes keys and
// values, a whiteout, a hard link into the base, an alternate stream, symbolic links
// and a file whose name is not ASCII. There are a junction, extended attributes and
// security descriptors. The README unpacks it, and it is a worked example of writing
// layers with this library.
//
// Everything in it is made by this package, and the same bytes each time.
package hello

//go:generate go run ./generate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/archive"
	"github.com/mullion/mullion/image/imagetest"
	_ "github.com/mullion/mullion/image/layout"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
	"github.com/mullion/mullion/wintar"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// created is the time of everything in the image.
var created = time.Date(2024, 9, 10, 18, 0, 0, 123456700, time.UTC)

// Write makes the image and writes it as a new OCI archive, replacing one that is
// there.
func Write(ctx context.Context, archive string) error {
	base, err := tarOf(baseLayer)
	if err != nil {
		return err
	}
	app, err := tarOf(appLayer)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mullion-hello-")
	if err != nil {
		return err
	}
	layout := filepath.Join(dir, "layout")
	err = imagetest.WriteLayout(layout, imagetest.Image{
		Config: ocispec.Image{
			Created:  &created,
			Platform: ocispec.Platform{OS: "windows", OSVersion: "10.0.20348.2700", Architecture: "amd64"},
			Config: ocispec.ImageConfig{
				User: "ContainerUser",
				Env:  []string{`PATH=C:\Windows\System32;C:\Windows`},
				Cmd:  []string{`C:\Windows\System32\hello.exe`},
			},
		},
		Layers: []imagetest.Layer{{Tar: base, Format: blob.Gzip}, {Tar: app, Format: blob.Gzip}},
		Tag:    "hello",
	})
	if err == nil {
		_, err = image.Copy(ctx, "oci:"+layout, "oci-archive:"+archive+":hello", image.WithForce())
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// WriteParts writes parts of the image in an archive to the directory dir, as examples of
// other packages read them: base.tar.gz, the blob of the base layer, and a hive with its
// delta, SOFTWARE and Software_Delta.
func WriteParts(ctx context.Context, archive, dir string) (err error) {
	img, err := image.Open(ctx, "oci-archive:"+archive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	blob, err := img.Layers()[0].Stored(ctx)
	if err != nil {
		return err
	}
	defer blob.Close()
	raw, err := io.ReadAll(blob)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "base.tar.gz"), raw, 0o644); err != nil {
		return err
	}
	for i, form := range []hives.Form{hives.Config, hives.Delta} {
		view, err := layer.Union(ctx, img.Sources(ctx)[:i+1])
		if err != nil {
			return err
		}
		name := strings.ReplaceAll(hives.Software.Path(form), `\`, "/")
		hive, err := view.FS().ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, path.Base(name)), hive, 0o644)
		}
		if err := errors.Join(err, view.Close()); err != nil {
			return err
		}
	}
	return nil
}

// tarOf returns the tar of a layer.
func tarOf(fill func(*builder)) ([]byte, error) {
	var b bytes.Buffer
	w := &builder{w: wintar.NewWriter(&b)}
	fill(w)
	if w.err == nil {
		w.err = w.w.Commit()
	}
	return b.Bytes(), errors.Join(w.err, w.w.Close())
}

// baseLayer writes a Windows base image in miniature.
func baseLayer(b *builder) {
	b.dir(`Files`, 0)
	b.link(`Files\Documents and Settings`, mountPoint(`C:\Users`), winfs.AttrDirectory|winfs.AttrHidden|winfs.AttrSystem)
	b.file(`Files\License.txt`, 0, "There is nothing of Windows in this image.\r\n")
	b.dir(`Files\ProgramData`, winfs.AttrHidden)
	b.dir(`Files\Users`, winfs.AttrReadOnly)
	b.dir(`Files\Users\Public`, winfs.AttrReadOnly)
	b.dir(`Files\Windows`, 0)
	b.dir(`Files\Windows\System32`, 0)
	b.dir(`Files\Windows\System32\config`, 0)
	for _, n := range hives.All() {
		b.hive(n.Path(hives.Config), baseHive(n))
	}
	b.dir(`Files\Windows\System32\drivers`, 0)
	b.dir(`Files\Windows\System32\drivers\etc`, 0)
	b.file(`Files\Windows\System32\drivers\etc\hosts`, 0, "127.0.0.1 localhost\r\n::1 localhost\r\n")
	b.withEAs(`Files\Windows\System32\kernel.txt`, "Extended attributes hold what Windows knows of its own files.\r\n",
		winfs.EA{Name: "$KERNEL.PURGE.ESBCACHE", Value: []byte{1, 0, 0, 0}},
		winfs.EA{Name: "$CI.CATALOGHINT", Flags: 0x80, Value: []byte("hello.cat")})
	b.file(`Files\Windows\System32\hello.exe`, 0, string(program("Hello from a Windows program.\r\n")))
	b.file(`Files\Windows\win.ini`, 0, "; for 16-bit app support\r\n[fonts]\r\n[extensions]\r\n")
	b.link(`Files\Windows\hosts`, symlink(`System32\drivers\etc\hosts`), 0)
}

// appLayer changes the base.
func appLayer(b *builder) {
	b.dir(`Files`, 0)
	b.dir(`Files\Windows`, 0)
	b.add(&layer.Entry{Kind: layer.Whiteout, Path: `Files\Windows\win.ini`})
	b.dir(`Files\hello`, 0)
	b.withStream(`Files\hello\hello.txt`, "Hello from a Windows layer.\r\n", "Zone.Identifier", "[ZoneTransfer]\r\nZoneId=3\r\n")
	b.add(&layer.Entry{Kind: layer.Link, Path: `Files\hello\hosts`, Target: `Files\Windows\System32\drivers\etc\hosts`,
		Attributes: winfs.AttrArchive, Times: times()})
	b.link(`Files\hello\latest.txt`, symlink(`hello.txt`), 0)
	b.link(`Files\hello\system`, symlink(`C:\Windows\System32`), winfs.AttrDirectory)
	b.file(`Files\hello\Grüße 🪟.txt`, winfs.AttrReadOnly, "Names are UTF-16 on Windows.\r\n")
	b.dir(`Hives`, 0)
	for _, n := range []hives.Name{hives.Software, hives.System} {
		b.hive(n.Path(hives.Delta), deltaHive(n))
	}
}

// builder writes entries until the first error.
type builder struct {
	w   layer.Writer
	err error
}

func (b *builder) add(e *layer.Entry) {
	if b.err == nil {
		b.err = b.w.Add(e)
	}
}

// stream writes one stream of the current entry; name is empty for the main one.
func (b *builder) stream(name, data string) {
	if b.err == nil {
		b.err = b.w.AddStream(&layer.Stream{Name: name, Size: int64(len(data))})
	}
	if b.err == nil {
		_, b.err = io.Copy(b.w, strings.NewReader(data))
	}
}

func (b *builder) dir(path string, more winfs.Attributes) {
	b.add(&layer.Entry{Kind: layer.Dir, Path: path, Attributes: winfs.AttrDirectory | more, Times: times(), Security: winsec.BuilderDirectory()})
}

func (b *builder) entry(path, data string, more winfs.Attributes, eas []winfs.EA) {
	b.add(&layer.Entry{Kind: layer.File, Path: path, Attributes: winfs.AttrArchive | more, Times: times(),
		Security: winsec.BuilderFile(), EAs: eas, Size: int64(len(data))})
	b.stream("", data)
}

func (b *builder) file(path string, more winfs.Attributes, data string) {
	b.entry(path, data, more, nil)
}

// hive adds the hive that made returns, unless made failed.
func (b *builder) hive(path string, made func() ([]byte, error)) {
	if b.err != nil {
		return
	}
	data, err := made()
	if err != nil {
		b.err = err
		return
	}
	b.file(path, 0, string(data))
}

func (b *builder) withEAs(path, data string, eas ...winfs.EA) { b.entry(path, data, 0, eas) }

func (b *builder) withStream(path, data, stream, streamData string) {
	b.entry(path, data, 0, nil)
	b.stream(stream, streamData)
}

// link adds a reparse point, to a directory if the attributes say so.
func (b *builder) link(path string, reparse []byte, more winfs.Attributes) {
	e := &layer.Entry{Kind: layer.File, Path: path, Attributes: winfs.AttrReparsePoint | more, Times: times(),
		Security: winsec.BuilderFile(), Reparse: reparse}
	if more&winfs.AttrDirectory != 0 {
		e.Kind, e.Security = layer.Dir, winsec.BuilderDirectory()
	}
	b.add(e)
}

func times() winfs.Times {
	t, err := winfs.FiletimeFromTime(created)
	if err != nil {
		panic(err) // created is a constant
	}
	return winfs.Times{Creation: t, LastAccess: t, LastWrite: t, Change: t}
}

// symlink and mountPoint encode targets that are literals in this file.
func symlink(target string) []byte    { return must(winfs.EncodeSymlink(target)) }
func mountPoint(target string) []byte { return must(winfs.EncodeMountPoint(target)) }

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}
