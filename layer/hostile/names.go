package hostile

import (
	"fmt"
	"strings"
)

// badName is a name that must never be accepted, with the rule that it violates.
type badName struct{ label, name, rule string }

var badNames = []badName{
	{"dotdot", "..", "name-escapes"},
	{"dotdot-first", "../evil", "name-escapes"},
	{"dotdot-last", "Files/evil/..", "name-escapes"},
	{"dotdot-inside", "Files/../evil", "name-escapes"},
	{"dotdot-twice", "Files/../../evil", "name-escapes"},
	{"dotdot-deep", "Files/a/../../../evil", "name-escapes"},
	{"dotdot-after-dot-slash", "./../evil", "name-escapes"},
	{"dotdot-backslash", `..\evil`, "name-escapes"},
	{"dotdot-backslash-inside", `Files\..\..\evil`, "name-escapes"},
	{"dotdot-mixed", `Files/..\../evil`, "name-escapes"},
	{"dotdot-space", "Files/.. /evil", "name-escapes"},
	{"dotdot-dot", "Files/.../evil", "name-escapes"},
	{"dot-space-dot", "Files/. ./evil", "name-escapes"},
	{"dot-inside", "Files/./evil", "name-escapes"},
	{"space-alone", "Files/ /evil", "name-escapes"},
	{"absolute", "/evil", "absolute-name"},
	{"absolute-etc", "/etc/evil", "absolute-name"},
	{"absolute-twice", "//evil", "absolute-name"},
	{"absolute-backslash", `\evil`, "absolute-name"},
	{"unc", `\\server\share\evil`, "absolute-name"},
	{"unc-slashes", "//server/share/evil", "absolute-name"},
	{"long-path-prefix", `\\?\C:\evil`, "absolute-name"},
	{"long-path-slashes", "//?/C:/evil", "absolute-name"},
	{"nt-prefix", `\??\C:\evil`, "absolute-name"},
	{"device-namespace", `\\.\PhysicalDrive0\evil`, "absolute-name"},
	{"drive", "C:/evil", "absolute-name"},
	{"drive-backslash", `C:\evil`, "absolute-name"},
	{"drive-relative", "C:evil", "absolute-name"},
	{"drive-lower-case", "c:/evil", "absolute-name"},
	{"drive-inside", "Files/C:/evil", "colon-misplaced"},
	{"colon-in-directory", "Files/a:evil/b", "colon-misplaced"},
	{"double-slash", "Files//evil", "invalid-name"},
	{"control-character", "Files/evil\nx", "invalid-name"},
	{"unit-separator", "Files/evil\x1fx", "invalid-name"},
	{"asterisk", "Files/evil*", "invalid-name"},
	{"question-mark", "Files/evil?", "invalid-name"},
	{"quote", `Files/evil"`, "invalid-name"},
	{"less", "Files/evil<", "invalid-name"},
	{"greater", "Files/evil>", "invalid-name"},
	{"pipe", "Files/evil|", "invalid-name"},
	{"not-utf8", "Files/evil\xff", "invalid-name"},
	{"overlong-slash", "Files/evil\xc0\xaf", "invalid-name"},
	{"surrogates-apart", "Files/evil\xed\xa0\xbd\xed\xb8\x80", "invalid-name"},
	{"component-256", "Files/evil" + strings.Repeat("n", 252), "invalid-name"},
	{"path-32768", "Files/evil" + strings.Repeat("/"+strings.Repeat("n", 200), 165), "invalid-name"},
}

