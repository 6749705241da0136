// Package offline carries out the commands of cmd and PowerShell that change only files, the
// registry and the environment of a Windows image, without Windows: what RUN of a Dockerfile
// needs to make directories, set permissions and variables, unpack an archive, import a .reg
// file.
//
// # What a RUN is
//
// Docker runs each RUN as a process in a container. In the shell form, the words of SHELL and
// the text of the instruction make one command line, which the shell takes apart by its own
// rules: cmd /S /C removes the outer quotes of what follows; PowerShell first gets arguments
// as every program does, without their quotes, and joins them again. [Run] does the same, so
// that a line means here what it means there, and where it would fail there, it fails here
// with the same exit status.
//
// Nothing is guessed and nothing is skipped. A command, an option or a part of a language
// that is not in the table of [Commands] ends the line with an [Error] around
// [ErrNotOffline], which names the word and its column and says what to do instead. So does a
// command that would ask a question, because nobody answers in a build, and one whose result
// depends on what an image does not have: a code page, short names of files, the name of the
// computer.
//
// # The nouns
//
// A [Container] is what commands see and change: the tree of [Files], the [Registry] and the
// variables. Files is an interface, and the package build/internal/draft is what builds
// satisfy it with. Registry opens the merged hives of an image when they are first needed;
// Deltas returns what commands have changed since the last call, as the differencing hives of
// a layer. HKEY_CURRENT_USER is the file NTUSER.DAT of ContainerAdministrator, among the
// files.
//
// Commands run as ContainerAdministrator, an administrator with all rights, and no access is
// checked: what belongs to TrustedInstaller can be changed here, and in Windows not without
// takeown and icacls. The files of the hives, which a running Windows keeps open, are refused,
// and so are the keys of SAM and SECURITY, which only the system itself may open.
//
// # Proven, inferred, unknown
//
//   - Proven by tests of others that pass on Windows (Wine's of cmd): redirections, quotes,
//     escapes, variables in lines that are not in a batch file, exit statuses of mkdir,
//     rmdir, del, copy, move, ren, mklink, cd, pushd, popd, type, and which commands leave
//     ERRORLEVEL alone. By published SIDs: services and application pools.
//   - Documented by Microsoft: the command line of C programs, the outer quotes of cmd /c,
//     patterns (MS-FSA 2.1.4.4), inheritance of permissions (MS-DTYP 2.5.3.4), what options
//     of commands and cmdlets mean, the limit of a line.
//   - Inferred: that cmd ends with the status of its last command; that copy and move do not
//     ask in a command of cmd /c; the status of attrib for a missing file, and 4 of xcopy for a
//     missing source; that the simple right W of icacls has SYNCHRONIZE, in denials, too; that
//     setx makes REG_EXPAND_SZ of a value with a percent sign; that icacls passes inheritable
//     entries on to what exists below, as SetNamedSecurityInfo does; that times in archives are
//     those of UTC.
//   - Different: a pattern is compared with long names alone, where a volume with short names
//     would also compare those, so that *.htm finds .html files; the order of values in a key
//     does not survive a delta; nothing denies access.
//   - Unknown, and refused: what del leaves of read-only files without /F and attrib of hidden
//     ones; what belongs to an if in parentheses that an operator follows; reparse points other
//     than links.
package offline
