package hostile

import (
	"bufio"
	"fmt"
	"io"
)

func structure() []Case {
	wrong := func(label, what string, unpack Outcome, rule string, fill func(a *archive)) Case {
		return small("tree/"+label, what, Accepted, unpack, rule, fill)
	}
	rootless := func(fill func(a *archive)) func(a *archive) {
		return func(a *archive) { a.buf.Reset(); fill(a) }
	}
	return []Case{
		wrong("duplicate-file", "two files of one name", Refused, "duplicate-entry", func(a *archive) { a.file("Files/evil", "1"); a.file("Files/evil", "2") }),
		wrong("duplicate-directory", "a directory twice", Either, "duplicate-entry", func(a *archive) { a.dir("Files/evil"); a.dir("Files/evil") }),
		wrong("duplicate-spelled-otherwise", "a file twice, once with ./", Refused, "duplicate-entry", func(a *archive) { a.file("Files/evil", "1"); a.file("./Files/evil", "2") }),
		wrong("case-file", "two files that differ in case", Refused, "case-conflict", func(a *archive) { a.file("Files/evil", "1"); a.file("Files/EVIL", "2") }),
		wrong("case-directory", "two directories that differ in case", Either, "case-conflict", func(a *archive) { a.dir("Files/evil"); a.dir("Files/Evil") }),
		wrong("case-not-ascii", "two files that differ in the case of a letter outside ASCII", Refused, "case-conflict", func(a *archive) { a.file("Files/evil-é", "1"); a.file("Files/evil-É", "2") }),
		wrong("case-directory-file", "a directory and a file that differ in case", Refused, "case-conflict", func(a *archive) { a.dir("Files/evil"); a.file("Files/EVIL", "2") }),
		wrong("case-not-equal", "two files that only Unicode folding takes for one: sharp s", Accepted, "", func(a *archive) { a.file("Files/evil-ß", "1"); a.file("Files/evil-ẞ", "2") }),
		wrong("file-then-directory", "a file that becomes a directory", Refused, "type-change", func(a *archive) { a.file("Files/evil", "1"); a.dir("Files/evil") }),
		wrong("directory-then-file", "a directory that becomes a file", Refused, "type-change", func(a *archive) { a.dir("Files/evil"); a.file("Files/evil", "1") }),
		wrong("child-of-file", "a file below a file", Refused, "type-change", func(a *archive) { a.file("Files/f", "1"); a.file("Files/f/evil", "2") }),
		wrong("child-of-file-deep", "a file two levels below a file", Refused, "missing-parent", func(a *archive) { a.file("Files/f", "1"); a.file("Files/f/d/evil", "2") }),
		wrong("child-of-link", "a file below a hard link", Refused, "type-change", func(a *archive) {
			a.file("Files/f", "1")
			a.link("Files/l", "Files/f")
			a.file("Files/l/evil", "2")
		}),
		wrong("populated-directory-then-file", "a directory with a file in it becomes a file", Refused, "type-change", func(a *archive) {
			a.dir("Files/evil")
			a.file("Files/evil/x", "1")
			a.file("Files/evil", "2")
		}),
		wrong("missing-parent", "a file without an entry for its directory", Either, "missing-parent", func(a *archive) { a.file("Files/d/evil", "1") }),
		wrong("late-parent", "a directory after its contents", Either, "missing-parent", func(a *archive) { a.file("Files/d/evil", "1"); a.dir("Files/d") }),
		wrong("parent-becomes-file", "a file where earlier entries imply a directory", Refused, "type-change", func(a *archive) { a.file("Files/evil/x", "1"); a.file("Files/evil", "2") }),
		wrong("no-files", "no entry for Files", Either, "missing-hives-or-files-root", rootless(func(a *archive) { a.dir("Hives") })),
		wrong("no-hives", "no entry for Hives", Either, "missing-hives-or-files-root", rootless(func(a *archive) { a.dir("Files") })),
		wrong("empty", "no entries at all", Either, "missing-hives-or-files-root", rootless(func(a *archive) {})),
		wrong("files-is-file", "Files is a file", Refused, "root-not-directory", rootless(func(a *archive) { a.dir("Hives"); a.file("Files", "1"); a.file("Files/evil", "2") })),
		wrong("hives-is-file", "Hives is a file", Refused, "root-not-directory", rootless(func(a *archive) { a.dir("Files"); a.file("Hives", "1") })),
		wrong("utility-vm-is-file", "UtilityVM is a file", Refused, "root-not-directory", func(a *archive) { a.file("UtilityVM", "1") }),
		wrong("files-lower-case", "files instead of Files", Either, "root-name-case", rootless(func(a *archive) { a.dir("files"); a.dir("Hives"); a.file("files/evil", "1") })),
		wrong("unknown-root", "another name at the root", Either, "", func(a *archive) { a.dir("Windows"); a.file("Windows/evil", "1") }),
		wrong("sidecar-name", "a name that transport directories use for themselves", Either, "", func(a *archive) {
			a.dir("Files/evil")
			a.file("Files/evil.$wcidirs$", "1")
		}),
		wrong("tombstones-name", "tombstones.txt at the root, which transport directories use for themselves", Either, "", func(a *archive) {
			a.file("tombstones.txt", "\xef\xbb\xbfVersion 1.0\n\\..\\..\\evil\n")
		}),
		wrong("sidecar-name-at-the-root", "a file at the root whose name marks a transport directory", Either, "", func(a *archive) {
			a.file("Files.$wcidirs$", "1")
			a.file("Hives.$wcidirs$", "1")
		}),
		wrong("own-index", "the index in which layer directories keep metadata", Either, "", func(a *archive) {
			a.dir(".mullion")
			a.file(".mullion/index", "evil")
			a.file(".MULLION-NAME-evil", "1")
		}),
		wrong("own-spelling", "a name like those that layer directories make up", Accepted, "", func(a *archive) {
			a.file("Files/.mullion-name-evil", "1")
		}),
		wrong("temporary-name", "a name like those of files that are being written", Accepted, "", func(a *archive) {
			a.file("Files/.evil.mullion-tmp", "1")
		}),
		wrong("base-hive", "a hive under its unpacked name", Either, "", func(a *archive) { a.file("Hives/SYSTEM_BASE", "evil") }),
		wrong("layout", "the file layout, which unpacking makes", Either, "", func(a *archive) { a.file("layout", "evil") }),
		wrong("implied-other-case", "a directory after its contents, in another case", Either, "missing-parent", func(a *archive) {
			a.file("Files/EVIL/a", "1")
			a.dir("Files/evil")
			a.file("Files/Evil/b", "2")
		}),
		refused("tree/root-is-file", "the root is a file", "root-entry", func(a *archive) { a.file("./", "1") }),
		refused("tree/root-is-symlink", "the root is a symbolic link", "root-entry", func(a *archive) { a.symlink("./", "..", 0x10) }),
		refused("tree/root-is-hard-link", "the root is a hard link", "root-entry", func(a *archive) { a.link(".", "Files") }),
	}
}

