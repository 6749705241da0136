package regf

import "time"

// timeNow is the one place where the package looks at the time of day, for edits
// without Options.Clock.
func timeNow() time.Time { return time.Now() }
