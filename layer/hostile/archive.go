package hostile

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
)

const block = 512

// archive builds tars byte by byte and allows any nonsense.
type archive struct {
	buf   bytes.Buffer
	named bool // some entry is named evil
	open  bool // no trailer
}

// head is a header, and the data after it.
type head struct {
	name, link string
	kind       byte // '0' if zero
	mode       string
	size       string // octal text instead of the length of data
	mtime      string
	magic      string // "ustar\x0000" if empty
	badSum     bool
	data       []byte
	raw        bool        // no records beyond pax, not even for a long name
	pax        [][2]string // in this order
	paxBytes   []byte      // instead of pax
}

// descriptor is O:BAG:SYD:(A;;FA;;;BA), self-relative.
var descriptor = []byte{
	1, 0, 4, 0x80, 20, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0,
	1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0,
	1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0,
	2, 0, 32, 0, 1, 0, 0, 0,
	0, 0, 24, 0, 0xff, 1, 0x1f, 0, 1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0,
}

func rawSD(b []byte) [2]string {
	return [2]string{"MSWINDOWS.rawsd", base64.StdEncoding.EncodeToString(b)}
}

func attributes(n uint32) [2]string { return [2]string{"MSWINDOWS.fileattr", fmt.Sprint(n)} }

// orderly are the records of a well-formed file.
func orderly(attr uint32) [][2]string {
	return [][2]string{{"LIBARCHIVE.creationtime", "1591142400"}, attributes(attr), rawSD(descriptor), {"atime", "1591142400"}, {"ctime", "1591142400"}}
}

func (a *archive) dir(name string) {
	a.add(head{name: name, kind: '5', mode: "0040000", pax: orderly(0x10)})
}

func (a *archive) file(name, content string) {
	a.add(head{name: name, mode: "0100000", data: []byte(content), pax: orderly(0x20)})
}

func (a *archive) link(name, target string) {
	a.add(head{name: name, link: target, kind: '1', mode: "0000644", pax: [][2]string{{"LIBARCHIVE.creationtime", "1591142400"}, attributes(0x20)}})
}

func (a *archive) symlink(name, target string, attr uint32) {
	a.add(head{name: name, link: target, kind: '2', mode: "0120000", pax: orderly(attr | 0x400)})
}

func (a *archive) dirSymlink(name, target string) { a.symlink(name, target, 0x10) }

func (a *archive) junction(name, target string) {
	a.add(head{name: name, link: target, kind: '2', mode: "0160000", pax: append(orderly(0x410), [2]string{"MSWINDOWS.mountpoint", "1"})})
}

func (a *archive) whiteout(name string) { a.add(head{name: name, raw: true}) }

func (a *archive) add(h head) {
	if strings.Contains(h.name, evil) || strings.Contains(h.link, evil) {
		a.named = true
	}
	pax := h.pax
	name, link := h.name, h.link
	if !h.raw {
		if len(name) > 100 || strings.IndexByte(name, 0) >= 0 {
			pax = append([][2]string{{"path", name}}, pax...)
		}
		if len(link) > 100 || strings.IndexByte(link, 0) >= 0 {
			pax = append([][2]string{{"linkpath", link}}, pax...)
		}
	}
	records := h.paxBytes
	if records == nil {
		for _, p := range pax {
			records = append(records, record(p[0], p[1])...)
		}
	}
	if len(records) > 0 {
		a.header(head{name: "PaxHeaders.0/x", kind: 'x', mode: "0", size: fmt.Sprintf("%o", len(records))})
		a.body(records)
	}
	if h.size == "" {
		h.size = fmt.Sprintf("%o", len(h.data))
	}
	a.header(h)
	a.body(h.data)
}

// record formats a PAX record, whose length counts itself.
func record(key, value string) string {
	n := len(key) + len(value) + 3
	for {
		s := fmt.Sprintf("%d %s=%s\n", n, key, value)
		if len(s) == n {
			return s
		}
		n = len(s)
	}
}

func (a *archive) body(b []byte) {
	a.buf.Write(b)
	if pad := (block - len(b)%block) % block; pad > 0 {
		a.buf.Write(make([]byte, pad))
	}
}

// header writes one block.
func (a *archive) header(h head) {
	b := rawHeader(h)
	a.buf.Write(b[:])
}

// Offsets in a POSIX header block.
const (
	atName  = 0   // 100 bytes
	atMode  = 100 // 8
	atUID   = 108 // 8
	atGID   = 116 // 8
	atSize  = 124 // 12
	atMtime = 136 // 12
	atSum   = 148 // 8
	atKind  = 156 // 1
	atLink  = 157 // 100
	atMagic = 257 // 8 with the version
)

func rawHeader(h head) [block]byte {
	var b [block]byte
	copy(b[atName:atName+100], h.name)
	octal := func(at, n int, text, byDefault string) {
		if text == "" {
			text = byDefault
		}
		if len(text) < n && text[0] >= '0' && text[0] <= '7' {
			text = strings.Repeat("0", n-1-len(text)) + text
		}
		copy(b[at:at+n], text)
	}
	octal(atMode, 8, h.mode, "0100000")
	octal(atUID, 8, "", "0")
	octal(atGID, 8, "", "0")
	octal(atSize, 12, h.size, "0")
	octal(atMtime, 12, h.mtime, "13665661200")
	b[atKind] = '0'
	if h.kind != 0 {
		b[atKind] = h.kind
	}
	copy(b[atLink:atLink+100], h.link)
	magic := h.magic
	if magic == "" {
		magic = "ustar\x0000"
	}
	copy(b[atMagic:], magic)
	sign(&b)
	if h.badSum {
		b[atSum] ^= 1
	}
	return b
}

// sign sets the checksum.
func sign(b *[block]byte) {
	for i := range 8 {
		b[atSum+i] = ' '
	}
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[atSum:], fmt.Sprintf("%06o\x00 ", sum))
}

func (a *archive) end() {
	if !a.open {
		a.buf.Write(make([]byte, 2*block))
	}
}
