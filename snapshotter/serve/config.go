package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/template"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/platforms"
)

// The names under which containerd knows the plugins. Two proxy plugins need
// different names even if their types differ.
const (
	SnapshotterName = "mullion"
	DifferName      = "mullion-diff"
)

// Platform is that of the images which the plugins are for.
const Platform = "windows/amd64"

// Capabilities are those of the snapshotter: it takes a layer before the one below it
// is there, so that containerd can unpack several at once.
func Capabilities() []string { return []string{snapshots.RebaseCap} }

// The versions of containerd's configuration file that can be written.
const (
	ConfigVersion17 = 2 // containerd 1.6 and 1.7
	ConfigVersion2  = 3 // containerd 2.0 and later; 2.4 reads it too
	ConfigVersion24 = 4 // containerd 2.4
)

// ErrConfigVersion says that a version of containerd's configuration is not known.
var ErrConfigVersion = errors.New("unknown version of containerd's configuration")

// ContainerdConfig is the configuration that containerd needs for the plugin: a complete
// file for a containerd without one, or a file to import into an existing one.
type ContainerdConfig struct {
	// Version is that of the file, ConfigVersion2 if 0.
	Version int
	// Root and Address are those of the plugin, absolute.
	Root, Address string
	// Capabilities are those of the snapshotter.
	Capabilities []string
}

// host is containerd's default for unpacking images of its own platform
// (plugins/transfer). A list in the configuration replaces the default, so the list must
// contain it.
type host struct{ Platform, Snapshotter, Differ string }

// hostDefaults returns the defaults of a containerd on this system, and the order in
// which its diff service asks differs.
func hostDefaults(goos string) (h host, order []string) {
	spec := platforms.DefaultSpec()
	switch goos {
	case "windows":
		// Windows images are the host's own here, and the first entry counts.
		return host{}, []string{"windows", "windows-lcow"}
	case "darwin":
		spec.OS = "linux"
		return host{platforms.Format(spec), "erofs", "erofs"}, []string{"erofs", "walking"}
	case "freebsd":
		return host{platforms.Format(spec), "native", "walking"}, []string{"walking"}
	}
	return host{platforms.Format(spec), "overlayfs", "walking"}, []string{"walking"}
}

// quote makes a TOML string. JSON's are a subset of them.
func quote(s any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(s)
	return strings.TrimSpace(b.String()), err
}

var configTemplate = template.Must(template.New("config").Funcs(template.FuncMap{"quote": quote}).Parse(
	`# Windows images through mullion, for {{.For}}.
# Either this is containerd's whole configuration, or it stands in a file of its own
# that the configuration names:  imports = ["/etc/containerd/conf.d/*.toml"]
version = {{.Version}}

[proxy_plugins.{{.Snapshotter}}]
  type = "snapshot"
  address = {{quote .Address}}
  platform = {{quote .Platform}}
{{- if .Capabilities}}
  capabilities = {{quote .Capabilities}}
{{- end}}
  [proxy_plugins.{{.Snapshotter}}.exports]
    root = {{quote .Root}}

[proxy_plugins.{{.Differ}}]
  type = "diff"
  address = {{quote .Address}}
  platform = {{quote .Platform}}

# Clients that unpack themselves (ctr --local, nerdctl, CRI) ask the differs in this
# order. The others would take a Windows layer for a plain tar and lose its metadata;
# ours leaves to them what is not in its snapshots.
[plugins."io.containerd.service.v1.diff-service"]
  default = {{quote .Order}}

# What containerd's transfer service unpacks with. Without an entry for its platform an
# image is fetched and not unpacked.
[plugins."io.containerd.transfer.v1.local"]
{{- if .Parallel}}
  # Layers of an image are decompressed beside each other.
  max_concurrent_unpacks = 3
{{- end}}
{{- if .Host.Platform}}
  [[plugins."io.containerd.transfer.v1.local".unpack_config]]
    platform = {{quote .Host.Platform}}
    snapshotter = {{quote .Host.Snapshotter}}
    differ = {{quote .Host.Differ}}
{{- end}}
  [[plugins."io.containerd.transfer.v1.local".unpack_config]]
    platform = {{quote .Platform}}
    snapshotter = "{{.Snapshotter}}"
    differ = "{{.Differ}}"
`))

// Write writes the configuration.
func (c ContainerdConfig) Write(w io.Writer) error { return c.write(w, runtime.GOOS) }

func (c ContainerdConfig) write(w io.Writer, goos string) error {
	if c.Version == 0 {
		c.Version = ConfigVersion2
	}
	title := map[int]string{ConfigVersion17: "containerd 1.7", ConfigVersion2: "containerd 2.x", ConfigVersion24: "containerd 2.4 and later"}[c.Version]
	if title == "" {
		return fmt.Errorf("%w: %d; there are %d for containerd 1.7, %d for 2.x, %d for 2.4", ErrConfigVersion, c.Version,
			ConfigVersion17, ConfigVersion2, ConfigVersion24)
	}
	data := struct {
		ContainerdConfig
		For, Platform, Snapshotter, Differ string
		Order                              []string
		Host                               host
		Parallel                           bool
	}{ContainerdConfig: c, For: title, Platform: Platform, Snapshotter: SnapshotterName, Differ: DifferName}
	data.Host, data.Order = hostDefaults(goos)
	data.Order = append([]string{DifferName}, data.Order...)
	if c.Version > ConfigVersion17 {
		data.Parallel = len(c.Capabilities) > 0
	} else {
		data.Capabilities = nil // nothing in 1.7 unpacks in parallel
	}
	return configTemplate.Execute(w, data)
}
