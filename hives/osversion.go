package hives

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mullion/mullion/regf"
)

// ErrNoVersion reports that a hive does not contain the version of its Windows.
var ErrNoVersion = errors.New("hive names no Windows build")

// versionKey is the key of a SOFTWARE hive with the version of Windows.
const versionKey = `Microsoft\Windows NT\CurrentVersion`

// OSVersion is the version of Windows in its SOFTWARE hive. Texts are empty if the hive has
// none.
type OSVersion struct {
	Major, Minor uint32 // 10, 0 since Windows 10
	Build        uint32 // 20348
	// UBR is the update build revision, the last number of a version; HasUBR reports
	// whether the hive has one. Windows has written it since 2014.
	UBR    uint32
	HasUBR bool

	ProductName      string // "Windows Server 2022 Datacenter"
	Edition          string // "ServerDatacenter"
	InstallationType string // "Server Core", "Nano Server"
	DisplayVersion   string // "21H2"; ReleaseId in versions that have only that
}

// String returns the version in the form of image configurations: 10.0.20348.2700, without
// the last number if the hive has none.
func (v OSVersion) String() string {
	s := fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Build)
	if v.HasUBR {
		s += fmt.Sprintf(".%d", v.UBR)
	}
	return s
}

// OSVersionOf reads the version from a SOFTWARE hive. A hive without the key or without a
// build number is ErrNoVersion; a value that has another type than in Windows is
// regf.ErrType, never a guess.
func OSVersionOf(software *regf.Hive) (OSVersion, error) {
	fail := func(err error) (OSVersion, error) {
		return OSVersion{}, fmt.Errorf("read OS version: %w", err)
	}
	k, err := software.Key(versionKey)
	if errors.Is(err, regf.ErrNotFound) {
		return fail(fmt.Errorf("%w: %w", ErrNoVersion, err))
	}
	if err != nil {
		return fail(err)
	}
	var v OSVersion
	if v.Build, err = buildNumber(k); err != nil {
		return fail(err)
	}
	if v.Major, v.Minor, err = majorMinor(k); err != nil {
		return fail(err)
	}
	switch v.UBR, err = dwordOf(k, "UBR"); {
	case err == nil:
		v.HasUBR = true
	case !errors.Is(err, regf.ErrNotFound):
		return fail(err)
	}
	for _, t := range []struct {
		name string
		to   *string
	}{
		{"ReleaseId", &v.DisplayVersion},
		{"DisplayVersion", &v.DisplayVersion},
		{"ProductName", &v.ProductName},
		{"EditionID", &v.Edition},
		{"InstallationType", &v.InstallationType},
	} {
		s, err := optional(stringOf(k, t.name))
		if err != nil {
			return fail(err)
		}
		if s != "" {
			*t.to = s
		}
	}
	return v, nil
}

// buildNumber returns CurrentBuild, or CurrentBuildNumber if that is absent or, as in
// Windows before Vista, holds a text that is no number.
func buildNumber(k regf.Key) (uint32, error) {
	var found []string
	for _, name := range []string{"CurrentBuild", "CurrentBuildNumber"} {
		s, err := stringOf(k, name)
		if errors.Is(err, regf.ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 32); err == nil {
			return uint32(n), nil
		}
		found = append(found, fmt.Sprintf("%s is %q", name, s))
	}
	if found == nil {
		found = []string{"neither CurrentBuild nor CurrentBuildNumber is there"}
	}
	return 0, fmt.Errorf("key %q: %s: %w", k.Path(), strings.Join(found, ", "), ErrNoVersion)
}

// majorMinor returns the two numbers of Windows 10 and later, or those in the text of
// earlier ones, "6.1".
func majorMinor(k regf.Key) (major, minor uint32, err error) {
	major, err = dwordOf(k, "CurrentMajorVersionNumber")
	if err == nil {
		minor, err = optional(dwordOf(k, "CurrentMinorVersionNumber"))
		return major, minor, err
	}
	if !errors.Is(err, regf.ErrNotFound) {
		return 0, 0, err
	}
	s, err := optional(stringOf(k, "CurrentVersion"))
	if err != nil {
		return 0, 0, err
	}
	a, b, _ := strings.Cut(s, ".")
	x, errA := strconv.ParseUint(a, 10, 32)
	y, errB := strconv.ParseUint(b, 10, 32)
	if errA != nil || errB != nil {
		return 0, 0, fmt.Errorf("key %q: CurrentVersion is %q: %w", k.Path(), s, ErrNoVersion)
	}
	return uint32(x), uint32(y), nil
}
