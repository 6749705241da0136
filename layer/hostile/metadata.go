package hostile

import (
	"encoding/base64"
	"fmt"
	"strings"
)

func types() []Case {
	var list []Case
	for _, k := range []struct {
		kind byte
		what string
	}{
		{'3', "character-device"}, {'4', "block-device"}, {'6', "fifo"}, {'7', "contiguous-file"}, {'Z', "unknown-type"},
		{'D', "gnu-dump-directory"}, {'M', "gnu-multi-volume"}, {'V', "gnu-volume-label"}, {'A', "solaris-acl"}, {'X', "old-pax-header"}, {0xff, "not-ascii"},
	} {
		list = append(list, refused("type/"+k.what, fmt.Sprintf("an entry of typeflag %q", k.kind), "unsupported-type", func(a *archive) {
			a.add(head{name: "Files/evil", kind: k.kind, pax: orderly(0x20)})
		}))
	}
	list = append(list,
		small("type/old-gnu-sparse", "a sparse file in the old GNU form, which must not become empty", Accepted, Accepted, "", func(a *archive) {
			a.oldSparse("Files/evil", "1000", [][2]int64{{512, 4}})
		}),
		refused("type/old-gnu-sparse-overlap", "a sparse file whose ranges overlap", "bad-header", func(a *archive) { a.oldSparse("Files/evil", "4000", [][2]int64{{512, 4}, {512, 4}}) }),
		refused("type/old-gnu-sparse-outside", "a sparse file whose range is behind its end", "bad-header", func(a *archive) { a.oldSparse("Files/evil", "1000", [][2]int64{{512, 4}, {0x10000, 4}}) }),
		refused("type/old-gnu-sparse-smaller", "a sparse file that holds more than its size", "bad-header", func(a *archive) { a.oldSparse("Files/evil", "1", [][2]int64{{0, 4}}) }),
		small("type/gnu-sparse-1.0", "a sparse file in the PAX form", Accepted, Accepted, "", func(a *archive) {
			a.add(head{name: "GNUSparseFile.0/evil", data: sparseMap("1\n512\n4\n", "data"), pax: append(orderly(0x20),
				[2]string{"GNU.sparse.major", "1"}, [2]string{"GNU.sparse.minor", "0"}, [2]string{"GNU.sparse.name", "Files/evil"}, [2]string{"GNU.sparse.realsize", "1000"})})
		}),
		refused("type/gnu-sparse-name", "a sparse file whose name leaves the layer", "name-escapes", func(a *archive) {
			a.named = true
			a.add(head{name: "Files/x", data: sparseMap("1\n512\n4\n", "data"), pax: append(orderly(0x20),
				[2]string{"GNU.sparse.major", "1"}, [2]string{"GNU.sparse.minor", "0"}, [2]string{"GNU.sparse.name", "../evil"}, [2]string{"GNU.sparse.realsize", "1000"})})
		}),
		refused("type/gnu-sparse-letters", "a sparse map that is not made of numbers", "bad-header", func(a *archive) {
			a.add(head{name: "Files/evil", data: sparseMap("one\n512\n4\n", "data"), pax: append(orderly(0x20),
				[2]string{"GNU.sparse.major", "1"}, [2]string{"GNU.sparse.minor", "0"}, [2]string{"GNU.sparse.realsize", "1000"})})
		}),
		small("type/size-on-directory", "a directory with a size but no data", Accepted, Accepted, "", func(a *archive) {
			a.add(head{name: "Files/evil", kind: '5', size: "1000", pax: orderly(0x10)})
		}),
		small("type/trailing-slash-file", "a file whose name ends with a slash", Accepted, Accepted, "", func(a *archive) { a.file("Files/evil/", "x") }),
	)
	return list
}

func sparseMap(text, data string) []byte {
	b := make([]byte, block)
	copy(b, text)
	return append(b, data...)
}

