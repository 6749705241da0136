package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newManCommand returns the command that writes the man pages. It is for packagers and
// hidden in the help.
func newManCommand(*console) *cobra.Command {
	return &cobra.Command{
		Use:         "man DIR",
		Short:       "Write a man page for every command into DIR",
		Long:        "Write a man page for every command into DIR. Pages that exist are replaced.",
		Hidden:      true,
		Annotations: map[string]string{noJSON: "man writes pages"},
		Args:        cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			return writeManPages(args[0], cmd.Root())
		},
	}
}

// writeManPages writes the pages of a command and of all below it.
func writeManPages(dir string, cmd *cobra.Command) error {
	for _, sub := range cmd.Commands() {
		if manned(sub) {
			if err := writeManPages(dir, sub); err != nil {
				return err
			}
		}
	}
	name := filepath.Join(dir, manName(cmd)+".1")
	return writeFile(name, true, func(w io.Writer) error {
		_, err := io.WriteString(w, manPage(cmd))
		return err
	})
}

// manned reports whether a command has a man page.
func manned(cmd *cobra.Command) bool {
	return cmd.IsAvailableCommand() && !cmd.IsAdditionalHelpTopicCommand()
}

// manName is the name of a command's man page, without the section.
func manName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage returns the man page of a command in the macros of man(7). The date is fixed: the
// pages of one version are the same bytes everywhere. Help texts are plain text, not
// Markdown, so indented lines keep their line breaks and no character is markup.
func manPage(cmd *cobra.Command) string {
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultHelpCmd()
	var b strings.Builder
	name := manName(cmd)
	fmt.Fprintf(&b, ".TH %q \"1\" \"Jan 2026\" \"mullion\" \"mullion\"\n.nh\n", strings.ToUpper(name))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	b.WriteString(".SH DESCRIPTION\n")
	manText(&b, text)
	manFlags(&b, "OPTIONS", cmd.NonInheritedFlags())
	manFlags(&b, "OPTIONS INHERITED FROM PARENT COMMANDS", cmd.InheritedFlags())
	if cmd.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLE\n.EX\n%s\n.EE\n", roff(strings.Trim(cmd.Example, "\n")))
	}
	var also []string
	if cmd.HasParent() {
		also = append(also, manName(cmd.Parent()))
	}
	for _, sub := range cmd.Commands() {
		if manned(sub) {
			also = append(also, manName(sub))
		}
	}
	for i, page := range also {
		if i == 0 {
			b.WriteString(".SH SEE ALSO\n")
		}
		end := ","
		if i == len(also)-1 {
			end = ""
		}
		fmt.Fprintf(&b, ".BR %s (1)%s\n", roff(page), end)
	}
	return b.String()
}

// manText writes paragraphs. Lines that begin with a space keep their breaks.
func manText(b *strings.Builder, text string) {
	kept := false
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		if indented := strings.HasPrefix(line, " "); indented != kept && line != "" {
			kept = indented
			b.WriteString(map[bool]string{true: ".EX\n", false: ".EE\n"}[kept])
		}
		switch {
		case line != "":
			b.WriteString(roff(line) + "\n")
		case kept:
			b.WriteString("\n")
		default:
			b.WriteString(".PP\n")
		}
	}
	if kept {
		b.WriteString(".EE\n")
	}
}

// manFlags writes a section with the visible flags of a set, if there are any.
func manFlags(b *strings.Builder, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Deprecated != "" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		b.WriteString(".TP\n")
		if f.Shorthand != "" && f.ShorthandDeprecated == "" {
			fmt.Fprintf(b, "\\fB\\-%s\\fR, ", roff(f.Shorthand))
		}
		fmt.Fprintf(b, "\\fB\\-\\-%s\\fR", roff(f.Name))
		if value != "" {
			fmt.Fprintf(b, " \\fI%s\\fR", roff(value))
		}
		if d := f.DefValue; d != "" && d != "false" && d != "0" && d != "[]" && !strings.Contains(usage, "(default ") {
			usage += " (default " + d + ")"
		}
		fmt.Fprintf(b, "\n%s\n", roff(usage))
	})
}

// roff escapes text of one or more lines: a hyphen stays the character that shells need,
// and no line is taken for a request.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
