// Package goldencim reads the corpus of images that Microsoft's own library made of
// known calls, for tests alone.
//
// A [Case] has the calls, with every argument and result, and the files that resulted.
// The package doesn't interpret the calls; the tests do.
package goldencim

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/winfs"
)

// Case is one script of calls and the files that it left.
type Case struct {
	Name   string
	Images []Image
	Files  map[string][]byte // image, region and object files
}

// Image is one image that the script made or tried to make.
type Image struct {
	Name    string `json:"image"`
	Result  string // of CimCreateImage
	From    string // the parent, or ""
	InPlace string // "", or how From was opened to be changed in place
	Calls   []Call
	GUID    string // "" where no image came of it
}

// Committed reports whether the image was made.
func (i *Image) Committed() bool { return i.GUID != "" }

// Call is one call. A slice that was not given is nil, one of no bytes is not.
type Call struct {
	Op         string // "file", "stream", "link", "delete", "commit"
	Path       string // WTF-8
	Existing   string // of a link
	Attributes winfs.Attributes
	Times      winfs.Times
	Size       int64
	Data       []byte // nil if CimWriteStream was not called
	Chunk      int    // bytes in each call of CimWriteStream, 0 for one call
	Security   []byte
	EAs        []byte
	Reparse    []byte
	Result     string // HRESULT in hexadecimal
	Write      string // of the last CimWriteStream
}

// OK reports whether the call succeeded.
func (c *Call) OK() bool { return c.Result == "00000000" }

// Names returns the names of all cases.
func Names(tb testing.TB) []string {
	tb.Helper()
	list, err := os.ReadDir(testenv.Corpus(tb, "golden", "cim"))
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for _, e := range list {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// Load reads a case.
func Load(tb testing.TB, name string) *Case {
	tb.Helper()
	dir := testenv.Corpus(tb, "golden", "cim", name)
	c, err := load(dir)
	if err != nil {
		tb.Fatalf("golden case %s: %v", name, err)
	}
	c.Name = name
	return c
}

// Write puts the files of the case into a folder.
func (c *Case) Write(dir string) error {
	for name, b := range c.Files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Set returns the files of one image and of those that it was forked from: for a
// GUID each.
func (c *Case) Set(guids ...string) map[string][]byte {
	out := map[string][]byte{}
	for name, b := range c.Files {
		for _, g := range guids {
			if strings.Contains(name, g) {
				out[name] = b
			}
		}
	}
	return out
}

func load(dir string) (*Case, error) {
	text, err := os.ReadFile(filepath.Join(dir, "ops.json"))
	if err != nil {
		return nil, err
	}
	c := &Case{Files: map[string][]byte{}}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, err
	}
	cuts := map[string]int{}
	text, err = os.ReadFile(filepath.Join(dir, "cuts.json"))
	if err == nil {
		err = json.Unmarshal(text, &cuts)
	}
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name := filepath.Base(path)
		if err != nil || d.IsDir() || strings.HasSuffix(name, ".json") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if whole, ok := strings.CutSuffix(name, ".cut"); ok {
			at, ok := cuts[whole]
			if !ok || at > len(b) {
				return fmt.Errorf("no place of the upcase table in %s", whole)
			}
			b, name = append(winfs.AppendUpcaseTable(b[:at:at]), b[at:]...), whole
		}
		c.Files[name] = b
		return nil
	})
	return c, err
}

// UnmarshalJSON reads a call.
func (c *Call) UnmarshalJSON(text []byte) error {
	var raw struct {
		Op, Result, Write string
		Path, Existing    json.RawMessage
		Attributes        uint32
		Times             [4]int64
		Size              int64
		Data              []part
		Chunk             int
		SD, EA, Reparse   *string
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	*c = Call{
		Op: raw.Op, Result: raw.Result, Write: raw.Write, Attributes: winfs.Attributes(raw.Attributes), Size: raw.Size, Chunk: raw.Chunk,
		Times: winfs.Times{
			Creation: winfs.Filetime(raw.Times[0]), LastWrite: winfs.Filetime(raw.Times[1]),
			Change: winfs.Filetime(raw.Times[2]), LastAccess: winfs.Filetime(raw.Times[3]),
		},
	}
	for _, s := range []struct {
		from json.RawMessage
		to   *string
	}{{raw.Path, &c.Path}, {raw.Existing, &c.Existing}} {
		var err error
		if *s.to, err = unquote(s.from); err != nil {
			return err
		}
	}
	for _, h := range []struct {
		from *string
		to   *[]byte
	}{{raw.SD, &c.Security}, {raw.EA, &c.EAs}, {raw.Reparse, &c.Reparse}} {
		if h.from == nil {
			continue
		}
		b, err := hex.DecodeString(*h.from)
		if err != nil {
			return err
		}
		*h.to = append([]byte{}, b...)
	}
	if raw.Data != nil {
		c.Data = []byte{}
	}
	for i := range raw.Data {
		var err error
		if c.Data, err = raw.Data[i].append(c.Data); err != nil {
			return err
		}
	}
	return nil
}

// unquote decodes a string that may hold lone surrogates, which encoding/json
// replaces, to WTF-8.
func unquote(text json.RawMessage) (string, error) {
	if len(text) == 0 {
		return "", nil
	}
	var units []uint16
	s := string(text[1 : len(text)-1])
	for s != "" {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			i = len(s)
		}
		units = winfs.AppendUTF16(units, s[:i])
		if s = s[i:]; s == "" {
			break
		}
		switch {
		case len(s) >= 6 && s[1] == 'u':
			u, err := strconv.ParseUint(s[2:6], 16, 16)
			if err != nil {
				return "", err
			}
			units, s = append(units, uint16(u)), s[6:]
		case len(s) >= 2:
			var one string
			if err := json.Unmarshal([]byte(`"`+s[:2]+`"`), &one); err != nil {
				return "", err
			}
			units, s = winfs.AppendUTF16(units, one), s[2:]
		default:
			return "", fmt.Errorf("string %s", text)
		}
	}
	return winfs.DecodeUTF16(units), nil
}

// part is a piece of the data of a stream.
type part struct {
	Hex     *string
	Pattern *uint64
	Size    int
	Zero    int
}

func (p *part) append(b []byte) ([]byte, error) {
	switch {
	case p.Hex != nil:
		h, err := hex.DecodeString(*p.Hex)
		return append(b, h...), err
	case p.Pattern != nil:
		x := *p.Pattern
		end := len(b) + p.Size
		for len(b) < end { // splitmix64
			x += 0x9E3779B97F4A7C15
			z := x
			z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
			z = (z ^ z>>27) * 0x94D049BB133111EB
			b = binary.LittleEndian.AppendUint64(b, z^z>>31)
		}
		return b[:end], nil
	}
	return append(b, make([]byte, p.Zero)...), nil
}
