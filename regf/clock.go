package regf

import "time"

// timeNow is the package's only use of the time of day, for edits without Options.Clock.
func timeNow() time.Time { return time.Now() }
