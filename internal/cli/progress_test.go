package cli

import (
	"testing"
	"time"

	"github.com/vbauerster/mpb/v8/decor"
)

func TestAverageSpeed(t *testing.T) {
	var at time.Time
	speed := averageSpeed(func() time.Time { return at })
	for _, c := range []struct {
		after   time.Duration
		current int64
		done    bool
		want    string
	}{
		{0, 0, false, "0 B/s"},
		{0, 1000, false, "0 B/s"},
		{2 * time.Second, 1000, false, "500 B/s"},
		{2 * time.Second, 6 << 20, false, "1.5 MiB/s"},
		{time.Hour, 6 << 20, true, "1.5 MiB/s"},
	} {
		at = at.Add(c.after)
		if got := speed(decor.Statistics{Current: c.current, Completed: c.done}); got != c.want {
			t.Errorf("%d bytes %v later: %s, want %s", c.current, c.after, got, c.want)
		}
	}
	at = time.Time{}
	if got := averageSpeed(func() time.Time { at = at.Add(time.Second); return at })(decor.Statistics{Current: 3072, Completed: true}); got != "3.0 KiB/s" {
		t.Errorf("of a bar that ends at once: %s", got)
	}
}
