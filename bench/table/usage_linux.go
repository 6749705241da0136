package table

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"
)

// readBytes waits for the end of a child and returns what its read calls, and those of
// its children that it waited for, have returned, or -1. The child remains to be waited
// for: as long as it does, the system keeps its account.
func readBytes(pid int) int64 {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1
		}
		break
	}
	account, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return -1
	}
	return field(account, "rchar:")
}

// field returns the number behind a name at the start of a line, -1 if there is none.
func field(text []byte, name string) int64 {
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			if words := bytes.Fields(rest); len(words) > 0 {
				if n, err := strconv.ParseInt(string(words[0]), 10, 64); err == nil {
					return n
				}
			}
		}
	}
	return -1
}

// peakOfThis returns the peak of memory of this process in KiB since forgetPeak, -1 if it is
// unknown.
func peakOfThis() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return -1
	}
	return field(status, "VmHWM:")
}

// forgetPeak makes this process small and resets its peak of memory, because that of a
// child begins with the peak of the process that starts it.
func forgetPeak() {
	debug.FreeOSMemory()
	// Where it is not permitted, the peaks of small children are those of this process.
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}