func whiteouts() []Case {
	bad := func(label, what, name string) Case {
		return refused("whiteout/"+label, what, "bad-whiteout", func(a *archive) { a.whiteout(name) })
	}
	list := []Case{
		bad("empty", "a whiteout of nothing", "Files/evil/.wh."),
		bad("dot", "a whiteout of .", "Files/evil/.wh.."),
		bad("dotdot", "a whiteout of ..", "Files/evil/.wh..."),
		bad("root-opaque", "an opaque whiteout of the root", ".wh..wh..opq"),
		refused("whiteout/colon", "a whiteout with a colon", "stream-misplaced", func(a *archive) { a.whiteout("Files/.wh.evil:s") }),
		refused("whiteout/backslash-dotdot", "a whiteout with .. behind a backslash", "name-escapes", func(a *archive) { a.whiteout(`Files/.wh.a\..\..\evil`) }),
		refused("whiteout/escapes", "a whiteout outside of the layer", "name-escapes", func(a *archive) { a.whiteout("../.wh.evil") }),
		refused("whiteout/absolute", "a whiteout at an absolute path", "absolute-name", func(a *archive) { a.whiteout("/tmp/.wh.evil") }),
		small("whiteout/device", "a whiteout of NUL", Accepted, Either, "reserved-device-name", func(a *archive) { a.whiteout("Files/evil/.wh.NUL") }),
		small("whiteout/is-directory", "a whiteout that is a directory", Accepted, Accepted, "odd-whiteout", func(a *archive) { a.dir("Files/.wh.evil") }),
		small("whiteout/is-symlink", "a whiteout that is a symbolic link", Accepted, Accepted, "odd-whiteout", func(a *archive) { a.symlink("Files/.wh.evil", "..", 0) }),
		small("whiteout/is-hard-link", "a whiteout that is a hard link", Accepted, Accepted, "odd-whiteout", func(a *archive) { a.file("Files/a", "x"); a.link("Files/.wh.evil", "Files/a") }),
		small("whiteout/is-fifo", "a whiteout that is a FIFO", Accepted, Accepted, "odd-whiteout", func(a *archive) {
			a.add(head{name: "Files/.wh.evil", kind: '6'})
		}),
		small("whiteout/with-content", "a whiteout with content, which means nothing", Accepted, Accepted, "odd-whiteout", func(a *archive) {
			a.add(head{name: "Files/.wh.evil", data: []byte("content")})
		}),
		small("whiteout/of-root", "a whiteout of Files", Accepted, Either, "whiteout-outside-files", func(a *archive) { a.whiteout(".wh.Files") }),
		small("whiteout/of-utility-vm", "a whiteout of the utility VM", Accepted, Refused, "whiteout-outside-files", func(a *archive) { a.whiteout("UtilityVM/.wh.Files") }),
		small("whiteout/of-hive", "a whiteout of a hive", Accepted, Refused, "whiteout-outside-files", func(a *archive) { a.whiteout("Hives/.wh.evil") }),
		small("whiteout/opaque", "an opaque whiteout", Accepted, Accepted, "", func(a *archive) { a.dir("Files/evil"); a.whiteout("Files/evil/.wh..wh..opq") }),
		small("whiteout/opaque-of-files", "an opaque whiteout of Files", Accepted, Accepted, "", func(a *archive) { a.whiteout("Files/.wh..wh..opq") }),
		small("whiteout/twice", "a whiteout twice", Accepted, Either, "", func(a *archive) { a.whiteout("Files/.wh.evil"); a.whiteout("Files/.wh.evil") }),
		small("whiteout/before-file", "a whiteout before a file of the same name, which stays", Accepted, Accepted, "", func(a *archive) {
			a.whiteout("Files/.wh.evil")
			a.file("Files/evil", "stays")
		}),
		small("whiteout/after-file", "a whiteout after a file of the same name, which stays", Accepted, Accepted, "", func(a *archive) {
			a.file("Files/evil", "stays")
			a.whiteout("Files/.wh.evil")
		}),
		small("whiteout/after-directory", "a whiteout after a directory with content, which stays", Accepted, Accepted, "", func(a *archive) {
			a.dir("Files/evil")
			a.file("Files/evil/x", "stays")
			a.whiteout("Files/.wh.evil")
		}),
		small("whiteout/opaque-after", "an opaque whiteout after new content, which stays", Accepted, Accepted, "", func(a *archive) {
			a.dir("Files/evil")
			a.file("Files/evil/x", "stays")
			a.whiteout("Files/evil/.wh..wh..opq")
		}),
		small("whiteout/below-file", "a whiteout below a file", Accepted, Either, "", func(a *archive) {
			a.file("Files/f", "x")
			a.whiteout("Files/f/.wh.evil")
		}),
		small("whiteout/aufs", "the names that aufs keeps for itself", Accepted, Either, "", func(a *archive) {
			a.whiteout("Files/.wh..wh.plnk")
			a.whiteout("Files/.wh..wh.aufs")
		}),
	}
	many := func(label, what string, unpack Outcome, entries int, each func(i int) head) {
		list = append(list, Case{Name: "whiteout/" + label, What: what, Read: Accepted, Unpack: unpack, Heavy: entries > 100_000, Tar: func(w io.Writer) error {
			b := bufio.NewWriterSize(w, 1<<20)
			a := &archive{}
			a.dir("Files")
			a.dir("Hives")
			b.Write(a.buf.Bytes())
			for i := range entries {
				h := rawHeader(each(i))
				b.Write(h[:])
			}
			b.Write(make([]byte, 2*block))
			return b.Flush()
		}})
	}
	one := func(i int) head { return head{name: fmt.Sprintf("Files/.wh.%07d", i)} }
	many("many", "twenty thousand whiteouts in one directory", Accepted, 20_000, one)
	many("million", "a million whiteouts in one directory: the work must be linear", Accepted, 1_000_000, one)
	same := func(int) head { return head{name: "Files/.wh.x"} }
	many("many-same", "one whiteout twenty thousand times", Either, 20_000, same)
	many("million-same", "one whiteout a million times", Either, 1_000_000, same)
	opaque := func(i int) head {
		if i%2 == 0 {
			return head{name: fmt.Sprintf("Files/%07d", i)}
		}
		return head{name: "Files/.wh..wh..opq"}
	}
	many("many-opaque", "one opaque whiteout ten thousand times among new content", Either, 20_000, opaque)
	many("million-opaque", "one opaque whiteout half a million times among new content", Either, 1_000_000, opaque)
	return list
}

