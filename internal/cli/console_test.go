package cli

import (
	"bytes"
	"errors"
	"testing"

	"github.com/spf13/cobra"
)

// What an image holds does not command the terminal, neither in results nor in errors.
func TestVisible(t *testing.T) {
	var out, errs bytes.Buffer
	c := &console{out: &out, err: &errs}
	if err := c.printf("%s %d\n", "a\x1b[31m\u009bb\tç🪟\xed\xa0\x80\x7f", 1); err != nil {
		t.Fatal(err)
	}
	if want := `a\u001b[31m\u009bb` + "\tç🪟\xed\xa0\x80" + `\u007f 1` + "\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	c.printError(t.Context(), &cobra.Command{Use: "ls"}, errors.New("no tag, there is: \x1b]0;x\a"))
	if want := `mullion: ls: no tag, there is: \u001b]0;x\u0007` + "\n"; errs.String() != want {
		t.Errorf("printed %q, want %q", errs.String(), want)
	}
}
