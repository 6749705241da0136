package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagValues lists the values of flags that take one of a few, by the name of the flag or
// by "COMMAND --FLAG" where commands differ.
var flagValues = map[string][]string{
	"severity":        {"info", "warning", "error"},
	"fail-on":         {"info", "warning", "error", "never"},
	"format":          {"text", "json", "sarif", "junit"}, // of all checks
	"unpack --format": {"cim", "wclayer"},
	"sbom --format":   sbomNames(),
	"sbom --kind":     sbomKinds(),
	"sbom --files":    sbomFiles,
	"compress":        {"gzip", "zstd", "none"},
	"cim-version":     {"1", "3"},
	"mode":            {"strict", "report", "salvage"},
	"minor":           {"3", "4", "5", "6"},
	"hives":           {"require", "create", "leave"},
	"log-level":       {"debug", "info", "warn", "error"},
	"log-format":      {"text", "json"},
	"type": {"REG_NONE", "REG_SZ", "REG_EXPAND_SZ", "REG_BINARY", "REG_DWORD", "REG_DWORD_BIG_ENDIAN", "REG_LINK",
		"REG_MULTI_SZ", "REG_RESOURCE_LIST", "REG_FULL_RESOURCE_DESCRIPTOR", "REG_RESOURCE_REQUIREMENTS_LIST", "REG_QWORD"},
}

// valuesOf returns the values that a flag of a command completes to, nil if it takes any.
func valuesOf(cmd *cobra.Command, flag string) []string {
	if v, ok := flagValues[commandName(cmd)+" --"+flag]; ok {
		return v
	}
	if flag == "limit" {
		var values []string
		for _, name := range limitsOf[commandName(cmd)] {
			values = append(values, name+"=")
		}
		return values
	}
	return flagValues[flag]
}

// schemePrefixes and layerSchemes are the schemes of references that completion offers.
var (
	schemePrefixes = []string{"oci:", "oci-archive:", "docker-archive:", "docker://", "containerd:"}
	layerSchemes   = []string{"tar:", "wclayer:", "cim:"}
)

// completions makes the values of flags and the schemes of references complete, in a
// command and those below it.
func completions(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) { completeFlag(cmd, f) })
	cmd.PersistentFlags().VisitAll(func(f *pflag.Flag) { completeFlag(cmd, f) })
	if schemes := schemesOf(cmd); schemes != nil && cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 && !slices.Contains(twoReferences, commandName(cmd)) || len(args) > 1 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			var found []string
			for _, s := range schemes {
				if strings.HasPrefix(s, typed) && s != typed {
					found = append(found, s)
				}
			}
			if found == nil {
				return nil, cobra.ShellCompDirectiveDefault // a file
			}
			return found, cobra.ShellCompDirectiveNoSpace
		}
	}
	for _, sub := range cmd.Commands() {
		completions(sub)
	}
}

// completeFlag registers the values of a flag, if it takes one of a few.
func completeFlag(cmd *cobra.Command, f *pflag.Flag) {
	values := valuesOf(cmd, f.Name)
	if values == nil {
		return
	}
	directive := cobra.ShellCompDirectiveNoFileComp
	if f.Name == "limit" {
		directive |= cobra.ShellCompDirectiveNoSpace
	}
	if err := cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(values, directive)); err != nil {
		panic(err) // a flag is registered twice: an error of the program
	}
}

// twoReferences are the commands whose second argument is a reference too.
var twoReferences = []string{"copy", "convert", "diff"}

// schemesOf returns the schemes of the references that a command takes by its usage line,
// nil if it takes none.
func schemesOf(cmd *cobra.Command) []string {
	switch word := strings.Fields(cmd.Use); {
	case cmd.Name() == "copy":
		return schemePrefixes
	case cmd.Name() == "convert":
		return layerSchemes
	case len(word) < 2:
		return nil
	case strings.HasPrefix(word[1], "IMAGE|LAYER"), strings.HasPrefix(word[1], "LAYER|IMAGE"), cmd.Name() == "diff" && !cmd.Parent().HasParent():
		return append(slices.Clone(schemePrefixes), layerSchemes...)
	case word[1] == "IMAGE":
		return schemePrefixes
	case word[1] == "LAYER":
		return layerSchemes
	}
	return nil
}
