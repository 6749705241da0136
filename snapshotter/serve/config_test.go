package serve

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

func TestContainerdConfig(t *testing.T) {
	c := ContainerdConfig{Root: `/var/lib/a "quoted" name`, Address: "/run/mullion.sock", Capabilities: []string{"rebase"}}
	var b strings.Builder
	if err := c.write(&b, "linux"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(b.String()) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			got = append(got, line)
		}
	}
	want := strings.Split(`version = 3
[proxy_plugins.mullion]
type = "snapshot"
address = "/run/mullion.sock"
platform = "windows/amd64"
capabilities = ["rebase"]
[proxy_plugins.mullion.exports]
root = "/var/lib/a \"quoted\" name"
[proxy_plugins.mullion-diff]
type = "diff"
address = "/run/mullion.sock"
platform = "windows/amd64"
[plugins."io.containerd.service.v1.diff-service"]
default = ["mullion-diff","walking"]
[plugins."io.containerd.transfer.v1.local"]
max_concurrent_unpacks = 3
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
platform = "linux/ARCH"
snapshotter = "overlayfs"
differ = "walking"
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
platform = "windows/amd64"
snapshotter = "mullion"
differ = "mullion-diff"`, "\n")
	for i, w := range want {
		w = strings.ReplaceAll(w, "ARCH", runtime.GOARCH)
		if i >= len(got) || got[i] != w {
			t.Fatalf("line %d: want %s in\n%s", i, w, b.String())
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d lines, want %d:\n%s", len(got), len(want), b.String())
	}
}

func TestContainerdConfigOfOthers(t *testing.T) {
	for _, c := range []struct {
		goos    string
		version int
		want    []string
		not     []string
	}{
		{"linux", ConfigVersion17, []string{"version = 2\n", "containerd 1.7"}, []string{"capabilities", "max_concurrent_unpacks"}},
		{"linux", ConfigVersion24, []string{"version = 4\n"}, nil},
		{"darwin", 0, []string{`"linux/`, `snapshotter = "erofs"`, `["mullion-diff","erofs","walking"]`}, nil},
		{"windows", 0, []string{`["mullion-diff","windows","windows-lcow"]`}, []string{`snapshotter = ""`}},
	} {
		var b strings.Builder
		if err := (ContainerdConfig{Version: c.version, Root: "/r", Address: "/a", Capabilities: []string{"rebase"}}).write(&b, c.goos); err != nil {
			t.Fatal(err)
		}
		for _, w := range c.want {
			if !strings.Contains(b.String(), w) {
				t.Errorf("%s, version %d: no %s in\n%s", c.goos, c.version, w, b.String())
			}
		}
		for _, w := range c.not {
			if strings.Contains(b.String(), w) {
				t.Errorf("%s, version %d: %s in\n%s", c.goos, c.version, w, b.String())
			}
		}
	}
	if err := (ContainerdConfig{Version: 7}).Write(&strings.Builder{}); !errors.Is(err, ErrConfigVersion) {
		t.Errorf("version 7: %v", err)
	}
}
