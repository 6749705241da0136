package main

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// layoutServer is a registry on the loopback interface whose only content is an OCI
// layout, under any repository name. It serves ranges of blobs, as registries do, and
// counts what it sends.
type layoutServer struct {
	dir  string
	tags map[string]ocispec.Descriptor // of index.json, by tag and by digest
	sent atomic.Int64
	// Host is the address, 127.0.0.1:PORT.
	Host   string
	server http.Server
}

// serveLayout starts a server for the layout in dir.
func serveLayout(dir string) (*layoutServer, error) {
	index, err := readIndex(dir)
	if err != nil {
		return nil, err
	}
	s := &layoutServer{dir: dir, tags: map[string]ocispec.Descriptor{}}
	for _, d := range index.Manifests {
		s.tags[d.Digest.String()] = d
		if tag := d.Annotations[ocispec.AnnotationRefName]; tag != "" {
			s.tags[tag] = d
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.Host = l.Addr().String()
	s.server.Handler = s
	go s.server.Serve(&countingListener{l, &s.sent})
	return s, nil
}

// Sent returns the number of bytes sent so far, with the headers.
func (s *layoutServer) Sent() int64 { return s.sent.Load() }

// Close ends the server.
func (s *layoutServer) Close() error { return s.server.Close() }

var registryPath = regexp.MustCompile(`^/v2/.+/(manifests|blobs)/([^/]+)$`)

// blobDigest is also why no request leaves the directory of the blobs.
var blobDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func (s *layoutServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "this registry cannot be written", http.StatusMethodNotAllowed)
		return
	}
	if r.URL.Path == "/v2/" || r.URL.Path == "/v2" {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "{}")
		return
	}
	if name, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/v2/"), "/tags/list"); ok {
		w.Header().Set("Content-Type", "application/json")
		tags := slices.DeleteFunc(slices.Sorted(maps.Keys(s.tags)), blobDigest.MatchString)
		json.NewEncoder(w).Encode(map[string]any{"name": name, "tags": tags})
		return
	}
	m := registryPath.FindStringSubmatch(r.URL.Path)
	if m == nil {
		http.NotFound(w, r)
		return
	}
	digest, mediaType := m[2], "application/octet-stream"
	if m[1] == "manifests" {
		d, ok := s.tags[digest]
		if !ok {
			http.NotFound(w, r)
			return
		}
		digest, mediaType = d.Digest.String(), d.MediaType
	}
	if !blobDigest.MatchString(digest) {
		http.NotFound(w, r)
		return
	}
	f, err := os.Open(filepath.Join(s.dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:")))
	if errors.Is(err, os.ErrNotExist) {
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Etag", `"`+digest+`"`)
	http.ServeContent(w, r, "", info.ModTime(), f)
}

// countingListener counts what its connections write.
type countingListener struct {
	net.Listener
	n *atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countingConn{c, l.n}, nil
}

type countingConn struct {
	net.Conn
	n *atomic.Int64
}

func (c *countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.n.Add(int64(n))
	return n, err
}
