package cli

import "os"

// Colours of the text output, as SGR parameters.
const (
	colourError     = "1;31"
	colourWarning   = "33"
	colourHint      = "36"
	colourDirectory = "1;34"
	colourLink      = "36"
	colourHidden    = "31" // whiteouts
)

// takesColour reports whether output to a terminal, or to another file, has colours:
// NO_COLOR takes them from all, CLICOLOR_FORCE gives them to all, TERM=dumb has none.
func takesColour(terminal bool) bool {
	switch force := os.Getenv("CLICOLOR_FORCE"); {
	case os.Getenv("NO_COLOR") != "":
		return false
	case force != "" && force != "0":
		return true
	}
	return terminal && os.Getenv("TERM") != "dumb"
}

// paint returns a text, which is visible already, in a colour if on is set.
func paint(on bool, colour, text string) string {
	if !on || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
