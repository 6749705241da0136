package regf

import (
	"os"
	"syscall"
)

// startWriteback asks the system to start writing a range to disk. It is a hint: the flush
// that follows reports errors.
func startWriteback(f *os.File, off, n int64) {
	const syncFileRangeWrite = 2 // SYNC_FILE_RANGE_WRITE, sync_file_range(2)
	_ = syscall.SyncFileRange(int(f.Fd()), off, n, syncFileRangeWrite)
}
