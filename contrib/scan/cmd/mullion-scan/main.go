// Command mullion-scan is the command mullion with the catalogers of programming languages
// built in, which "mullion-scan sbom --languages" uses.
package main

import (
	"os"

	scalibrlog "github.com/google/osv-scalibr/log"
	_ "github.com/mullion/mullion/contrib/scan"
	"github.com/mullion/mullion/internal/cli"
)

func main() {
	// What an extractor skips is in the document; its remarks are for its own program.
	scalibrlog.SetLogger(silent{})
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// silent is a logger that drops everything.
type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Error(...any)          {}
func (silent) Warnf(string, ...any)  {}
func (silent) Warn(...any)           {}
func (silent) Infof(string, ...any)  {}
func (silent) Info(...any)           {}
func (silent) Debugf(string, ...any) {}
func (silent) Debug(...any)          {}
