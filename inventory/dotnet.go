package inventory

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"iter"
	"regexp"
	"strconv"
	"strings"

	"github.com/mullion/mullion/hives"
)

// frameworkKey is the key in SOFTWARE of the .NET Framework, the part of Windows.
const frameworkKey = `Microsoft\NET Framework Setup\NDP`

// frameworkReleases are the smallest values of Release of each version from 4.5 on, the newest
// first. A release between two of them is an update of the older one (Microsoft, "Determine
// which .NET Framework versions are installed").
var frameworkReleases = []struct {
	release uint32
	version string
}{
	{533320, "4.8.1"}, {528040, "4.8"}, {461808, "4.7.2"}, {461308, "4.7.1"}, {460798, "4.7"},
	{394802, "4.6.2"}, {394254, "4.6.1"}, {393295, "4.6"}, {379893, "4.5.2"}, {378675, "4.5.1"}, {378389, "4.5"},
}

// frameworkVersion is the version of the .NET Framework that a release is of, "" below 4.5.
func frameworkVersion(release uint32) string {
	for _, r := range frameworkReleases {
		if release >= r.release {
			return r.version
		}
	}
	return ""
}

// oldFrameworks are the versions that a key of their own says are installed, with the value
// that says so, and the key of their version below frameworkKey.
var oldFrameworks = []struct{ version, key, installed, about string }{
	{"1.1", `v1.1.4322`, "Install", `v1.1.4322`},
	{"2.0", `v2.0.50727`, "Install", `v2.0.50727`},
	{"3.0", `v3.0\Setup`, "InstallSuccess", `v3.0`},
	{"3.5", `v3.5`, "Install", `v3.5`},
}

// dotnet finds the .NET Framework in the registry, and .NET in its directories.
type dotnet struct{ registryOnly }

func (dotnet) Name() string { return "dotnet" }

func (dotnet) Catalog(ctx context.Context, s System) iter.Seq2[Component, error] {
	return func(yield func(Component, error) bool) {
		if frameworks(s, yield) {
			dotnetRoots(ctx, s, yield)
		}
	}
}

