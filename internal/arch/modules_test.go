package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

// modules are those of others that a public package links, on Linux and, where that
// differs, on Windows. A change here is seen by everyone who imports the package: a new
// module belongs into docs/decisions.md with its reason.
var modules = map[string]struct{ linux, windows string }{
	"backup":                  {linux: ""},
	"blob":                    {linux: decompressor},
	"build/offline":           {linux: ""},
	"cimfs":                   {linux: ""},
	"cimlayer":                {linux: ""},
	"compare":                 {linux: ""},
	"examples/hello":          {linux: documents},
	"examples/hello/generate": {linux: documents},
	"finding":                 {linux: ""},
	"finding/report":          {linux: ""},
	"history":                 {linux: documents},
	"fusefs": {
		linux:   "github.com/hanwen/go-fuse/v2 golang.org/x/sys",
		windows: none,
	},
	"hives":     {linux: ""},
	"hives/bcd": {linux: ""},
	"image":     {linux: documents},
	"image/all": {
		linux: "github.com/containerd/containerd/api github.com/containerd/containerd/v2 " +
			"github.com/containerd/errdefs github.com/containerd/errdefs/pkg github.com/containerd/log " +
			"github.com/containerd/ttrpc github.com/containerd/typeurl/v2 github.com/docker/cli " +
			"github.com/docker/docker-credential-helpers github.com/google/go-containerregistry " +
			"github.com/klauspost/compress github.com/opencontainers/go-digest " +
			"github.com/opencontainers/image-spec github.com/sirupsen/logrus golang.org/x/net golang.org/x/sync " +
			"golang.org/x/sys golang.org/x/text google.golang.org/genproto/googleapis/rpc google.golang.org/grpc " +
			"google.golang.org/protobuf",
		windows: "github.com/Microsoft/go-winio github.com/containerd/containerd/api " +
			"github.com/containerd/containerd/v2 github.com/containerd/errdefs github.com/containerd/errdefs/pkg " +
			"github.com/containerd/log github.com/containerd/ttrpc github.com/containerd/typeurl/v2 " +
			"github.com/docker/cli github.com/docker/docker-credential-helpers " +
			"github.com/google/go-containerregistry github.com/klauspost/compress " +
			"github.com/opencontainers/go-digest github.com/opencontainers/image-spec github.com/sirupsen/logrus " +
			"golang.org/x/net golang.org/x/sync golang.org/x/sys golang.org/x/text " +
			"google.golang.org/genproto/googleapis/rpc google.golang.org/grpc google.golang.org/protobuf",
	},
	"image/archive": {linux: documents},
	"image/containerd": {
		linux: "github.com/containerd/containerd/api github.com/containerd/containerd/v2 " +
			"github.com/containerd/errdefs github.com/containerd/errdefs/pkg github.com/containerd/log " +
			"github.com/containerd/ttrpc github.com/containerd/typeurl/v2 github.com/klauspost/compress " +
			"github.com/opencontainers/go-digest github.com/opencontainers/image-spec github.com/sirupsen/logrus " +
			"golang.org/x/net golang.org/x/sys golang.org/x/text google.golang.org/genproto/googleapis/rpc " +
			"google.golang.org/grpc google.golang.org/protobuf",
		windows: "github.com/Microsoft/go-winio github.com/containerd/containerd/api " +
			"github.com/containerd/containerd/v2 github.com/containerd/errdefs github.com/containerd/errdefs/pkg " +
			"github.com/containerd/log github.com/containerd/ttrpc github.com/containerd/typeurl/v2 " +
			"github.com/klauspost/compress github.com/opencontainers/go-digest " +
			"github.com/opencontainers/image-spec github.com/sirupsen/logrus golang.org/x/net golang.org/x/sys " +
			"golang.org/x/text google.golang.org/genproto/googleapis/rpc google.golang.org/grpc " +
			"google.golang.org/protobuf",
	},
	"image/imagetest": {linux: documents},
	"image/layout":    {linux: documents},
	"image/registry": {linux: "github.com/docker/cli github.com/docker/docker-credential-helpers " +
		"github.com/google/go-containerregistry github.com/klauspost/compress " +
		"github.com/opencontainers/go-digest github.com/opencontainers/image-spec github.com/sirupsen/logrus " +
		"golang.org/x/sync golang.org/x/sys"},
	"inventory": {linux: "github.com/CycloneDX/cyclonedx-go github.com/anchore/go-struct-converter " +
		"github.com/klauspost/compress github.com/opencontainers/go-digest " +
		"github.com/opencontainers/image-spec github.com/spdx/tools-golang"},
	"layer":           {linux: ""},
	"layer/hostile":   {linux: ""},
	"layer/layertest": {linux: ""},
	"mend":            {linux: ""},
	"layerindex":      {linux: decompressor},
	"overlay":         {linux: ""},
	"regf":            {linux: ""},
	"regf/regtext":    {linux: ""},
	"snapshotter": {
		linux: "github.com/containerd/containerd/api github.com/containerd/containerd/v2 " +
			"github.com/containerd/continuity github.com/containerd/errdefs github.com/containerd/log " +
			"github.com/containerd/platforms github.com/containerd/ttrpc github.com/containerd/typeurl/v2 " +
			"github.com/hanwen/go-fuse/v2 github.com/klauspost/compress github.com/moby/sys/mountinfo " +
			"github.com/moby/sys/userns github.com/opencontainers/go-digest github.com/opencontainers/image-spec " +
			"github.com/sirupsen/logrus go.etcd.io/bbolt golang.org/x/sync golang.org/x/sys " +
			"google.golang.org/genproto/googleapis/rpc google.golang.org/grpc google.golang.org/protobuf",
		windows: "github.com/Microsoft/go-winio github.com/Microsoft/hcsshim github.com/cespare/xxhash/v2 " +
			"github.com/containerd/cgroups/v3 github.com/containerd/containerd/api " +
			"github.com/containerd/containerd/v2 github.com/containerd/continuity github.com/containerd/errdefs " +
			"github.com/containerd/log github.com/containerd/platforms github.com/containerd/ttrpc " +
			"github.com/containerd/typeurl/v2 github.com/go-logr/logr github.com/go-logr/stdr " +
			"github.com/google/uuid github.com/klauspost/compress github.com/moby/sys/mountinfo " +
			"github.com/opencontainers/go-digest github.com/opencontainers/image-spec github.com/pkg/errors " +
			"github.com/sirupsen/logrus go.etcd.io/bbolt go.opentelemetry.io/auto/sdk go.opentelemetry.io/otel " +
			"go.opentelemetry.io/otel/metric go.opentelemetry.io/otel/sdk go.opentelemetry.io/otel/trace " +
			"golang.org/x/sync golang.org/x/sys google.golang.org/genproto/googleapis/rpc google.golang.org/grpc " +
			"google.golang.org/protobuf",
	},
	"snapshotter/serve": {
		linux: "github.com/VictoriaMetrics/metrics github.com/containerd/containerd/api " +
			"github.com/containerd/containerd/v2 github.com/containerd/continuity github.com/containerd/errdefs " +
			"github.com/containerd/errdefs/pkg github.com/containerd/log github.com/containerd/platforms " +
			"github.com/containerd/ttrpc github.com/containerd/typeurl/v2 github.com/hanwen/go-fuse/v2 " +
			"github.com/klauspost/compress github.com/moby/sys/mountinfo github.com/moby/sys/user " +
			"github.com/moby/sys/userns github.com/opencontainers/go-digest " +
			"github.com/opencontainers/image-spec github.com/opencontainers/runtime-spec " +
			"github.com/pelletier/go-toml/v2 github.com/sirupsen/logrus github.com/valyala/fastrand " +
			"github.com/valyala/histogram go.etcd.io/bbolt golang.org/x/net golang.org/x/sync golang.org/x/sys " +
			"golang.org/x/text google.golang.org/genproto/googleapis/rpc google.golang.org/grpc " +
			"google.golang.org/protobuf",
		windows: "github.com/Microsoft/go-winio github.com/Microsoft/hcsshim github.com/VictoriaMetrics/metrics " +
			"github.com/cespare/xxhash/v2 github.com/containerd/cgroups/v3 github.com/containerd/containerd/api " +
			"github.com/containerd/containerd/v2 github.com/containerd/continuity github.com/containerd/errdefs " +
			"github.com/containerd/errdefs/pkg github.com/containerd/log github.com/containerd/platforms " +
			"github.com/containerd/ttrpc github.com/containerd/typeurl/v2 github.com/go-logr/logr " +
			"github.com/go-logr/stdr github.com/google/uuid github.com/klauspost/compress " +
			"github.com/moby/sys/mountinfo github.com/moby/sys/user " +
			"github.com/opencontainers/go-digest github.com/opencontainers/image-spec " +
			"github.com/opencontainers/runtime-spec github.com/pelletier/go-toml/v2 github.com/pkg/errors " +
			"github.com/sirupsen/logrus github.com/valyala/fastrand github.com/valyala/histogram go.etcd.io/bbolt go.opentelemetry.io/auto/sdk go.opentelemetry.io/otel " +
			"go.opentelemetry.io/otel/metric go.opentelemetry.io/otel/sdk go.opentelemetry.io/otel/trace " +
			"golang.org/x/net golang.org/x/sync golang.org/x/sys golang.org/x/text " +
			"google.golang.org/genproto/googleapis/rpc google.golang.org/grpc google.golang.org/protobuf",
	},
	"wclayer": {
		linux:   "golang.org/x/sys",
		windows: "github.com/Microsoft/go-winio golang.org/x/sys",
	},
	"wctransport": {
		linux:   "golang.org/x/sys",
		windows: "github.com/Microsoft/go-winio golang.org/x/sys",
	},
	"winfs":  {linux: ""},
	"winsec": {linux: ""},
	"wintar": {linux: decompressor},
}

