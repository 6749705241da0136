package cli

import "testing"

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", -5: "-5 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 1 << 20: "1.0 MiB",
		1<<30 - 1<<20: "1023.0 MiB", 5 << 30: "5.0 GiB", 1<<63 - 1: "8.0 EiB", -1 << 40: "-1.0 TiB",
	} {
		if got := formatSize(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	c := &console{bytes: true}
	if got := c.size(1 << 20); got != "1048576" {
		t.Error(got)
	}
}
