package hostile

import (
	"fmt"
	"strings"
)

func hardLinks() []Case {
	var list []Case
	for _, n := range []badName{
		{"dotdot", "../../evil", "name-escapes"},
		{"dotdot-inside", "Files/../../evil", "name-escapes"},
		{"dotdot-backslash", `Files\..\..\evil`, "name-escapes"},
		{"absolute", "/etc/evil", "absolute-name"},
		{"unc", `\\server\share\evil`, "absolute-name"},
		{"long-path-prefix", `\\?\C:\evil`, "absolute-name"},
		{"drive", "C:/evil", "absolute-name"},
		{"drive-relative", "C:evil", "absolute-name"},
		{"stream", "Files/evil:s", "colon-misplaced"},
		{"double-slash", "Files//evil", "invalid-name"},
		{"not-utf8", "Files/evil\xff", "invalid-name"},
	} {
		list = append(list, refused("link/target-"+n.label, fmt.Sprintf("a hard link to %q", n.name), n.rule, func(a *archive) {
			a.file("Files/a", "x")
			a.link("Files/evil-link", n.name)
		}))
	}
	list = append(list,
		refused("link/target-empty", "a hard link to nothing", "invalid-name", func(a *archive) { a.link("Files/evil", "") }),
		refused("link/target-root", "a hard link to the root", "bad-record-or-name", func(a *archive) { a.link("Files/evil", "./") }),
		refused("link/target-nul", "a hard link whose target holds a NUL", "bad-header", func(a *archive) { a.link("Files/evil", "Files/a\x00b") }),
		refused("link/long-link", "a GNU long link name that leaves the layer", "name-escapes", func(a *archive) {
			a.gnuLong('K', "../../evil")
			a.link("Files/evil", "short")
		}),
		small("link/without-files", "a hard link whose target lacks Files/, a known mistake of builders", Accepted, Refused, "link-target-outside-files", func(a *archive) {
			a.file("Files/a", "x")
			a.link("Files/evil", "a")
		}),
		small("link/to-nothing", "a hard link whose target is in no layer", Accepted, Refused, "", func(a *archive) { a.link("Files/evil", "Files/missing") }),
		small("link/to-itself", "a hard link to itself", Accepted, Refused, "link-to-itself", func(a *archive) { a.link("Files/evil", "Files/evil") }),
		small("link/to-itself-case", "a hard link to itself in another case", Accepted, Refused, "link-to-itself", func(a *archive) { a.link("Files/evil", "FILES/EVIL") }),
		small("link/circle", "two hard links to each other", Accepted, Refused, "forward-link", func(a *archive) {
			a.link("Files/evil1", "Files/evil2")
			a.link("Files/evil2", "Files/evil1")
		}),
		small("link/to-directory", "a hard link to a directory", Accepted, Refused, "link-to-directory", func(a *archive) {
			a.dir("Files/d")
			a.link("Files/evil", "Files/d")
		}),
		small("link/to-root-directory", "a hard link to Files", Accepted, Refused, "link-to-directory", func(a *archive) { a.link("Files/evil", "Files") }),
		small("link/to-link", "a hard link to a hard link", Accepted, Either, "", func(a *archive) {
			a.file("Files/a", "x")
			a.link("Files/b", "Files/a")
			a.link("Files/evil", "Files/b")
		}),
		small("link/chain", "a chain of a thousand hard links", Accepted, Either, "", func(a *archive) {
			a.file("Files/evil0", "x")
			for i := range 1000 {
				a.link(fmt.Sprintf("Files/evil%d", i+1), fmt.Sprintf("Files/evil%d", i))
			}
		}),
		small("link/chain-backwards", "a chain of a thousand hard links, each before its target", Accepted, Either, "forward-link", func(a *archive) {
			for i := 1000; i > 0; i-- {
				a.link(fmt.Sprintf("Files/evil%d", i), fmt.Sprintf("Files/evil%d", i-1))
			}
			a.file("Files/evil0", "x")
		}),
		small("link/forward", "a hard link before its target", Accepted, Either, "forward-link", func(a *archive) {
			a.link("Files/evil", "Files/z")
			a.file("Files/z", "x")
		}),
		small("link/through-symlink", "a hard link whose target leads through a symbolic link", Accepted, Refused, "link-through-reparse", func(a *archive) {
			a.dirSymlink("Files/s", `..\..\..`)
			a.link("Files/evil", "Files/s/etc/passwd")
			a.link("Files/evil2", "Files/s/passwd")
		}),
		small("link/through-junction", "a hard link whose target leads through a junction", Accepted, Refused, "link-through-reparse", func(a *archive) {
			a.junction("Files/j", `C:\`)
			a.link("Files/evil", "Files/j/x")
		}),
		small("link/through-file", "a hard link whose target is below a file", Accepted, Refused, "type-change", func(a *archive) {
			a.file("Files/f", "x")
			a.link("Files/evil", "Files/f/x")
		}),
		small("link/placed-in-symlink", "a hard link whose own name leads through a symbolic link", Accepted, Refused, "link-through-reparse", func(a *archive) {
			a.file("Files/a", "x")
			a.dirSymlink("Files/s", `..\..\..`)
			a.link("Files/s/evil", "Files/a")
		}),
		small("link/to-whiteout", "a hard link to a path that only a whiteout mentions", Accepted, Refused, "", func(a *archive) {
			a.whiteout("Files/.wh.a")
			a.link("Files/evil", "Files/a")
		}),
		small("link/over-file", "a hard link where the layer has a file", Accepted, Refused, "type-change", func(a *archive) {
			a.file("Files/a", "x")
			a.file("Files/evil", "y")
			a.link("Files/evil", "Files/a")
		}),
		small("link/into-hives", "a hard link to a hive", Accepted, Refused, "link-target-outside-files", func(a *archive) {
			a.file("Hives/System_Delta", "x")
			a.link("Files/evil", "Hives/System_Delta")
		}),
		small("link/in-hives", "a hard link in place of a hive", Accepted, Refused, "link-target-outside-files", func(a *archive) {
			a.file("Files/a", "x")
			a.link("Hives/evil", "Files/a")
		}),
		small("link/at-the-root", "a hard link at the root of the layer", Accepted, Refused, "link-target-outside-files", func(a *archive) {
			a.file("Files/a", "x")
			a.link("evil", "Files/a")
		}),
		small("link/out-of-the-utility-vm-files", "a hard link to a file of the utility VM that is not below its Files", Accepted, Refused, "link-target-outside-files", func(a *archive) {
			a.dir("UtilityVM")
			a.file("UtilityVM/a", "x")
			a.link("Files/evil", "UtilityVM/a")
		}),
		small("link/utility-vm-to-files", "hard links between the two trees of files, in both directions, which base layers have", Accepted, Accepted, "", func(a *archive) {
			a.file("Files/a", "x")
			a.dir("UtilityVM")
			a.dir("UtilityVM/Files")
			a.file("UtilityVM/Files/b", "y")
			a.link("UtilityVM/Files/evil", "Files/a")
			a.link("Files/evil", "UtilityVM/Files/b")
		}),
		small("link/is-root", "Files is a hard link", Accepted, Refused, "root-not-directory", func(a *archive) {
			a.buf.Reset()
			a.dir("Hives")
			a.file("Hives/a", "x")
			a.link("Files", "Hives/a")
			a.named = false
		}),
	)
	for i := range list {
		if list[i].Rule == "bad-record-or-name" {
			list[i].Rule = "invalid-name"
		}
	}
	return list
}

func reparsePoints() []Case {
	var list []Case
	// Windows stores such links, and PowerShell even makes some, although they lead
	// nowhere.
	for _, t := range []struct{ label, target string }{
		{"drive-relative", "C:evil"}, {"empty", ""}, {"control-character", "evil\x01"}, {"nt-drive-relative", `\??\C:evil`},
	} {
		list = append(list, small("symlink/target-"+t.label, fmt.Sprintf("a symbolic link to %q", clip(t.target)), Accepted, Accepted, "link-leads-nowhere", func(a *archive) {
			a.symlink("Files/evil", t.target, 0)
		}))
	}
	for _, t := range []struct{ label, target string }{
		{"not-utf8", "evil\xff"}, {"too-long", strings.Repeat(`evil\`, 4000)},
	} {
		list = append(list, refused("symlink/target-"+t.label, fmt.Sprintf("a symbolic link to %q", clip(t.target)), "bad-link-target", func(a *archive) {
			a.symlink("Files/evil", t.target, 0)
		}))
	}
	list = append(list,
		refused("symlink/target-nul", "a symbolic link whose target holds a NUL", "bad-header", func(a *archive) { a.symlink("Files/evil", "a\x00b", 0) }),
		small("symlink/junction-relative", "a junction to a relative path", Accepted, Accepted, "link-leads-nowhere", func(a *archive) { a.junction("Files/evil", "a") }),
		small("symlink/junction-empty", "a junction that leads nowhere, as of one that PowerShell made", Accepted, Accepted, "link-leads-nowhere", func(a *archive) { a.junction("Files/evil", "") }),
		small("symlink/files-prefix", "a symbolic link to Files/x, a known mistake of builders", Accepted, Accepted, "", func(a *archive) {
			a.symlink("Files/evil", "/Files/x", 0)
		}),
	)
	// Links may point anywhere: nothing follows them while a layer is written.
	for _, t := range []struct{ label, target string }{
		{"dotdot", `..\..\..\..\evil`}, {"drive", `C:\evil`}, {"unc", `\\server\share\evil`}, {"rooted", `\evil`}, {"slashes", "../../etc/evil"},
	} {
		list = append(list, small("symlink/harmless-"+t.label, fmt.Sprintf("a symbolic link to %q, which is legal", t.target), Accepted, Accepted, "", func(a *archive) {
			a.symlink("Files/evil", t.target, 0)
		}))
	}
	through := func(label, what string, rule string, fill func(a *archive)) {
		list = append(list, small("symlink/"+label, what, Accepted, Refused, rule, fill))
	}
	through("file-through", "a file through a symbolic link that leaves the layer", "link-through-reparse", func(a *archive) {
		a.dirSymlink("Files/s", `..\..\..`)
		a.file("Files/s/evil", "x")
	})
	through("file-through-absolute", "a file through a symbolic link to a drive", "link-through-reparse", func(a *archive) {
		a.dirSymlink("Files/s", `C:\`)
		a.file("Files/s/evil", "x")
	})
	through("file-through-unix", "a file through a symbolic link to /tmp", "link-through-reparse", func(a *archive) {
		a.dirSymlink("Files/s", "/tmp")
		a.file("Files/s/evil", "x")
	})
	through("file-through-junction", "a file through a junction", "link-through-reparse", func(a *archive) {
		a.junction("Files/j", `C:\`)
		a.file("Files/j/evil", "x")
	})
	through("file-through-file-link", "a file through a symbolic link to a file", "link-through-reparse", func(a *archive) {
		a.symlink("Files/s", "..", 0)
		a.file("Files/s/evil", "x")
	})
	through("directory-through", "a directory through a symbolic link", "link-through-reparse", func(a *archive) {
		a.dirSymlink("Files/s", "..")
		a.dir("Files/s/evil")
	})
	through("through-other-case", "a file through a symbolic link that is spelled in another case", "link-through-reparse", func(a *archive) {
		a.dirSymlink("Files/s", "..")
		a.file("Files/S/evil", "x")
	})
	through("directory-becomes-link", "a directory that becomes a symbolic link, then a file in it", "duplicate-entry", func(a *archive) {
		a.dir("Files/d")
		a.dirSymlink("Files/d", `..\..`)
		a.file("Files/d/evil", "x")
	})
	through("link-becomes-directory", "a symbolic link that becomes a directory, then a file in it", "duplicate-entry", func(a *archive) {
		a.dirSymlink("Files/d", `..\..`)
		a.dir("Files/d")
		a.file("Files/d/evil", "x")
	})
	through("file-over-link", "a file at the name of a symbolic link", "duplicate-entry", func(a *archive) {
		a.symlink("Files/evil", "/tmp/target", 0)
		a.file("Files/evil", "x")
	})
	through("root-is-link", "Files is a symbolic link", "root-not-directory", func(a *archive) {
		a.buf.Reset()
		a.dir("Hives")
		a.dirSymlink("Files", `C:\`)
		a.file("Files/evil", "x")
	})
	through("utility-vm-is-junction", "UtilityVM is a junction", "root-not-directory", func(a *archive) {
		a.junction("UtilityVM", `C:\`)
		a.dir("UtilityVM/Files")
		a.file("UtilityVM/Files/evil", "x")
	})
	list = append(list, small("symlink/whiteout-through", "a whiteout through a symbolic link of the same layer", Accepted, Either, "", func(a *archive) {
		a.dirSymlink("Files/s", "..")
		a.whiteout("Files/s/.wh.evil")
	}), small("symlink/opaque", "an opaque whiteout in a symbolic link of the same layer", Accepted, Either, "", func(a *archive) {
		a.dirSymlink("Files/evil", "..")
		a.whiteout("Files/evil/.wh..wh..opq")
	}))
	return list
}