func streams() []Case {
	bad := func(label, what, rule string, fill func(a *archive)) Case {
		return refused("stream/"+label, what, rule, fill)
	}
	return []Case{
		bad("alone", "a stream without a file", "stream-misplaced", func(a *archive) { a.file("Files/evil:s", "x") }),
		bad("of-another", "a stream of an earlier file", "stream-misplaced", func(a *archive) {
			a.file("Files/evil", "x")
			a.file("Files/b", "x")
			a.file("Files/evil:s", "x")
		}),
		bad("other-case", "a stream whose file is spelled in another case", "stream-misplaced", func(a *archive) { a.file("Files/evil", "x"); a.file("Files/EVIL:s", "x") }),
		bad("after-link", "a stream behind a hard link", "stream-misplaced", func(a *archive) {
			a.file("Files/a", "x")
			a.link("Files/evil", "Files/a")
			a.file("Files/evil:s", "x")
		}),
		bad("after-whiteout", "a stream behind a whiteout", "stream-misplaced", func(a *archive) { a.whiteout("Files/.wh.evil"); a.file("Files/evil:s", "x") }),
		bad("of-stream", "a stream of a stream", "colon-misplaced", func(a *archive) { a.file("Files/evil", "x"); a.file("Files/evil:s:t", "x") }),
		bad("index-allocation", "the index of a directory as a stream", "colon-misplaced", func(a *archive) { a.dir("Files/evil"); a.file("Files/evil:$I30:$INDEX_ALLOCATION", "x") }),
		bad("main-by-type", "the main stream by its type", "invalid-name", func(a *archive) { a.file("Files/evil", "x"); a.file("Files/evil::$DATA", "y") }),
		bad("empty-name", "a stream without a name", "invalid-name", func(a *archive) { a.file("Files/evil", "x"); a.file("Files/evil:", "y") }),
		bad("no-owner", "a stream behind a slash", "invalid-name", func(a *archive) { a.file("Files/:evil", "x") }),
		bad("of-root", "a stream of the root", "invalid-name", func(a *archive) { a.file("./:evil", "x") }),
		bad("long-name", "a stream with a name of 256 characters", "invalid-name", func(a *archive) {
			a.file("Files/evil", "x")
			a.file("Files/evil:"+fmt.Sprintf("%0256d", 1), "x")
		}),
		bad("twice", "a stream twice", "duplicate-stream", func(a *archive) {
			a.file("Files/evil", "x")
			a.file("Files/evil:s", "x")
			a.file("Files/evil:s", "y")
		}),
		bad("twice-case", "a stream twice, in another case", "duplicate-stream", func(a *archive) {
			a.file("Files/evil", "x")
			a.file("Files/evil:s", "x")
			a.file("Files/evil:S", "y")
		}),
		bad("twice-type", "a stream with and without its type", "duplicate-stream", func(a *archive) {
			a.file("Files/evil", "x")
			a.file("Files/evil:s", "x")
			a.file("Files/evil:s:$DATA", "y")
		}),
		bad("is-directory", "a stream that is a directory", "colon-misplaced", func(a *archive) { a.file("Files/evil", "x"); a.dir("Files/evil:s") }),
		bad("is-symlink", "a stream that is a symbolic link", "colon-misplaced", func(a *archive) { a.file("Files/evil", "x"); a.symlink("Files/evil:s", "a", 0) }),
		bad("is-hard-link", "a stream that is a hard link", "colon-misplaced", func(a *archive) { a.file("Files/evil", "x"); a.link("Files/evil:s", "Files/evil") }),
		small("stream/many", "a thousand streams", Accepted, Either, "", func(a *archive) {
			a.file("Files/evil", "x")
			for i := range 1000 {
				a.add(head{name: fmt.Sprintf("Files/evil:s%d", i), data: []byte("y")})
			}
		}),
		small("stream/too-many", "more streams than the limit of 4,096", Accepted, Refused, "", func(a *archive) {
			a.file("Files/evil", "x")
			for i := range 4200 {
				a.add(head{name: fmt.Sprintf("Files/evil:s%d", i)})
			}
		}),
		small("stream/everywhere", "streams of an empty file, a directory named with a slash, and a symbolic link", Accepted, Accepted, "", func(a *archive) {
			a.file("Files/evil", "")
			a.file("Files/evil:s:$DATA", "x")
			a.dir("Files/evil-d/")
			a.file("Files/evil-d:s", "x")
			a.symlink("Files/evil-l", "a", 0)
			a.file("Files/evil-l:s", "x")
		}),
	}
}
