package cli

import (
	"testing"
	"time"
)

func TestShowDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0 s", 340 * time.Millisecond: "0.3 s", 9949 * time.Millisecond: "9.9 s", 9950 * time.Millisecond: "10 s",
		59 * time.Second: "59 s", 59600 * time.Millisecond: "1 min 0 s", 185 * time.Second: "3 min 5 s",
		2*time.Hour + 3*time.Minute + 4*time.Second: "2 h 3 min 4 s",
	} {
		if got := showDuration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
