package image

import (
	"fmt"
	"strconv"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Platform is the platform that an image was built for, or that of a host.
type Platform struct {
	OS           string   // "windows"
	OSVersion    string   // "10.0.20348.2700", "" for unknown or any
	OSFeatures   []string // "win32k"; not looked at when matching
	Architecture string   // "amd64", "" for any
	Variant      string
}

func platformOf(p *ocispec.Platform) Platform {
	if p == nil {
		return Platform{}
	}
	return Platform{OS: p.OS, OSVersion: p.OSVersion, OSFeatures: p.OSFeatures, Architecture: p.Architecture, Variant: p.Variant}
}

// ParsePlatform reads "windows", "windows/amd64", "windows(10.0.20348)/amd64" or
// "windows(10.0.20348.2700+win32k)/amd64", the form that containerd prints.
func ParsePlatform(s string) (Platform, error) {
	bad := fmt.Errorf("%w: %.80q, want windows(10.0.20348)/amd64", ErrPlatform, s)
	os, rest, _ := strings.Cut(s, "/")
	var p Platform
	if name, version, ok := strings.Cut(os, "("); ok {
		version, ok = strings.CutSuffix(version, ")")
		if !ok {
			return p, bad
		}
		features := strings.Split(version, "+")
		p.OSVersion, p.OSFeatures = features[0], features[1:]
		if _, ok := parseVersion(p.OSVersion); !ok {
			return Platform{}, bad
		}
		os = name
	}
	p.OS = strings.ToLower(os)
	p.Architecture, p.Variant, _ = strings.Cut(strings.ToLower(rest), "/")
	if p.Architecture == "x86_64" {
		p.Architecture = "amd64"
	}
	if !word(p.OS) || p.Architecture != "" && !word(p.Architecture) || p.Variant != "" && !word(p.Variant) ||
		strings.HasSuffix(s, "/") {
		return Platform{}, bad
	}
	return p, nil
}

func word(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return s != ""
}

// String returns the form that ParsePlatform reads.
func (p Platform) String() string {
	s := p.OS
	if s == "" {
		s = "unknown"
	}
	if p.OSVersion != "" || len(p.OSFeatures) > 0 {
		s += "(" + strings.Join(append([]string{p.OSVersion}, p.OSFeatures...), "+") + ")"
	}
	for _, part := range []string{p.Architecture, p.Variant} {
		if part != "" {
			s += "/" + part
		}
	}
	return s
}

// longTerm lists the builds of long-term servicing releases. From the first of them on,
// a host also runs containers of older builds.
var longTerm = []int{20348, 26100}

// Runs reports whether a host of platform p runs an image of the given platform. A
// Windows host below build 20348 runs exactly its own build. From there on it runs
// all builds from the long-term release before it up to its own; 20348 is its own
// floor. An unknown version runs everything and is run everywhere.
func (p Platform) Runs(image Platform) bool {
	if p.OS != image.OS || p.Architecture != "" && p.Architecture != image.Architecture ||
		p.Variant != "" && p.Variant != image.Variant {
		return false
	}
	if p.OSVersion == "" || image.OSVersion == "" {
		return true
	}
	host, ok1 := parseVersion(p.OSVersion)
	guest, ok2 := parseVersion(image.OSVersion)
	if !ok1 || !ok2 {
		return p.OSVersion == image.OSVersion
	}
	if host[0] != guest[0] || host[1] != guest[1] {
		return false
	}
	if host[2] < longTerm[0] {
		return host[2] == guest[2]
	}
	floor := longTerm[0]
	for _, build := range longTerm {
		if build < host[2] {
			floor = build
		}
	}
	return floor <= guest[2] && guest[2] <= host[2]
}

// parseVersion reads major.minor.build with an optional revision; ok is false for any
// other string.
func parseVersion(s string) (v [4]int, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) < 3 || len(parts) > 4 {
		return v, false
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 31)
		if err != nil {
			return v, false
		}
		v[i] = int(n)
	}
	return v, true
}

// compareVersions orders OS versions as numbers; a string that isn't a version sorts lowest.
func compareVersions(a, b string) int {
	x, _ := parseVersion(a)
	y, _ := parseVersion(b)
	for i := range x {
		if x[i] != y[i] {
			return x[i] - y[i]
		}
	}
	return 0
}
