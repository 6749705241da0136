package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version and revision are set by the linker in releases (release/build.go). Otherwise
// the build information of the go command is used: it contains the module version after
// "go install", and the commit of a checkout.
var version, revision string

// versionInfo is printed by mullion version --json.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersionCommand(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return c.printVersion() },
	}
}

func (c *console) printVersion() error {
	info, _ := debug.ReadBuildInfo()
	v := buildVersion(version, revision, info)
	if c.json {
		return c.printJSON(v)
	}
	if v.Revision != "" {
		v.Version += " (" + v.Revision
		if v.Modified {
			v.Version += ", modified"
		}
		v.Version += ")"
	}
	return c.printf("mullion %s %s %s\n", v.Version, v.Go, v.Platform)
}

// addVersionFlag makes "mullion --version" the same as "mullion version".
func (c *console) addVersionFlag(root *cobra.Command) {
	show := root.Flags().Bool("version", false, "print the version")
	help := root.RunE
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if *show {
			return c.printVersion()
		}
		return help(cmd, args)
	}
}

// buildVersion returns the version of a program from the linker variables, if set, and
// its build information, which may be nil.
func buildVersion(version, revision string, info *debug.BuildInfo) versionInfo {
	v := versionInfo{Version: version, Revision: revision, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if v.Version == "" {
		v.Version = "(devel)"
		if info != nil && info.Main.Version != "" {
			v.Version = info.Main.Version
		}
	}
	if info != nil && v.Revision == "" {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	v.Revision = v.Revision[:min(12, len(v.Revision))]
	return v
}
