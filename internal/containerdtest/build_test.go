package containerdtest_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/containerdtest"
	"github.com/mullion/mullion/internal/testenv"
)

// Where everything is required, this is what builds containerd.
func TestBuild(t *testing.T) {
	p, there, err := containerdtest.Built()
	if err == nil && !there {
		if !testenv.Required() {
			testenv.Missing(t, "containerd is not built; make containerd does it")
		}
		p, err = containerdtest.Build(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{p.Containerd, p.Ctr} {
		out, err := exec.Command(name, "--version").Output()
		if err != nil || !strings.Contains(string(out), strings.TrimPrefix(containerdtest.Version, "v")) {
			t.Errorf("%s --version: %s, %v", name, out, err)
		}
	}
}
