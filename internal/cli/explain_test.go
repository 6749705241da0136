package cli

import (
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every command has examples, and takes the flags and arguments in them.
func TestExamples(t *testing.T) {
	used := map[string]bool{}
	commands := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		path := strings.TrimPrefix(cmd.CommandPath(), "mullion ")
		used[path] = true
		if cmd.HasSubCommands() || !cmd.Runnable() || path == "help" || path == "mullion" || strings.HasPrefix(path, "completion") {
			return
		}
		commands++
		if cmd.Example == "" {
			t.Errorf("%s has no example", path)
		}
		for line := range strings.Lines(cmd.Example) {
			line = strings.TrimSpace(line)
			// What follows a pipe, or asks another program, is not ours.
			if !strings.HasPrefix(line, "mullion ") || strings.Contains(line, "$(") {
				continue
			}
			words := splitWords(line)
			root := newRoot(&console{in: strings.NewReader(""), out: io.Discard, err: io.Discard})
			found, rest, err := root.Find(words[1:])
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err == nil {
				err = found.ValidateArgs(found.Flags().Args())
			}
			if err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
	walk(newRoot(&console{in: strings.NewReader(""), out: io.Discard, err: io.Discard}))
	if commands < 30 {
		t.Errorf("only %d commands were looked at", commands)
	}
	for path := range examples {
		if !used[path] {
			t.Errorf("there are examples of %s, which is no command", path)
		}
	}
}

// Help fits a terminal of 80 columns. The texts of the completion commands are cobra's.
func TestHelpWidth(t *testing.T) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Name() == "completion" {
			return
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		path := strings.Fields(cmd.CommandPath())
		status, out, errs := run1(append([]string{"help"}, path[1:]...)...)
		if status != 0 || out == "" || errs != "" {
			t.Errorf("help %s: status %d, stderr %q", path[1:], status, errs)
		}
		for line := range strings.Lines(out) {
			if line = strings.TrimSuffix(line, "\n"); utf8.RuneCountInString(line) > 80 {
				t.Errorf("help %s: more than 80 columns: %s", path[1:], line)
			}
		}
	}
	walk(newRoot(&console{in: strings.NewReader(""), out: io.Discard, err: io.Discard}))
}

// A letter is the short form of one flag, in all commands but build, whose -f and -t are
// those of docker build.
func TestShortFlags(t *testing.T) {
	docker := map[string]string{"file": "f", "tag": "t"}
	long := map[string]string{}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		see := func(f *pflag.Flag) {
			if f.Shorthand == "" || cmd.Name() == "build" && docker[f.Name] == f.Shorthand {
				return
			}
			if other := long[f.Shorthand]; other != "" && other != f.Name {
				t.Errorf("%s: -%s is --%s, elsewhere --%s", cmd.CommandPath(), f.Shorthand, f.Name, other)
			}
			long[f.Shorthand] = f.Name
		}
		cmd.Flags().VisitAll(see)
		cmd.PersistentFlags().VisitAll(see)
	}
	walk(newRoot(&console{in: strings.NewReader(""), out: io.Discard, err: io.Discard}))
	if long["v"] != "value" || long["q"] != "quiet" {
		t.Errorf("%v", long)
	}
}

// splitWords reads a line as a shell does, quotes included, up to a pipe.
func splitWords(line string) []string {
	var words []string
	var word strings.Builder
	inWord, quoted := false, false
	end := func() {
		if inWord {
			words = append(words, word.String())
			word.Reset()
			inWord = false
		}
	}
	for _, r := range line {
		switch {
		case r == '\'':
			quoted, inWord = !quoted, true
		case r == ' ' && !quoted:
			end()
		case r == '|' && !quoted:
			end()
			return words
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	end()
	return words
}
