package inventory

import (
	"cmp"
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Release is a cumulative update of Windows Server: what Microsoft calls the OS build.
type Release struct {
	Build uint32 // 20348
	UBR   uint32 // the revision, 2655
	KB    string // "KB5041160"
	// Released is the date of the update, midnight in UTC; zero if it is not known.
	Released time.Time
}

// The list of releases is extended by hand: a line for each heading in the update history of
// a release of Windows Server at support.microsoft.com, "August 13, 2024—KB5041160 (OS
// Build 20348.2655)". A build of hotpatches only, and an article about two builds of which
// Microsoft gives different KB numbers in different places, is left out. TestReleases
// checks form and order.
//
//go:embed builds.txt
var buildsText string

// releases are the lines of builds.txt, by build and revision.
var releases = sync.OnceValue(func() []Release { return parseReleases(buildsText) })

// parseReleases reads lines BUILD.REVISION KB DATE and leaves out lines of another form.
func parseReleases(text string) []Release {
	var all []Release
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] == "#" {
			continue
		}
		build, ubr, ok := twoNumbers(f[0])
		if !ok {
			continue
		}
		r := Release{Build: build, UBR: ubr, KB: "KB" + f[1]}
		if t, err := time.Parse(time.DateOnly, f[2]); err == nil {
			r.Released = t
		}
		all = append(all, r)
	}
	return all
}

// twoNumbers reads the first two numbers of a version, which are separated by a point.
func twoNumbers(version string) (a, b uint32, ok bool) {
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	x, err1 := strconv.ParseUint(first, 10, 32)
	y, err2 := strconv.ParseUint(second, 10, 32)
	return uint32(x), uint32(y), err1 == nil && err2 == nil
}

// Releases returns the cumulative updates of a build that the package knows, by revision.
// The slice is the caller's. It is empty for a build that is no Windows Server, and lacks
// updates that are younger than the package.
func Releases(build uint32) []Release {
	all := releases()
	from, _ := slices.BinarySearchFunc(all, build, func(r Release, b uint32) int { return cmp.Compare(r.Build, b) })
	to, _ := slices.BinarySearchFunc(all, uint64(build)+1, func(r Release, b uint64) int { return cmp.Compare(uint64(r.Build), b) })
	return slices.Clone(all[from:to])
}

// FindRelease returns the cumulative update that makes a build and revision.
func FindRelease(build, ubr uint32) (Release, bool) {
	all := releases()
	at, ok := slices.BinarySearchFunc(all, Release{Build: build, UBR: ubr}, func(a, b Release) int {
		return cmp.Or(cmp.Compare(a.Build, b.Build), cmp.Compare(a.UBR, b.UBR))
	})
	if !ok {
		return Release{}, false
	}
	return all[at], true
}
