package serve

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/mullion/mullion/snapshotter"
)

func TestReadProcessors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	main := write("config.toml", `version = 3
imports = ["conf.d/*.toml", "config.toml"]
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "mullion"
[stream_processors."io.containerd.ocicrypt.decoder.v1.tar.gzip"]
  accepts = ["application/vnd.oci.image.layer.v1.tar+gzip+encrypted"]
  returns = "application/vnd.oci.image.layer.v1.tar+gzip"
  path = "ctd-decoder"
  args = ["--decryption-keys-path", "/etc/keys"]
  env = ["OCICRYPT_KEYPROVIDER_CONFIG=/etc/k.conf"]
[stream_processors.replaced]
  accepts = ["a"]
  returns = "b"
  path = "old"
`)
	write("conf.d/more.toml", "[stream_processors.replaced]\naccepts = [\"a\", \"c\"]\nreturns = \"b\"\npath = \"new\"\n")
	got, err := ReadProcessors(main)
	want := []snapshotter.Processor{
		{ID: "io.containerd.ocicrypt.decoder.v1.tar.gzip", Accepts: []string{"application/vnd.oci.image.layer.v1.tar+gzip+encrypted"},
			Returns: "application/vnd.oci.image.layer.v1.tar+gzip", Path: "ctd-decoder", Args: []string{"--decryption-keys-path", "/etc/keys"},
			Env: []string{"OCICRYPT_KEYPROVIDER_CONFIG=/etc/k.conf"}},
		{ID: "replaced", Accepts: []string{"a", "c"}, Returns: "b", Path: "new"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := ReadProcessors(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for _, bad := range []string{"[", "[stream_processors.x]\npath = \"p\"\n", `stream_processors = 3`} {
		if got, err := ReadProcessors(write("bad.toml", bad)); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}
