package inventory

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The list is in order, without duplicates, and each line has its form.
func TestReleases(t *testing.T) {
	line := regexp.MustCompile(`^\d{5}\.\d{1,5} \d{7} (-|20\d\d-\d\d-\d\d)$`)
	lines := 0
	for l := range strings.Lines(buildsText) {
		l = strings.TrimSuffix(l, "\n")
		if strings.HasPrefix(l, "# ") {
			continue
		}
		if lines++; !line.MatchString(l) {
			t.Errorf("%q", l)
		}
	}
	all := releases()
	if len(all) != lines || lines < 500 {
		t.Errorf("%d releases of %d lines", len(all), lines)
	}
	builds := map[uint32]bool{}
	for i, r := range all {
		builds[r.Build] = true
		if _, ok := serverReleases[r.Build]; !ok {
			t.Errorf("%v: no server", r)
		}
		if i == 0 || all[i-1].Build != r.Build {
			continue
		}
		if cmp.Or(cmp.Compare(all[i-1].Build, r.Build), cmp.Compare(all[i-1].UBR, r.UBR)) >= 0 {
			t.Errorf("%v after %v", r, all[i-1])
		}
	}
	for b := range builds {
		var last time.Time
		for _, r := range Releases(b) {
			if r.Build != b || !r.Released.IsZero() && r.Released.Before(last) {
				t.Errorf("%v was released before %v", r, last)
			}
			if !r.Released.IsZero() {
				last = r.Released
			}
		}
	}
	if len(Releases(1)) != 0 || len(Releases(math.MaxUint32)) != 0 || !slices.Equal(Releases(26100), all[len(all)-len(Releases(26100)):]) {
		t.Error("the releases of a build are not those of the list")
	}
}

// Lines that were compared with Microsoft's pages one by one.
func TestFindRelease(t *testing.T) {
	for _, c := range []struct {
		build, ubr uint32
		kb, date   string
	}{
		{20348, 2655, "KB5041160", "2024-08-13"},
		{20348, 2700, "KB5042881", "2024-09-10"},
		{17763, 4974, "KB5031361", "2023-10-10"},
		{14393, 351, "KB3197954", "2016-10-27"},
		{26100, 32230, "KB5073379", "2026-01-13"},
	} {
		r, ok := FindRelease(c.build, c.ubr)
		if !ok || r.KB != c.kb || r.Released.Format(time.DateOnly) != c.date {
			t.Errorf("%d.%d: %v %v", c.build, c.ubr, r, ok)
		}
	}
	if r, ok := FindRelease(20348, 2656); ok {
		t.Errorf("found %v", r)
	}
	if got := parseReleases("# a b\nx.y 1 -\n1 2\n1.2 5000000 soon\n"); len(got) != 1 || !got[0].Released.IsZero() {
		t.Errorf("%v", got)
	}
}
