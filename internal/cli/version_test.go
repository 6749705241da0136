package cli

import (
	"runtime/debug"
	"testing"
)

// The three ways in which a program comes about. release/release_test.go builds and runs
// one of each.
func TestBuildVersion(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	checkout := func(version, modified string) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: commit}, {Key: "vcs.modified", Value: modified},
		}}
	}
	for _, c := range []struct {
		name                       string
		linked, linkedRevision     string
		info                       *debug.BuildInfo
		version, revision, noticed string
	}{
		{"release", "v1.2.3", commit, &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "v1.2.3", "0123456789ab", ""},
		{"release from a checkout with changes", "v1.2.3", commit, checkout("(devel)", "true"), "v1.2.3", "0123456789ab", ""},
		{"go install", "", "", &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "v1.2.3", "", ""},
		{"checkout", "", "", checkout("v1.2.4-0.20260101000000-0123456789ab", "false"), "v1.2.4-0.20260101000000-0123456789ab", "0123456789ab", ""},
		{"checkout with changes", "", "", checkout("(devel)", "true"), "(devel)", "0123456789ab", "modified"},
		{"source archive", "", "", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "(devel)", "", ""},
		{"no build information", "", "", nil, "(devel)", "", ""},
	} {
		v := buildVersion(c.linked, c.linkedRevision, c.info)
		if v.Version != c.version || v.Revision != c.revision || v.Modified != (c.noticed != "") {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}
