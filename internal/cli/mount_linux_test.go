package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/rogpeppe/go-internal/testscript"
)

// Scripts that need /dev/fuse are in a directory of their own, so that machines without
// it run the others. In addition to the commands of testscript there is
//
//	mounted DIR   wait until a tree is shown at DIR
func TestMountScripts(t *testing.T) {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		testenv.Missing(t, fmt.Sprintf("this machine has no usable FUSE: %v", err))
	}
	f.Close()
	testenv.Program(t, "getfattr", "attr")
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "fuse"),
		Setup: func(e *testscript.Env) error {
			e.Setenv(raceEnv, os.Getenv(raceEnv))
			e.Setenv("HELLO", "oci-archive:"+filepath.Join(testenv.Root(t), "examples", "hello", "hello.tar"))
			return nil
		},
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"mounted": mounted, "empty": empty},
		RequireExplicitExec: true,
	})
}

func mounted(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	above, err := os.Stat(filepath.Dir(dir))
	ts.Check(err)
	for range 200 {
		if st, err := os.Stat(dir); err == nil && st.Sys().(*syscall.Stat_t).Dev != above.Sys().(*syscall.Stat_t).Dev {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("nothing is mounted at %s", args[0])
}
