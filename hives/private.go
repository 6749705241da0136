package hives

import (
	"strings"

	"github.com/mullion/mullion/winfs"
)

// configDirs are the directories of the registry, of the system and of its utility VM.
var configDirs = []string{HivesDir, ConfigDir, `UtilityVM\` + ConfigDir}

// Private reports whether a path in a layer is that of a hive or of one of its logs. A host
// that does not enforce security descriptors should let only the owner read such a file:
// SAM and SECURITY hold secrets, and so may all others. Case does not matter.
func Private(path string) bool {
	i := strings.LastIndexByte(path, '\\')
	if i < 0 {
		return false
	}
	for _, d := range configDirs {
		if winfs.EqualFold(path[:i], d) {
			return true
		}
	}
	file := winfs.Fold(path[i+1:])
	return strings.HasPrefix(file, "NTUSER.DAT") || strings.HasPrefix(file, "USRCLASS.DAT")
}
