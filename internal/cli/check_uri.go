package cli

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// referenceURI returns a URI of what a reference names, for reports. A file or directory
// below the working directory has a path from there, any other one a file: URI. An image
// in a registry has its name as a path, as other scanners have it.
func referenceURI(ref string) string {
	for _, scheme := range []string{"oci:", "oci-archive:", "docker-archive:"} {
		if name, ok := strings.CutPrefix(ref, scheme); ok {
			// A tag follows the last colon, unless a file has a colon in its name.
			if _, err := os.Lstat(name); err != nil {
				if i := strings.LastIndexByte(name, ':'); i > 0 {
					name = name[:i]
				}
			}
			return fileURI(name)
		}
	}
	if layer, ok := parseLayerRef(ref); ok {
		return fileURI(layer.name)
	}
	name := strings.TrimPrefix(ref, "docker://")
	return relativeURI(strings.TrimPrefix(name, "containerd:"))
}

// fileURI returns a URI of a file: relative if it is below the working directory.
func fileURI(name string) string {
	abs, err := filepath.Abs(name)
	if err != nil {
		return relativeURI(filepath.ToSlash(name))
	}
	if dir, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(dir, abs); err == nil && filepath.IsLocal(rel) {
			return relativeURI(filepath.ToSlash(rel))
		}
	}
	path := filepath.ToSlash(abs)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/images
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// relativeURI escapes a path. A colon is escaped too, so that what is before it is no
// scheme.
func relativeURI(path string) string {
	return strings.ReplaceAll((&url.URL{Path: path}).EscapedPath(), ":", "%3A")
}
