package layer_test

import (
	"errors"
	"io"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/archive"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

func helloView(t *testing.T) *layer.View {
	t.Helper()
	img, err := image.Open(t.Context(), "oci-archive:../examples/hello/hello.tar")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	view, err := img.Union(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { view.Close() })
	return view
}

func TestViewFS(t *testing.T) {
	if err := fstest.TestFS(helloView(t).FS(), "Files/hello/hello.txt", "Files/hello/latest.txt", "Hives"); err != nil {
		t.Fatal(err)
	}
}

func TestViewFSOfWindows(t *testing.T) {
	fsys := helloView(t).FS()
	if b, err := fsys.ReadFile("FILES/Hello/HELLO.TXT"); err != nil || string(b) != "Hello from a Windows layer.\r\n" {
		t.Errorf("in other case: %q, %v", b, err)
	}
	for name, want := range map[string]string{"Files/hello/latest.txt": "hello.txt", "Files/hello/system": `C:\Windows\System32`} {
		if got, err := fs.ReadLink(fsys, name); err != nil || got != want {
			t.Errorf("%s links to %q, %v", name, got, err)
		}
		if info, err := fs.Lstat(fsys, name); err != nil || info.Mode().Type() != fs.ModeSymlink {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		if b, err := fs.ReadFile(fsys, name); !errors.Is(err, layer.ErrIsLink) && name == "Files/hello/latest.txt" {
			t.Errorf("%s reads as %q, %v", name, b, err)
		}
	}
	if _, err := fsys.ReadLink("Files/hello/hello.txt"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("read link of a file: %v", err)
	}
	for _, gone := range []string{"Files/Windows/win.ini", `Files\hello`, "Files/hello/hello.txt/x"} {
		if _, err := fsys.Stat(gone); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", gone, err)
		}
	}
	if _, err := fsys.Open("../x"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("invalid path: %v", err)
	}
	f, err := fsys.Open("Files/hello/hello.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	w := info.(layer.WindowsInfo)
	if w.Item().Layer != 1 || w.Attributes()&winfs.AttrDirectory != 0 || w.Times().LastWrite == 0 || !w.ModTime().Equal(w.Times().LastWrite.Time()) {
		t.Errorf("metadata %+v", w.Item())
	}
	streams, err := f.(layer.StreamFile).Streams()
	if err != nil || len(streams) != 1 || streams[0].Name != "Zone.Identifier" {
		t.Fatalf("streams %v, %v", streams, err)
	}
	s, err := f.(layer.StreamFile).OpenStream("zone.identifier")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(s); err != nil || string(b) != "[ZoneTransfer]\r\nZoneId=3\r\n" || s.Close() != nil {
		t.Errorf("stream %q, %v", b, err)
	}
	if _, err := f.(layer.StreamFile).OpenStream("other"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a stream that isn't there: %v", err)
	}
}
