package inventory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"regexp"
	"strings"
	"time"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/winfs"
)

// The keys of updates in SOFTWARE; see the package comment.
const (
	servicingKey = `Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages`
	hotfixKey    = `Microsoft\Windows NT\CurrentVersion\HotFix`
)

// manifestDir is the directory in a layer with the manifests of servicing packages.
const manifestDir = `Files\Windows\servicing\Packages`

// State is the state of a servicing package: the value CurrentState of its key, in the words
// of Microsoft's chart of servicing states.
type State string

// The states in which a package, or a part of it, is in use.
const (
	Installed          State = "installed"           // 112
	PartiallyInstalled State = "partially-installed" // 101
	Permanent          State = "permanent"           // 128: cannot be removed
)

// servicingStates are the states that mean that a package is installed. The others of the
// chart are absent (0), uninstall pending (5), resolving (16), resolved (32), staging (48),
// staged (64), superseded (80) and install pending (96).
var servicingStates = map[uint32]State{101: PartiallyInstalled, 112: Installed, 128: Permanent}

var kbPattern = regexp.MustCompile(`(?i)(?:^|[^a-z0-9])(KB\d{5,8})(?:[^0-9]|$)`)

// kbOf finds the number of an article in a text, where it is a word: "…\Windows10.0-KB5041160-x64.cab".
func kbOf(s string) string {
	if m := kbPattern.FindStringSubmatch(s); m != nil {
		return strings.ToUpper(m[1])
	}
	return ""
}

// Sources of the KB number of an update: the property "kbSource".
const (
	kbFromName     = "name"             // of the package or hotfix
	kbFromManifest = "manifest"         // package/@identifier
	kbFromLocation = "install-location" // the value InstallLocation
	kbFromBuild    = "build"            // the list of releases, by build and revision
)

// Names of the packages of updates whose names have no KB number.
const (
	rollupName       = "Package_for_RollupFix"    // the cumulative update; its version is BUILD.REVISION.x.y
	dotNetRollupName = "Package_for_DotNetRollup" // of .NET Framework, with its version behind
)

// servicing finds the packages of Component Based Servicing, and the hotfixes of Windows
// before Vista.
type servicing struct{}

func (servicing) Name() string { return "servicing" }

// Wants reports the manifests of updates whose number may be in no other place.
func (servicing) Wants(path string, size int64) bool {
	dir, name, ok := cutLast(path)
	return ok && size <= maxManifestFile && strings.EqualFold(dir, manifestDir) &&
		hasPrefixFold(name, "Package_for_") && hasSuffixFold(name, ".mum") && kbOf(name) == ""
}

func cutLast(path string) (dir, name string, ok bool) {
	at := strings.LastIndexByte(path, '\\')
	if at < 0 {
		return "", path, false
	}
	return path[:at], path[at+1:], true
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}

func (c servicing) Catalog(ctx context.Context, s System) iter.Seq2[Component, error] {
	return func(yield func(Component, error) bool) {
		h, err := s.Hive(hives.Software)
		if err != nil {
			yield(Component{}, Skip(KeyEvidence(hives.Software, servicingKey), err))
			return
		}
		// Without a version updates are listed all the same; windows reports the fault.
		version, versionErr := hives.OSVersionOf(h)
		product := productIDOf(version)
		var parts []Component
		wholes, rollup := map[string]bool{}, false
		for k, err := range subkeys(h, servicingKey) {
			if ctx.Err() != nil {
				return
			}
			where := KeyEvidence(hives.Software, k.path)
			x, location, ok := Component{}, "", false
			if err == nil {
				x, location, ok, err = packageOf(k)
			}
			if err != nil {
				if !yield(Component{}, Skip(where, err)) {
					return
				}
				continue
			}
			if !ok {
				continue
			}
			x.Evidence = where
			if whole := wholeOf(x.Name); whole != "" {
				parts = append(parts, x)
				continue
			}
			if x.Kind == Update {
				wholes[strings.ToLower(x.Name)] = true
				if !hasPrefixFold(x.Name, dotNetRollupName) {
					x.ProductID = product
				}
				if err := findNumber(s, k.Name(), location, &x); err != nil && !yield(Component{}, err) {
					return
				}
				rollup = rollup || strings.EqualFold(x.Name, rollupName)
			}
			if !yield(x, nil) {
				return
			}
		}
		// A part is listed if the whole is not: something of the update is there.
		for _, x := range parts {
			if wholes[strings.ToLower(wholeOf(x.Name))] {
				continue
			}
			x.Kind, x.ProductID = Update, product
			x.numberFrom(kbFromName, kbOf(x.Name))
			if !yield(x, nil) {
				return
			}
		}
		if !rollup && versionErr == nil && isServer(version) {
			if r, ok := FindRelease(version.Build, version.UBR); ok && version.HasUBR && !yield(releaseUpdate(r, product), nil) {
				return
			}
		}
		for k, err := range subkeys(h, hotfixKey) {
			x, ok := Component{}, true
			if err == nil {
				x, ok, err = hotfixOf(k)
			}
			x.Evidence = KeyEvidence(hives.Software, k.path)
			if (ok || err != nil) && !yield(x, Skip(x.Evidence, err)) {
				return
			}
		}
	}
}