// oldSparse writes an old GNU sparse file: the map is in the header block.
func (a *archive) oldSparse(name, realSize string, ranges [][2]int64) {
	if strings.Contains(name, evil) {
		a.named = true
	}
	data := 0
	for _, r := range ranges {
		data += int(r[1])
	}
	var recs []byte
	for _, p := range orderly(0x20) {
		recs = append(recs, record(p[0], p[1])...)
	}
	a.header(head{name: "PaxHeaders.0/x", kind: 'x', size: fmt.Sprintf("%o", len(recs))})
	a.body(recs)
	b := rawHeader(head{name: name, kind: 'S', magic: "ustar  \x00", size: fmt.Sprintf("%o", data)})
	const atMap, atRealSize = 386, 483
	for i, r := range ranges {
		copy(b[atMap+24*i:], fmt.Sprintf("%011o\x00%011o\x00", r[0], r[1]))
	}
	var real int64
	fmt.Sscan(realSize, &real)
	copy(b[atRealSize:], fmt.Sprintf("%011o\x00", real))
	sign(&b)
	a.buf.Write(b[:])
	a.body(make([]byte, data))
}

func records() []Case {
	var list []Case
	with := func(records ...[2]string) func(a *archive) {
		return func(a *archive) {
			// The record under test replaces the orderly one of its key.
			var pax [][2]string
			for _, p := range orderly(0x20) {
				replaced := false
				for _, r := range records {
					replaced = replaced || r[0] == p[0]
				}
				if !replaced {
					pax = append(pax, p)
				}
			}
			a.add(head{name: "Files/evil", data: []byte("x"), pax: append(pax, records...)})
		}
	}
	bad := func(label, what, key, value string) {
		list = append(list, refused("record/"+label, what, "bad-record", with([2]string{key, value})))
	}
	bad("fileattr-letters", "attributes that are no number", "MSWINDOWS.fileattr", "archive")
	bad("fileattr-negative", "negative attributes", "MSWINDOWS.fileattr", "-1")
	bad("fileattr-33-bits", "attributes of more than 32 bits", "MSWINDOWS.fileattr", "4294967296")
	bad("fileattr-hex", "attributes in hexadecimal", "MSWINDOWS.fileattr", "0x20")
	bad("fileattr-space", "attributes with a space", "MSWINDOWS.fileattr", " 32")
	bad("rawsd-base64", "a descriptor that is not base64", "MSWINDOWS.rawsd", "!!!!")
	bad("rawsd-newline", "a descriptor in base64 with a bad end", "MSWINDOWS.rawsd", "AQAEgA=")
	bad("xattr-base64", "an extended attribute that is not base64", "MSWINDOWS.xattr.FOO", "???")
	bad("xattr-long-name", "an extended attribute with a name of 300 characters", "MSWINDOWS.xattr."+strings.Repeat("N", 300), "AAAA")
	bad("xattr-empty-name", "an extended attribute without a name", "MSWINDOWS.xattr.", "AAAA")
	bad("xattr-long-value", "an extended attribute of 65,536 bytes", "MSWINDOWS.xattr.FOO", base64.StdEncoding.EncodeToString(make([]byte, 65536)))
	bad("creation-letters", "a creation time that is no number", "LIBARCHIVE.creationtime", "yesterday")
	bad("creation-exponent", "a creation time with an exponent", "LIBARCHIVE.creationtime", "1e9")
	bad("creation-huge", "a creation time that no number holds", "LIBARCHIVE.creationtime", "99999999999999999999")
	bad("creation-beyond", "a creation time that FILETIME cannot hold", "LIBARCHIVE.creationtime", "999999999999999")
	bad("creation-minus", "a creation time that is a sign", "LIBARCHIVE.creationtime", "-")
	bad("atime-beyond", "an access time that FILETIME cannot hold", "atime", "999999999999999")
	bad("own-reparse-base64", "reparse data that is not base64", "MULLION.reparse", "!!")
	bad("own-reparse-short", "reparse data of three bytes", "MULLION.reparse", "AAAA")
	bad("own-eas-short", "extended attributes that end early", "MULLION.eas", "AAAA")
	bad("own-objectid-short", "an object identifier of three bytes", "MULLION.objectid", "AAAA")
	bad("own-mtime", "a time in our own record that is not the one it is for", "MULLION.mtime", "5")
	list = append(list,
		refused("record/sddl", "a descriptor in SDDL that does not parse", "bad-record", func(a *archive) {
			a.add(head{name: "Files/evil", pax: [][2]string{attributes(0x20), {"MSWINDOWS.sd", "O:XX(("}}})
		}),
		small("record/sddl-machine", "a descriptor in SDDL with accounts of a machine that is not named", Accepted, Accepted, "machine-alias", func(a *archive) {
			a.add(head{name: "Files/evil", pax: [][2]string{attributes(0x20), {"MSWINDOWS.sd", "O:LAG:DUD:(A;;FA;;;BA)"}}})
		}),
		refused("record/own-future", "a record of a later version", "unknown-record", with([2]string{"MULLION.future", "1"})),
		refused("record/xattr-case", "two extended attributes that differ in case", "bad-record", with([2]string{"MSWINDOWS.xattr.FOO", "AAAA"}, [2]string{"MSWINDOWS.xattr.foo", "AAAB"})),
		refused("record/directory-bit", "a file with the attribute of a directory", "type-mismatch", with(attributes(0x10))),
		refused("record/mtime", "a modification time that is no number", "bad-header", with([2]string{"mtime", "now"})),
		refused("record/size-negative", "a negative size", "bad-header", with([2]string{"size", "-1"})),
		refused("record/size-letters", "a size that is no number", "bad-header", with([2]string{"size", "big"})),
		small("record/no-directory-bit", "a directory without the attribute", Accepted, Either, "type-mismatch", func(a *archive) {
			a.add(head{name: "Files/evil", kind: '5', pax: orderly(0x20)})
		}),
		small("record/descriptor-without-dacl", "a descriptor without a DACL", Accepted, Either, "descriptor-without-dacl", with(rawSD(append([]byte{1, 0, 0, 0x80}, descriptor[4:48]...)))),
		small("record/descriptor-garbage", "a descriptor of garbage", Accepted, Either, "descriptor-invalid", with(rawSD([]byte(strings.Repeat("garbage", 9))))),
		small("record/descriptor-short", "a descriptor that ends early", Accepted, Either, "descriptor-invalid", with(rawSD(descriptor[:30]))),
		small("record/descriptor-outside", "a descriptor whose owner is outside of it", Accepted, Either, "descriptor-invalid", func(a *archive) {
			sd := append([]byte(nil), descriptor...)
			sd[4], sd[5] = 0xff, 0xff
			with(rawSD(sd))(a)
		}),
		small("record/unknown", "records of others", Accepted, Accepted, "", with([2]string{"MSWINDOWS.future", "1"}, [2]string{"SCHILY.xattr.user.x", "1"})),
		small("record/stale", "a record of ours that contradicts the link", Accepted, Accepted, "", func(a *archive) {
			a.add(head{name: "Files/evil", link: `C:\shown`, kind: '2', pax: append(orderly(0x420), [2]string{"MULLION.reparse",
				base64.StdEncoding.EncodeToString([]byte{0x0c, 0, 0, 0xa0, 20, 0, 0, 0, 0, 0, 2, 0, 4, 0, 2, 0, 1, 0, 0, 0, 'a', 0, 0, 0, 'a', 0, 0, 0})})})
		}),
	)
	raw := func(label, what string, bytes []byte) {
		list = append(list, refused("record/"+label, what, "bad-header", func(a *archive) {
			a.add(head{name: "Files/evil", paxBytes: bytes})
		}))
	}
	raw("length-wrong", "a record whose length is wrong", []byte("99 path=evil\n"))
	raw("length-letters", "a record whose length is no number", []byte("aa path=evil\n"))
	raw("length-zero", "a record of length zero", []byte("0 path=evil\n"))
	raw("length-huge", "a record whose length no number holds", []byte("99999999999999999999 path=evil\n"))
	raw("no-newline", "a record without its newline", []byte("13 path=evil"))
	raw("no-equals", "a record without a value", []byte("7 path\n"))
	raw("two-mebibytes", "records of two mebibytes", []byte(record("comment", strings.Repeat("c", 2<<20))))
	return list
}
