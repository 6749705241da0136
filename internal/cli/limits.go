package cli

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/spf13/cobra"
)

// allLimits are the names of all limits, in the order of the help.
var allLimits = []string{"entries", "depth", "file-size", "total-size", "streams", "metadata", "ratio"}

// limitNames maps the fields of layer.Limits to the names that --limit uses.
var limitNames = map[string]string{
	"Entries": "entries", "FileSize": "file-size", "TotalSize": "total-size",
	"Streams": "streams", "Depth": "depth", "MetadataLen": "metadata", "Ratio": "ratio",
}

// The limits of commands that read single streams or none, and so no list of streams to
// its end.
var withoutStreams = []string{"entries", "depth", "file-size", "total-size", "metadata", "ratio"}

// limitsOf lists the limits that hold in each command that has --limit. A test exceeds
// every one of them in every command.
var limitsOf = map[string][]string{
	"blame":        withoutStreams,
	"build":        withoutStreams,
	"cat":          allLimits,
	"check":        allLimits,
	"convert":      allLimits,
	"copy":         {"ratio"},
	"diff":         allLimits,
	"env":          withoutStreams,
	"extract":      allLimits,
	"inspect":      allLimits,
	"ls":           withoutStreams,
	"mount":        allLimits,
	"os-version":   withoutStreams,
	"sbom":         withoutStreams,
	"serve":        allLimits,
	"unpack":       allLimits,
	"updates":      withoutStreams,
	"hive check":   {"file-size"},
	"hive query":   withoutStreams,
	"hive dump":    withoutStreams,
	"hive export":  withoutStreams,
	"hive compare": withoutStreams,
	"cim check":    {"entries"},
	"cim create":   allLimits,
	"cim extract":  allLimits,
	"cim fork":     allLimits,
}

// cached are the commands that use the cache.
var cached = []string{
	"append", "blame", "build", "cat", "check", "config", "copy", "diff", "env", "extract", "inspect", "ls", "mount", "os-version", "rebase", "sbom", "squash", "unpack", "updates",
	"hive query", "hive export", "hive dump", "hive compare", "cache info", "cache clear",
}

// addLayerFlags adds --limit, --cache and --no-cache to the commands in which they have an
// effect. The root and groups of commands have them hidden, so that they may stand before
// the name of a command.
func addLayerFlags(c *console, cmd *cobra.Command) {
	name, group := commandName(cmd), cmd.HasSubCommands()
	names, ok := limitsOf[name]
	if ok || group {
		cmd.Flags().Var(&limitFlag{limits: &c.limits, names: names}, "limit", limitUsage(names))
	}
	if group || slices.Contains(cached, name) {
		c.caching.add(cmd.Flags())
		if strings.HasPrefix(name, "cache ") {
			cmd.Flags().Lookup("cache").Usage = "use the cache in `DIR` (default $MULLION_CACHE, or mullion in the user's cache directory)"
			_ = cmd.Flags().MarkHidden("no-cache") // is an error
		}
	}
	if group {
		for _, flag := range []string{"limit", "cache", "no-cache"} {
			_ = cmd.Flags().MarkHidden(flag) // it was defined
		}
	}
	for _, sub := range cmd.Commands() {
		addLayerFlags(c, sub)
	}
}

func limitUsage(names []string) string {
	if len(names) == 1 {
		return fmt.Sprintf("allow more or less than the default: NAME is %s, N -1 for no limit", names[0])
	}
	last := len(names) - 1
	if last < 0 {
		return ""
	}
	return fmt.Sprintf("limit what is read: NAME is %s or %s, sizes are in bytes, -1 is no limit; may be repeated",
		strings.Join(names[:last], ", "), names[last])
}

// limitFlag is --limit NAME=N.
type limitFlag struct {
	limits *layer.Limits
	names  []string // those that hold in the command
}

func (f *limitFlag) String() string { return "" }
func (f *limitFlag) Type() string   { return "NAME=N" }

func (f *limitFlag) Set(s string) error {
	name, number, _ := strings.Cut(s, "=")
	if !slices.Contains(f.names, name) {
		if slices.Contains(allLimits, name) {
			return fmt.Errorf("%s has no effect in this command, which takes %s", name, strings.Join(f.names, ", "))
		}
		return fmt.Errorf("want NAME=N, NAME one of %s; -1 is no limit", strings.Join(f.names, ", "))
	}
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("%s is more than %d; -1 is no limit", number, int64(math.MaxInt64))
	case err != nil || n < -1 || n == 0:
		return fmt.Errorf("%q is not a number above 0, or -1 for no limit", number)
	}
	*map[string]*int64{
		"entries": &f.limits.Entries, "file-size": &f.limits.FileSize, "total-size": &f.limits.TotalSize,
		"streams": &f.limits.Streams, "depth": &f.limits.Depth, "metadata": &f.limits.MetadataLen, "ratio": &f.limits.Ratio,
	}[name] = n
	return nil
}