const (
	none         = "none" // on Windows, where Linux has some
	decompressor = "github.com/klauspost/compress"
	documents    = decompressor + " github.com/opencontainers/go-digest github.com/opencontainers/image-spec"
)

// listed is what go list says of a package.
type listed struct {
	ImportPath string
	Deps       []string
	Standard   bool
	Module     *struct{ Path string }
}

// linked returns the modules of others that each package of this one links.
func linked(t *testing.T, goos string) map[string][]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Deps,Standard,Module", "./...")
	cmd.Dir = testenv.Root(t)
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list for %s: %v\n%s", goos, err, stderr.Bytes())
	}
	all := map[string]listed{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
	found := map[string][]string{}
	for name, p := range all {
		own, ok := strings.CutPrefix(name, module+"/")
		if !ok {
			continue
		}
		list := []string{}
		for _, d := range p.Deps {
			if m := all[d].Module; m != nil && m.Path != module {
				list = append(list, m.Path)
			}
		}
		slices.Sort(list)
		found[own] = slices.Compact(list)
	}
	return found
}

// public reports whether a program outside can import a package.
func public(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return first != "internal" && !strings.Contains(pkg, "/internal/") && first != "cmd" && first != "scripts" && first != "contrib"
}

func TestModules(t *testing.T) {
	for _, goos := range []string{"linux", "windows"} {
		found := linked(t, goos)
		if len(found) < 20 {
			t.Fatalf("%s: only %d packages", goos, len(found))
		}
		for pkg, got := range found {
			row, ok := modules[pkg]
			if !public(pkg) {
				continue
			}
			if !ok {
				t.Errorf("%s has no row: it links %v", pkg, got)
				continue
			}
			text := row.linux
			if goos == "windows" && row.windows != "" {
				text = strings.TrimPrefix(row.windows, none)
			}
			want := strings.Fields(text)
			for _, m := range got {
				if !slices.Contains(want, m) {
					t.Errorf("%s links %s on %s", pkg, m, goos)
				}
			}
			for _, m := range want {
				if !slices.Contains(got, m) {
					t.Errorf("%s does not link %s on %s any more", pkg, m, goos)
				}
			}
		}
		for pkg := range modules {
			if _, ok := found[pkg]; !ok {
				t.Errorf("%s has a row and does not exist for %s", pkg, goos)
			}
		}
	}
}