// frameworks yields the versions of the .NET Framework, and reports whether more are wanted.
func frameworks(s System, yield func(Component, error) bool) bool {
	h, err := s.Hive(hives.Software)
	if err != nil {
		return yield(Component{}, Skip(KeyEvidence(hives.Software, frameworkKey), err))
	}
	for _, old := range oldFrameworks {
		at := values{}
		path := frameworkKey + `\` + old.key
		at.key, err = h.Key(path)
		switch {
		case err == nil && at.number(old.installed) == 1:
			about := values{}
			if about.key, err = h.Key(frameworkKey + `\` + old.about); err != nil {
				about.key = at.key
			}
			if !yieldFramework(yield, path, old.version, &about, 0) {
				return false
			}
		case lenient(err) != nil, at.err != nil:
			if !yield(Component{}, Skip(KeyEvidence(hives.Software, path), cmp.Or(at.err, err))) {
				return false
			}
		}
	}
	v, path := values{}, frameworkKey+`\v4\Full`
	if v.key, err = h.Key(path); err != nil {
		return lenient(err) == nil || yield(Component{}, Skip(KeyEvidence(hives.Software, path), err))
	}
	release := v.number("Release")
	version := frameworkVersion(release)
	if version == "" && v.number("Install") == 1 {
		version = "4.0"
	}
	if version == "" && v.err == nil {
		return true
	}
	return yieldFramework(yield, path, version, &v, release)
}

func yieldFramework(yield func(Component, error) bool, path, version string, v *values, release uint32) bool {
	c := Component{Kind: Runtime, Name: "Microsoft .NET Framework", Version: version, Publisher: microsoft,
		Evidence: KeyEvidence(hives.Software, path)}
	c.SetProperty("fullVersion", v.text("Version"))
	update := "*"
	if n := v.number("SP"); n > 0 && release == 0 {
		c.SetProperty("servicePack", strconv.FormatUint(uint64(n), 10))
		// The database tells service packs apart for 2.0 and 3.0; 3.5 is one product.
		if version == "2.0" || version == "3.0" {
			update = "sp" + strconv.FormatUint(uint64(n), 10)
		}
	}
	if release > 0 {
		c.SetProperty("release", strconv.FormatUint(uint64(release), 10))
	}
	c.CPEs = []string{"cpe:2.3:a:microsoft:.net_framework:" + version + ":" + update + ":*:*:*:*:*:*"}
	return yield(c, Skip(c.Evidence, v.err))
}

// Versions in the names of directories.
var (
	versionPattern = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9}){1,3}(-[0-9A-Za-z.-]{1,64})?$`)
	numericPattern = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9}){1,3}$`)
)

// dotnetRoots yields the runtimes and SDKs in the directories that installers and Microsoft's
// images use. A version is there if its main file is, since a directory may outlive it.
func dotnetRoots(ctx context.Context, s System, yield func(Component, error) bool) {
	for _, root := range []struct{ path, arch string }{{`Files\Program Files\dotnet`, ""}, {`Files\Program Files (x86)\dotnet`, "386"}} {
		component := func(name, version, file string) bool {
			if ctx.Err() != nil {
				return false
			}
			c := Component{Kind: Runtime, Name: name, Version: version, Publisher: microsoft, Architecture: root.arch, Evidence: FileEvidence(file)}
			if cpe := dotnetCPE(name, version); cpe != "" {
				c.CPEs, c.PURL = []string{cpe}, "pkg:nuget/"+name+"@"+version
			}
			ok, err := isFile(s, file)
			return !ok && err == nil || yield(c, Skip(c.Evidence, err))
		}
		fault := func(dir string, err error) bool {
			return err == nil || yield(Component{}, Skip(FileEvidence(dir), err))
		}
		versions := func(dir, name, file string) bool {
			names, err := directory(s, dir)
			for _, v := range names {
				if versionPattern.MatchString(v) && !component(name, v, dir+`\`+v+`\`+file) {
					return false
				}
			}
			return fault(dir, err)
		}
		shared := root.path + `\shared`
		names, err := directory(s, shared)
		if !fault(shared, err) {
			return
		}
		for _, name := range names {
			if !versions(shared+`\`+name, name, name+".deps.json") {
				return
			}
		}
		if !versions(root.path+`\sdk`, "Microsoft .NET SDK", "dotnet.dll") ||
			!versions(root.path+`\host\fxr`, "Microsoft .NET Host FX Resolver", "hostfxr.dll") {
			return
		}
	}
}

// dotnetCPE is the name of a runtime in the National Vulnerability Database, "" if it has none
// or for a preview.
func dotnetCPE(name, version string) string {
	if !numericPattern.MatchString(version) {
		return ""
	}
	product := ""
	switch strings.ToLower(name) {
	case "microsoft.netcore.app":
		product = ".net"
		if major, _, _ := strings.Cut(version, "."); len(major) == 1 && major < "5" {
			product = ".net_core"
		}
	case "microsoft.aspnetcore.app", "microsoft.aspnetcore.all":
		product = "asp.net_core"
	default:
		return ""
	}
	return "cpe:2.3:a:microsoft:" + product + ":" + version + ":*:*:*:*:*:*:*"
}

// directory lists the names in a directory of a layer, none if it does not exist.
func directory(s System, path string) ([]string, error) {
	list, err := fs.ReadDir(s, slashPath(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	names := make([]string, len(list))
	for i, d := range list {
		names[i] = layerPath(d.Name())
	}
	return names, err
}

// isFile reports whether a path in a layer is that of a file.
func isFile(s System, path string) (bool, error) {
	info, err := fs.Stat(s, slashPath(path))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Mode().IsRegular(), err
}
