// Package hostfs has the files and directories of the host as the layer directories need
// them: opened by single names below an open directory, with the times, hard links and
// metadata records of Windows files, and behind interfaces that a test can put faults into.
package hostfs