// releaseUpdate is the cumulative update that the revision of Windows shows, in an image
// whose registry lists no package of it.
func releaseUpdate(r Release, product string) Component {
	c := Component{Kind: Update, Name: "Cumulative update", Version: fmt.Sprintf("%d.%d", r.Build, r.UBR),
		Publisher: microsoft, ProductID: product, Evidence: KeyEvidence(hives.Software, versionKey)}
	c.numberFrom(kbFromBuild, r.KB)
	return c
}

// numberFrom sets the KB number of an update and where it is from.
func (c *Component) numberFrom(source, kb string) {
	if kb != "" {
		c.KB = kb
		c.SetProperty("kbSource", source)
	}
}

// findNumber finds the KB number of an update: in its name, its manifest, the place that it was
// installed from, or the list of releases. The error is that of its manifest, a *SkipError.
func findNumber(s System, identity, location string, c *Component) error {
	if c.numberFrom(kbFromName, kbOf(c.Name)); c.KB != "" {
		return nil
	}
	path := manifestDir + `\` + identity + ".mum"
	m, err := manifestOf(s, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	case err != nil:
	case !strings.EqualFold(m.name, c.Name) || m.version != c.Version:
		err = fmt.Errorf("%w: it is that of %.80q, version %.40q", errManifest, m.name, m.version)
	default:
		c.SetProperty("releaseType", m.releaseType)
		c.numberFrom(kbFromManifest, kbOf(m.identifier))
	}
	if err == nil && c.KB != "" {
		c.Evidence = append(c.Evidence, FileEvidence(path)...)
	}
	if c.KB == "" {
		c.numberFrom(kbFromLocation, kbOf(location))
	}
	if build, ubr, ok := twoNumbers(c.Version); c.KB == "" && ok && strings.EqualFold(c.Name, rollupName) {
		if r, found := FindRelease(build, ubr); found {
			c.numberFrom(kbFromBuild, r.KB)
		}
	}
	return Skip(FileEvidence(path), err)
}

// manifestOf reads the manifest of a package.
func manifestOf(s System, path string) (packageManifest, error) {
	name := slashPath(path)
	if !fs.ValidPath(name) {
		return packageManifest{}, fs.ErrNotExist
	}
	f, err := s.Open(name)
	if err != nil {
		return packageManifest{}, err
	}
	defer f.Close()
	return readManifest(f)
}

var partPattern = regexp.MustCompile(`(?i)^Package_\d{1,9}_(for_.+)$`)

// wholeOf is the name of the update that a package is a part of, "" if it is none: that of
// Package_12_for_KB5034439 is Package_for_KB5034439.
func wholeOf(name string) string {
	if m := partPattern.FindStringSubmatch(name); m != nil {
		return "Package_" + m[1]
	}
	return ""
}

// packageOf reads the key of a servicing package, whose name is an assembly identity,
// NAME~TOKEN~ARCH~LANGUAGE~VERSION. The location is where an update was installed from.
func packageOf(k place) (c Component, location string, ok bool, err error) {
	v := values{key: k.Key}
	state, ok := servicingStates[v.number("CurrentState")]
	if v.err != nil || !ok {
		return c, "", false, v.err
	}
	c = identityOf(k.Name())
	c.State = state
	c.Installed = installTime(v.number("InstallTimeHigh"), v.number("InstallTimeLow"))
	if hasPrefixFold(c.Name, "Package_for_") {
		c.Kind, location = Update, v.text("InstallLocation")
	}
	return c, location, true, v.err
}

// identityOf reads an assembly identity. A name of another form is that of the component.
func identityOf(s string) Component {
	c := Component{Kind: Package, Name: s}
	if parts := strings.Split(s, "~"); len(parts) == 5 && parts[0] != "" {
		c.Name, c.Architecture, c.Language, c.Version = parts[0], architectureOf(parts[2]), parts[3], parts[4]
		if parts[1] == "31bf3856ad364e35" { // the key that Windows is signed with
			c.Publisher = microsoft
		}
	}
	return c
}

// installTime is the time of two halves of a FILETIME; none if it is zero or beyond the year
// 9999, which no document can hold.
func installTime(high, low uint32) time.Time {
	f := winfs.Filetime(uint64(high)<<32 | uint64(low))
	if f <= 0 {
		return time.Time{}
	}
	if t := f.Time().UTC(); t.Year() <= 9999 {
		return t
	}
	return time.Time{}
}

// architectureOf is the name in Go of an architecture in an assembly identity.
func architectureOf(s string) string {
	switch s = strings.ToLower(s); s {
	case "x86":
		return "386"
	case "amd64", "arm", "arm64":
		return s
	}
	return ""
}

// hotfixOf reads the key that an update of Windows before Vista creates.
func hotfixOf(k place) (c Component, ok bool, err error) {
	v := values{key: k.Key}
	installed, about := v.number("Installed"), v.text("Fix Description")
	c = Component{Kind: Update, Name: k.Name(), Publisher: microsoft, State: Installed}
	c.numberFrom(kbFromName, kbOf(k.Name()))
	if about != "" {
		c.Name = about
	}
	return c, installed == 1, v.err
}
