// Command generate writes hello.tar into the current folder; go generate runs it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/mullion/mullion/examples/hello"
)

func main() {
	if err := hello.Write(context.Background(), "hello.tar"); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}
