package cli

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/internal/openfile"
)

// The bounds of what sniff reads: members of a tar, and bytes of a compressed one.
const (
	sniffMembers = 10_000
	sniffBytes   = 4 << 20
)

// A found is what lies at a path by its content.
type found struct {
	what   string // "an OCI archive"
	scheme string // of the reference that reads it, "" if none does
}

// sniff tells by its content what a file or directory is; ok is false if that is not known.
// It is for advice: what it reads is bounded, and every error means that it is not known.
func sniff(path string) (f found, ok bool) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return f, false
	case info.IsDir():
		return sniffDirectory(path)
	case info.Mode().IsRegular():
		return sniffFile(path)
	}
	return f, false
}

func sniffDirectory(path string) (found, bool) {
	has := func(name string) bool {
		_, err := os.Lstat(filepath.Join(path, name))
		return err == nil
	}
	switch {
	case has("oci-layout"):
		return found{"an OCI layout", image.Layout}, true
	case has("cim-layers"):
		return found{"a store of unpacked images, whose CimFS images are in cim-layers", ""}, true
	case has("layers.json"):
		return found{"a directory of unpacked layers, each a layer directory in it", ""}, true
	case has("Files"):
		return found{"a layer directory", "wclayer"}, true
	}
	return found{}, false
}

func sniffFile(path string) (found, bool) {
	f, err := openfile.Regular(path)
	if err != nil {
		return found{}, false
	}
	defer f.Close()
	head := make([]byte, 8)
	n, _ := io.ReadFull(f, head)
	switch {
	case string(head) == cimMagic:
		return found{"a CimFS image", "cim"}, true
	case strings.HasPrefix(string(head), hiveMagic):
		return found{"a registry hive, which the hive commands read", ""}, true
	}
	format, err := blob.Detect(head[:n])
	if err != nil {
		return found{}, false
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return found{}, false
	}
	if format == blob.Plain {
		return sniffTar(f)
	}
	// The reader ahead is not read to its end.
	b, err := blob.NewReader(context.Background(), f)
	if err != nil {
		return found{}, false
	}
	defer b.Close()
	return sniffTar(io.LimitReader(b, sniffBytes))
}

// cimMagic begins a CimFS image.
const cimMagic = "cimfile0"

// sniffTar looks at the names in a tar, which is skipped through if it can be.
func sniffTar(r io.Reader) (found, bool) {
	t := tar.NewReader(r)
	blobs := false
	for range sniffMembers {
		h, err := t.Next()
		if err != nil {
			break
		}
		name := strings.TrimPrefix(strings.TrimSuffix(h.Name, "/"), "./")
		root, _, _ := strings.Cut(strings.ReplaceAll(name, `\`, "/"), "/")
		switch {
		case name == "oci-layout" || name == "index.json":
			return found{"an OCI archive", image.OCIArchive}, true
		case name == "manifest.json":
			return found{"an archive of docker save", image.DockerArchive}, true
		case root == "blobs":
			blobs = true
		case strings.EqualFold(root, "Files"), strings.EqualFold(root, "Hives"), strings.EqualFold(root, "UtilityVM"):
			return found{"a layer tar", "tar"}, true
		}
	}
	if blobs {
		return found{"an OCI archive", image.OCIArchive}, true
	}
	return found{}, false
}

// imageCommands are the commands that read images and no layers.
var imageCommands = []string{"append", "config", "copy", "env", "inspect", "manifest", "rebase", "squash", "unpack", "updates"}

// advice says what lies at a path and how a command reads it.
func (f found) advice(command, path string) string {
	switch _, isLayer := parseLayerRef(f.scheme + ":" + path); {
	case f.scheme == "":
		return fmt.Sprintf("%s is %s", path, f.what)
	case isLayer && slices.Contains(imageCommands, command):
		return fmt.Sprintf("%s is %s, not an image; ls, cat, check, diff and blame read %s:%[1]s", path, f.what, f.scheme)
	}
	return fmt.Sprintf("%s is %s: %s:%[1]s", path, f.what, f.scheme)
}

// misread returns advice on a reference whose scheme is not that of what lies at its path,
// or "".
func misread(command, ref string) string {
	scheme, path := "", ""
	if l, ok := parseLayerRef(ref); ok {
		scheme, path = l.format.scheme, l.name
	} else if r, err := image.ParseReference(ref); err == nil && (r.Transport == image.Layout || r.Transport == image.OCIArchive || r.Transport == image.DockerArchive) {
		scheme, path = r.Transport, r.Path
	} else if st, err := os.Stat(ref); err == nil && st.IsDir() {
		path = ref // read as a plain directory
	}
	if path == "" || path == "-" {
		return ""
	}
	f, ok := sniff(path)
	if !ok || f.scheme == scheme {
		return ""
	}
	return f.advice(command, path)
}
