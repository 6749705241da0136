package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/rogpeppe/go-internal/testscript"
)

// What needs /dev/fuse stands apart, so that a machine without it runs the rest.
func TestMountScripts(t *testing.T) {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		testenv.Missing(t, fmt.Sprintf("this machine has no usable FUSE: %v", err))
	}
	f.Close()
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "fuse"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("HELLO", "oci-archive:"+filepath.Join(testenv.Root(t), "examples", "hello", "hello.tar"))
			return nil
		},
		RequireExplicitExec: true,
	})
}
