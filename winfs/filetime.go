package winfs

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Filetime is a Windows time: 100 ns ticks since 1601-01-01T00:00:00Z, signed as
// the kernel's LARGE_INTEGER is. Zero means "not set".
type Filetime int64

const (
	ticksPerSecond = 10_000_000
	// epochSeconds is the number of seconds from 1601-01-01 to 1970-01-01.
	epochSeconds = 11_644_473_600
)

// Errors of time conversion.
var (
	ErrTimeRange  = errors.New("time is outside the range of FILETIME")
	ErrTimeSyntax = errors.New("malformed PAX time")
)

// Times are the four times of a file, in the order of FILE_BASIC_INFO but with Change last.
type Times struct {
	Creation, LastAccess, LastWrite, Change Filetime
}

// FiletimeFromTime converts by seconds and ticks, never through nanoseconds since 1970, so
// that it is exact over the whole range. A fraction below 100 ns is dropped towards the
// past. A time outside the range of Filetime is ErrTimeRange.
func FiletimeFromTime(t time.Time) (Filetime, error) {
	return filetimeFromUnix(t.Unix(), int64(t.Nanosecond()))
}

// filetimeFromUnix takes seconds since 1970, rounded down, and 0..999,999,999 ns.
func filetimeFromUnix(sec, nsec int64) (Filetime, error) {
	// One second beyond the range of Filetime on either side, so that the arithmetic below
	// cannot wrap before the last, exact comparison.
	const reach = math.MaxInt64/ticksPerSecond + 1
	if sec < -reach-epochSeconds || sec > reach-epochSeconds {
		return 0, ErrTimeRange
	}
	s, ticks := sec+epochSeconds, nsec/100
	if s < 0 { // from rounded down to rounded towards zero: both parts negative
		s, ticks = s+1, ticks-ticksPerSecond
	}
	// |s| is at most reach, so the product overflows int64 for s == reach alone.
	if s == reach {
		return 0, ErrTimeRange
	}
	whole := s * ticksPerSecond
	if s >= 0 && ticks > math.MaxInt64-whole || s <= 0 && ticks < math.MinInt64-whole {
		return 0, ErrTimeRange
	}
	return Filetime(whole + ticks), nil
}

// unix splits into seconds since 1970, rounded down, and 0..9,999,999 ticks.
func (f Filetime) unix() (sec, ticks int64) {
	sec, ticks = int64(f)/ticksPerSecond, int64(f)%ticksPerSecond
	if ticks < 0 {
		sec, ticks = sec-1, ticks+ticksPerSecond
	}
	return sec - epochSeconds, ticks
}

// Time returns the exact time in UTC. The unset value 0 is 1601-01-01.
func (f Filetime) Time() time.Time {
	sec, ticks := f.unix()
	return time.Unix(sec, ticks*100).UTC()
}

// String formats as RFC 3339 with seven decimals, the full resolution.
func (f Filetime) String() string { return f.Time().Format("2006-01-02T15:04:05.0000000Z") }

// PAX returns the time as PAX text: seconds since 1970, with up to seven decimals and no
// trailing zeros; negative times are written as sign and magnitude.
func (f Filetime) PAX() string {
	sec, ticks := f.unix()
	neg := sec < 0
	if neg { // floor form to sign and magnitude
		if ticks > 0 {
			sec, ticks = sec+1, ticksPerSecond-ticks
		}
		sec = -sec
	}
	b := make([]byte, 0, 24)
	if neg {
		b = append(b, '-')
	}
	b = strconv.AppendInt(b, sec, 10)
	if ticks != 0 {
		frac := strconv.FormatInt(ticksPerSecond+ticks, 10)[1:]
		b = append(b, '.')
		b = append(b, strings.TrimRight(frac, "0")...)
	}
	return string(b)
}

// ParsePAXTime reads PAX time text of at most 64 bytes: optional minus sign, seconds,
// optional dot and fraction. Digits below 100 ns are dropped, which moves a negative time
// towards 1970. Malformed text is ErrTimeSyntax, a time outside the range of Filetime
// ErrTimeRange.
func ParsePAXTime(s string) (Filetime, error) {
	whole, frac, _ := strings.Cut(s, ".")
	digits, neg := strings.CutPrefix(whole, "-")
	if digits == "" || len(s) > 64 {
		return 0, ErrTimeSyntax
	}
	var sec, ticks int64
	for i := range len(digits) {
		c := digits[i]
		if c < '0' || c > '9' {
			return 0, ErrTimeSyntax
		}
		if sec < 1<<58 { // more digits are out of range in any case
			sec = sec*10 + int64(c-'0')
		}
	}
	for i := range max(7, len(frac)) {
		var c byte = '0'
		if i < len(frac) {
			c = frac[i]
		}
		if c < '0' || c > '9' {
			return 0, ErrTimeSyntax
		}
		if i < 7 {
			ticks = ticks*10 + int64(c-'0')
		}
	}
	if neg {
		sec = -sec
		if ticks > 0 {
			sec, ticks = sec-1, ticksPerSecond-ticks
		}
	}
	return filetimeFromUnix(sec, ticks*100)
}
