package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestFullDisk writes to a device without space: help is a result like any other.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	for _, line := range []string{"--help", "help exit-status", "copy --help", "version", "completion bash"} {
		var stderr bytes.Buffer
		status := run(t.Context(), strings.Fields(line), strings.NewReader(""), full, &stderr)
		if status != exitFailed || !strings.Contains(stderr.String(), "no space left on device") {
			t.Errorf("%s: status %d, %q", line, status, stderr.String())
		}
	}
}
