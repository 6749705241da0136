package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Help texts are plain text: a page shows each character of them, whatever it means to roff
// or in Markdown.
func TestManPage(t *testing.T) {
	cmd := &cobra.Command{
		Use: "do THING", Short: "Do it - all",
		Long: `First *line*
.second <line>
'third _line_

A list is
  a-b   C:\dir

  .c    two
and goes on.`,
		Example: "  do x\n  do --y 'z'",
		Run:     func(*cobra.Command, []string) {},
	}
	cmd.Flags().StringP("file", "f", "a-b", "read `NAME`")
	cmd.Flags().Bool("gone", false, "")
	cmd.Flags().Lookup("gone").Hidden = true
	parent := &cobra.Command{Use: "top"}
	parent.PersistentFlags().Int("limit", 3, "at most `N` (default 3)")
	parent.AddCommand(cmd)
	const want = `.TH "TOP-DO" "1" "Jan 2026" "mullion" "mullion"
.nh
.SH NAME
top\-do \- Do it \- all
.SH SYNOPSIS
.B top do THING [flags]
.SH DESCRIPTION
First *line*
\&.second <line>
\&'third _line_
.PP
A list is
.EX
  a\-b   C:\edir

  .c    two
.EE
and goes on.
.SH OPTIONS
.TP
\fB\-f\fR, \fB\-\-file\fR \fINAME\fR
read NAME (default a\-b)
.TP
\fB\-h\fR, \fB\-\-help\fR
help for do
.SH OPTIONS INHERITED FROM PARENT COMMANDS
.TP
\fB\-\-limit\fR \fIN\fR
at most N (default 3)
.SH EXAMPLE
.EX
  do x
  do \-\-y 'z'
.EE
.SH SEE ALSO
.BR top (1)
`
	if got := manPage(cmd); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := manPage(parent); !strings.HasSuffix(got, ".SH SEE ALSO\n.BR top\\-do (1)\n") {
		t.Errorf("the page of the parent:\n%s", got)
	}
}
