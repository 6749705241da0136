package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/bench/table"
	"github.com/mullion/mullion/image"
)

// TestMain lets the test program be what bench is for the work that it measures in a fresh
// process.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "exec" {
		if err := do(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	dir, err := os.MkdirTemp("", "mullion-bench-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = func() (string, error) { return built(dir) }
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// program returns the path of a mullion, which it builds once.
var program func() (string, error)

func built(dir string) (string, error) {
	path := filepath.Join(dir, "mullion")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, build("..", path, "./cmd/mullion")
}

// tinySubject makes an image of 60 files and what it is measured with: one round, and no
// peers, because none is in PATH.
func tinySubject(t *testing.T) (s *subject, mullion string) {
	t.Helper()
	mullion, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "made-up.tar")
	if err := once(source, func(w io.Writer) error { return makeUp(w, 60, 500) }); err != nil {
		t.Fatal(err)
	}
	layout := filepath.Join(dir, "layout")
	if err := writeQuestionImage(source, layout); err != nil {
		t.Fatal(err)
	}
	s = &subject{ref: "oci:" + layout + ":update", other: "oci:" + layout + ":base"}
	if err := s.look(); err != nil {
		t.Fatal(err)
	}
	before := table.Rounds
	table.Rounds, options.dir = 1, dir
	t.Cleanup(func() { table.Rounds, options.dir = before, "" })
	return s, mullion
}

// rowsOf returns the rows of the tables that begin with these cells.
func rowsOf(text string, cells ...string) [][]string {
	var rows [][]string
lines:
	for line := range strings.Lines(text) {
		row := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		for i, c := range cells {
			if i >= len(row) || row[i] != c {
				continue lines
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func TestQuestions(t *testing.T) {
	s, mullion := tinySubject(t)
	if p := s.plan; p.Dir != "Files/Windows" || p.Size != 1_000_000 || !strings.HasPrefix(p.File, "Files/Windows/System32/file") ||
		p.Layers != 2 || len(p.Blobs) != 2 || p.BaseEntries < 60 || p.Entries <= p.BaseEntries {
		t.Fatalf("plan %+v", p)
	}
	t.Setenv("PATH", t.TempDir())
	var out strings.Builder
	if err := askAll(&out, s, mullion); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, question := range []string{"inspect", "inspect --layers", "ls DIR", "cat, 1.0 MB, late", "os-version", "env", "sbom", "sbom --files all", "diff --stat",
		"diff --registry", "blame PATH", "inspect --waste", "check --quick", "check"} {
		for _, time := range []string{"first", "second"} {
			rows := rowsOf(out.String(), question, "mullion, "+time+" time", "mullion")
			if len(rows) != 2 { // of the layout and the registry
				t.Errorf("%s, %s time: rows %v", question, time, rows)
			}
		}
	}
	if rows := rowsOf(out.String(), "inspect", "crane config", "peer", "not run: not installed"); len(rows) != 1 {
		t.Errorf("no row for a missing peer:\n%s", out.String())
	}
	if left, err := filepath.Glob(filepath.Join(options.dir, "mullion-questions-*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestConversions(t *testing.T) {
	s, mullion := tinySubject(t)
	var out strings.Builder
	if err := convertAll(&out, s, mullion, "no-such-program-here", nil); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, work := range []string{"stored layer to CIM", "tar to CIM", "tar to tar.zst"} {
		if rows := rowsOf(out.String(), work, "mullion convert", "mullion"); len(rows) != 1 || strings.HasPrefix(rows[0][3], "not run") {
			t.Errorf("%s: rows %v", work, rows)
		}
	}
	if rows := rowsOf(out.String(), "tar to CIM", "tar2ext4, sync", "peer", "not run: not installed"); len(rows) != 1 {
		t.Errorf("no row for a missing peer:\n%s", out.String())
	}
	for _, more := range []string{"1 on 0", "1 on 1", "2 on 2", "4 on 4"} {
		if rows := rowsOf(out.String(), "more layers of three files and a delta hive", more, "mullion"); len(rows) != 1 || strings.HasPrefix(rows[0][3], "not run") {
			t.Errorf("%s: rows %v", more, rows)
		}
	}
}

// The images on top are genuine ones, whose layers no round shares with another.
func TestTinyLayers(t *testing.T) {
	s, _ := tinySubject(t)
	c := &converter{subject: s}
	dir := filepath.Join(t.TempDir(), "layout")
	if err := c.makeTiny(dir, 2); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for round := range 2 {
		img, err := image.Open(context.Background(), fmt.Sprintf("oci:%s:tiny8-%d", dir, round))
		if err != nil {
			t.Fatal(err)
		}
		defer img.Close()
		layers := img.Layers()
		if len(layers) != 10 {
			t.Fatalf("%d layers", len(layers))
		}
		for i, l := range layers {
			if _, err := l.Summarize(context.Background()); err != nil {
				t.Errorf("layer %d: %v", i, err)
			}
			if d := l.Descriptor.Digest.String(); i >= 2 && seen[d] {
				t.Errorf("layer %d of round %d is also another", i, round)
			} else {
				seen[d] = true
			}
		}
	}
}

func TestLayoutServer(t *testing.T) {
	s, _ := tinySubject(t)
	server, err := serveLayout(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	get := func(path, span string) (int, http.Header, []byte) {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, "http://"+server.Host+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if span != "" {
			req.Header.Set("Range", span)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header, b
	}
	status, header, manifest := get("/v2/some/image/manifests/update", "")
	if status != http.StatusOK || header.Get("Content-Type") != "application/vnd.oci.image.manifest.v1+json" || !json.Valid(manifest) {
		t.Errorf("manifest: %d %v", status, header)
	}
	if _, _, again := get("/v2/a/manifests/"+header.Get("Docker-Content-Digest"), ""); !bytes.Equal(manifest, again) {
		t.Error("the manifest has other bytes by its digest")
	}
	if _, _, tags := get("/v2/a/b/tags/list", ""); string(bytes.TrimSpace(tags)) != `{"name":"a/b","tags":["base","update"]}` {
		t.Errorf("tags: %s", tags)
	}
	before := server.Sent()
	digest := "sha256:" + filepath.Base(s.plan.Blobs[0])
	status, _, part := get("/v2/a/blobs/"+digest, "bytes=100-299")
	whole, err := os.ReadFile(s.plan.Blobs[0])
	if err != nil {
		t.Fatal(err)
	}
	if status != http.StatusPartialContent || !bytes.Equal(part, whole[100:300]) {
		t.Errorf("range: %d, %d bytes", status, len(part))
	}
	if sent := server.Sent() - before; sent < 200 || sent > 2000 {
		t.Errorf("%d bytes counted for 200 and a header", sent)
	}
	for _, path := range []string{"/v2/a/manifests/none", "/v2/a/blobs/sha256:00", "/v2/a/blobs/..%2F..%2Findex.json", "/other", "/v2/a/blobs/sha256:" + strings.Repeat("0", 64)} {
		if status, _, _ := get(path, ""); status != http.StatusNotFound {
			t.Errorf("%s: status %d", path, status)
		}
	}
}

func TestParse(t *testing.T) {
	defer func(rounds int) { table.Rounds, options.image, options.other = rounds, "", "" }(table.Rounds)
	names, err := parse([]string{"questions", "-runs", "2", "convert", "-image", "oci:x:y", "questions"})
	if err != nil || strings.Join(names, " ") != "questions convert" || table.Rounds != 2 || options.image != "oci:x:y" {
		t.Errorf("%v, %v, %d, %+v", names, err, table.Rounds, options)
	}
	if names, err := parse(nil); err != nil || len(names) != len(areas) {
		t.Errorf("%v, %v", names, err)
	}
	q := &questioner{subject: &subject{}}
	if _, err := parse([]string{"-match", "^registry/inspect"}); err != nil || len(q.groups(q.remote("host"), nil)) != 3 || len(q.groups(q.local(), nil)) != 0 {
		t.Errorf("-match: %v", err)
	}
	options.match = nil
	for _, bad := range [][]string{{"nothing"}, {"-match", "("}, {"-runs", "-1"}, {"-other", "oci:x:y"}} {
		options.image = ""
		if _, err := parse(bad); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}

// What a hive is asked for is something that it has.
func TestHiveQuestion(t *testing.T) {
	delta, err := oneKeyDelta(1)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "hive")
	if err := os.WriteFile(file, delta, 0o600); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(exe, "exec", "hive-value", file).Output()
	if err != nil || string(out) != "Vendor\\Update\nLevel\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// With -cache there is no first time, and the cache is the one of the flag.
func TestWarmCache(t *testing.T) {
	s, mullion := tinySubject(t)
	options.cache = filepath.Join(t.TempDir(), "cache")
	defer func() { options.cache = "" }()
	cmd := exec.Command(mullion, "ls", "--quiet", s.ref)
	cmd.Env = append(os.Environ(), "MULLION_CACHE="+options.cache)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	before, err := os.ReadDir(options.cache)
	if err != nil || len(before) == 0 {
		t.Fatalf("%v, %v", before, err)
	}
	old := s.plan
	if err := s.look(); err != nil || s.plan.Entries != old.Entries || s.plan.File != old.File {
		t.Fatalf("plan %+v of the cache, %+v without, %v", s.plan, old, err)
	}
	q := &questioner{subject: s, mullion: mullion}
	for _, g := range q.groups(q.local(), nil) {
		if c := g.Cases[0]; c.Name != "mullion, second time" || c.Before != nil || len(g.Cases) > 1 && g.Cases[1].Role == table.Ours {
			t.Errorf("%s: %+v", g.Title, g.Cases)
		}
	}
	if after, err := os.ReadDir(options.cache); err != nil || len(after) < len(before) {
		t.Errorf("the cache had %v and has %v, %v", before, after, err)
	}
}