// oddNames are names that NTFS holds and Win32 treats in a special way.
var oddNames = []badName{
	{"device-nul", "Files/evil/NUL", "reserved-device-name"},
	{"device-con-lower", "Files/evil/con", "reserved-device-name"},
	{"device-extension", "Files/evil/aux.tar.gz", "reserved-device-name"},
	{"device-com1", "Files/evil/COM1", "reserved-device-name"},
	{"device-lpt9-ext", "Files/evil/lpt9.txt", "reserved-device-name"},
	{"device-superscript", "Files/evil/COM\u00b9", "reserved-device-name"},
	{"device-conin", "Files/evil/CONIN$", "reserved-device-name"},
	{"device-space-ext", "Files/evil/nul .txt", "reserved-device-name"},
	{"device-directory", "Files/prn/evil", "reserved-device-name"},
	{"trailing-dot", "Files/evil.", "trailing-dot-or-space"},
	{"trailing-space", "Files/evil ", "trailing-dot-or-space"},
	{"trailing-dot-directory", "Files/a./evil", "trailing-dot-or-space"},
}

func names() []Case {
	var list []Case
	for _, n := range badNames {
		list = append(list, refused("name/"+n.label, fmt.Sprintf("a file with the name %q", clip(n.name)), n.rule, func(a *archive) { a.file(n.name, "x") }))
	}
	for _, n := range oddNames {
		c := small("name/"+n.label, fmt.Sprintf("a file with the name %q, which programs on Windows may not reach", n.name), Accepted, Either, n.rule, func(a *archive) { a.file(n.name, "x") })
		list = append(list, c)
	}
	// The same check for every type of entry.
	for i, n := range []badName{badNames[1], badNames[8], badNames[18], badNames[27], badNames[29], badNames[40]} {
		kinds := []struct {
			label string
			add   func(a *archive)
		}{
			{"directory", func(a *archive) { a.dir(n.name) }},
			{"symlink", func(a *archive) { a.symlink(n.name, "a", 0) }},
			{"hard-link", func(a *archive) { a.file("Files/a", "x"); a.link(n.name, "Files/a") }},
			{"long-name", func(a *archive) { a.gnuLong('L', n.name); a.file("Files/short", "x") }},
		}
		for _, k := range kinds {
			if i >= 3 && k.label == "long-name" {
				continue
			}
			list = append(list, refused("name/"+k.label+"-"+n.label, fmt.Sprintf("a %s with the name %q", k.label, n.name), n.rule, k.add))
		}
	}
	list = append(list,
		refused("name/nul-in-record", "a path record with a NUL, which cuts the name for some readers", "bad-header", func(a *archive) {
			a.add(head{name: "Files/evil\x00/../../x", pax: orderly(0x20)})
		}),
		small("name/nul-in-header", "a name with a NUL and more behind it in the header block, which ends the name", Accepted, Accepted, "", func(a *archive) {
			a.add(head{name: "Files/evil\x00/../../x", raw: true, pax: orderly(0x20)})
		}),
		small("name/dot-slash", "names with ./ in front and slashes behind, which are harmless", Accepted, Accepted, "", func(a *archive) {
			a.add(head{name: "./", kind: '5'})
			a.add(head{name: "./Files/evil/", kind: '5', pax: orderly(0x10)})
			a.file("./Files/evil/x", "x")
		}),
		small("name/lone-surrogate", "half a surrogate pair, which Windows allows", Accepted, Accepted, "", func(a *archive) {
			a.file("Files/evil\xed\xa0\x80", "x")
		}),
		small("name/deep", "a thousand directories, one inside the other", Accepted, Either, "", func(a *archive) {
			p := "Files"
			for range 1000 {
				p += "/evil"
				a.dir(p)
			}
		}),
		refused("name/global-path", "a global header with a path record, then an entry without a name", "invalid-name", func(a *archive) {
			rec := record("path", "../../evil")
			a.header(head{name: "g", kind: 'g', size: fmt.Sprintf("%o", len(rec))})
			a.body([]byte(rec))
			a.add(head{name: ""})
		}),
	)
	return list
}

// gnuLong writes a GNU entry that carries a long name (L) or link name (K).
func (a *archive) gnuLong(kind byte, text string) {
	if strings.Contains(text, evil) {
		a.named = true
	}
	a.header(head{name: "././@LongLink", kind: kind, size: fmt.Sprintf("%o", len(text)+1), magic: "ustar  \x00"})
	a.body([]byte(text + "\x00"))
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}
