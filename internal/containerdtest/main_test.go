package containerdtest_test

import (
	"os"
	"testing"

	"github.com/mullion/mullion/internal/cli"
	"github.com/mullion/mullion/internal/containerdtest"
)

func TestMain(m *testing.M) {
	containerdtest.Main(m, func(args []string) int { return cli.Main(args, os.Stdin, os.Stdout, os.Stderr) })
}
