package containerdtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticks are the units of /proc, always hundredths of a second for programs
// (proc_pid_stat(5), USER_HZ).
const ticks = 100

// CPU returns the processor time, user and system, that the process has spent since
// it was started. It is known on Linux alone.
func (p *Process) CPU() (time.Duration, error) {
	if p.cmd == nil {
		return 0, nil
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The name in parentheses may hold anything; utime and stime are the 12th and
	// 13th field behind it.
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: %q", p.cmd.Process.Pid, b)
	}
	sum := 0
	for _, s := range f[11:13] {
		n, err := strconv.Atoi(s)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks, nil
}
