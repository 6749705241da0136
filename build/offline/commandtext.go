package offline

import (
	"fmt"
	"io"
	"strings"
)

const commandsIntro = `Commands of RUN that are carried out without Windows. They change files, the registry
and variables; any other command, option or part of a language is an error that
names it. Programs need not be in the image. Commands run as ContainerAdministrator,
and nothing denies them access.
`

// WriteCommands prints the table of Commands: as text for a terminal, or as a page in
// Markdown.
func WriteCommands(w io.Writer, markdown bool) error {
	var b strings.Builder
	titles := map[string]string{shellCmd: "Commands of cmd", program: "Programs, in both shells and in the exec form", shellPower: "Commands of PowerShell"}
	if markdown {
		b.WriteString("# RUN without Windows\n\n")
	}
	b.WriteString(commandsIntro)
	shell := ""
	for _, c := range Commands() {
		if c.Shell != shell {
			shell = c.Shell
			if markdown {
				fmt.Fprintf(&b, "\n## %s\n\n| command | syntax | options | notes |\n|---|---|---|---|\n", titles[shell])
			} else {
				fmt.Fprintf(&b, "\n%s\n", titles[shell])
			}
		}
		names := append([]string{c.Name}, c.Aliases...)
		if markdown {
			cell := strings.NewReplacer("|", `\|`)
			var options []string
			for _, o := range c.Options {
				options = append(options, "`"+o.Name+"` "+cell.Replace(o.Means))
			}
			var syntax []string
			for s := range strings.SplitSeq(c.Syntax, "; ") {
				syntax = append(syntax, "`"+cell.Replace(s)+"`")
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", strings.Join(names, "` `"), strings.Join(syntax, "<br>"), strings.Join(options, "<br>"), strings.NewReplacer("|", `\|`, "*", `\*`, "<", "&lt;").Replace(c.Notes))
			continue
		}
		fmt.Fprintf(&b, "\n  %s\n", strings.Join(names, ", "))
		for s := range strings.SplitSeq(c.Syntax, "; ") {
			fmt.Fprintf(&b, "    %s\n", s)
		}
		for _, o := range c.Options {
			fmt.Fprintf(&b, "      %-14s %s\n", o.Name, o.Means)
		}
		if c.Notes != "" {
			fmt.Fprintf(&b, "      %s\n", c.Notes)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
