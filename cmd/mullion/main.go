// Command mullion reads, writes, converts, inspects and checks Windows container
// image layers on any operating system.
//
//	mullion help
package main

import (
	"os"

	"github.com/mullion/mullion/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
