package wintar

// cannotSyncDir is always true: Windows has no sync of a directory; NTFS
// journals its names.
func cannotSyncDir(error) bool { return true }
