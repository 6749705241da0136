// Package content reads files from where an image gets them and copies them into a draft by
// the rules of COPY and ADD: from a directory of the host ([OpenContext]), the tree of another
// image or stage ([FromTree]), an archive ([OpenArchive]), or a text ([Inline]).
//
// The rules are those of BuildKit (solver/llbsolver/file, fsutil/copy) where Windows has no
// other:
//
//   - The content of a directory is copied, not the directory; directories that exist keep
//     their metadata and the spelling of their names.
//   - A source that is a symbolic link is followed, inside the source only; links in a
//     directory are copied as links.
//   - Wildcards are those of path.Match. In contexts and archives they and all names regard
//     case, as on the hosts that build; in trees they do not, as on Windows.
//   - A file that exists is removed first, so that the new one has metadata of its own and is
//     no other name of an old file.
//   - New files and directories get the owner and the inherited descriptor of a new file,
//     whatever they had in the tree that they come from: builders on Windows copy content
//     with its streams, attributes and write time, never a descriptor. Modes of the host have
//     no meaning on Windows and are ignored.
//
// Names that Windows cannot hold, names that differ in case alone, and everything but files,
// directories and links are errors with the name.
package content
