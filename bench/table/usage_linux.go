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
	for line := range bytes.Lines(account) {
		if n, ok := bytes.CutPrefix(line, []byte("rchar: ")); ok {
			if read, err := strconv.ParseInt(string(bytes.TrimSpace(n)), 10, 64); err == nil {
				return read
			}
		}
	}
	return -1
}

// forgetPeak makes this process small and resets its peak of memory, because that of a
// child begins with the peak of the process that starts it.
func forgetPeak() {
	debug.FreeOSMemory()
	// Where it is not permitted, the peaks of small children are those of this process.
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}
