// Package hostfs opens the files and directories of the host in which a layer directory is
// stored, and gets and sets their times, hard links and metadata records.
//
// A [Directory] is an open directory. Every name in it is a single component, so that no
// path is resolved and no link of the host is followed. Directory and [File] are interfaces,
// so that tests can put faults between a writer and the host.
//
// Hosts differ: NTFS keeps the metadata of Windows files itself ([NativeObjects]), and
// reading and writing it needs the privileges of a backup ([HoldPrivileges]). Other hosts
// keep a record for each file in an extended attribute, if the file system has them.
package hostfs
