// Command generate writes hello.tar and parts of it into the current folder; go generate runs it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/mullion/mullion/examples/hello"
)

func main() {
	err := hello.Write(context.Background(), "hello.tar")
	if err == nil {
		err = hello.WriteParts(context.Background(), "hello.tar", ".")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}
