// Package diffpage writes the page of "mullion diff --html": one file that shows differences
// in a browser without network access.
//
// A page consists of a script and a style sheet, which are built from the sources in the
// folder web, and of data in script elements that a browser does not execute: gzip-compressed
// JSON in base64. Its content security policy allows that script and that style sheet alone,
// by their hashes. The data are blocks of rows: an index, which the page reads when it opens,
// and the details, which it reads when a row is expanded. So a page opens quickly, and writing
// one takes memory for a block only.
package diffpage

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed" // the script and the style sheet
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"strings"
)

// The browser's part of a page, made by "npm ci && npm run build" in the folder web.
var (
	//go:embed dist/diff.js
	script string
	//go:embed dist/diff.css
	style string
)

// Kind is the kind of a difference.
type Kind byte

// The kinds of differences.
const (
	Added   Kind = 'a'
	Removed Kind = 'r'
	Changed Kind = 'c'
	Renamed Kind = 'n'
)

// Area is what a difference is found in.
type Area byte

// The areas.
const (
	Config   Area = 'c'
	File     Area = 'f'
	Registry Area = 'k'
)

// Row is one difference. Texts are valid UTF-8 and have no control characters and no marks
// that change the direction of text; the caller escapes what an image can bring.
type Row struct {
	Kind   Kind
	Area   Area
	Path   string
	Note   string // on the line of the path
	Fields []Field
}

// Field is a property with both sides, or, where Removed or Added is set, what a list has
// lost and gained.
type Field struct {
	Name           string
	Before, After  string
	Removed, Added []string
}

// MarshalJSON returns an array of the name and the two sides.
func (f Field) MarshalJSON() ([]byte, error) {
	var out [3]any
	out[0], out[1], out[2] = f.Name, f.Before, f.After
	if f.Removed != nil || f.Added != nil {
		out[1], out[2] = append([]string{}, f.Removed...), append([]string{}, f.Added...)
	}
	return json.Marshal(out)
}

const (
	// blockRows and blockBytes are the numbers of rows and of bytes of details, about, after
	// which a block ends.
	blockRows  = 2048
	blockBytes = 1 << 20
)

// Writer writes a page.
type Writer struct {
	w       io.Writer
	index   index
	last    string // path
	details [][]Field
	bytes   int
	header  header
	rows    int
}

// index is the part of a block that a page reads when it opens.
type index struct {
	Kinds string   `json:"kinds"`
	Areas string   `json:"areas"`
	Same  []int    `json:"same"` // UTF-16 units of the path before that a path begins with
	Paths []string `json:"paths"`
	Notes []string `json:"notes"`
}

// MostShown is the number of rows that the list of a page holds at a time: browsers bound the
// height of an element at 17 million pixels or more, and a row has 24. A page says how many
// rows are left out, and shows them when a search or a filter leaves fewer.
const MostShown = 600_000

type header struct {
	A       string `json:"a"`
	B       string `json:"b"`
	Summary string `json:"summary"`
	Most    int    `json:"most"`
}

// New begins a page about two sides, whose names are texts as in a Row.
func New(w io.Writer, a, b string) (*Writer, error) {
	p := &Writer{w: w, header: header{A: a, B: b, Most: MostShown}}
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	_, err := fmt.Fprintf(w, `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src %s; style-src %s; base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width">
<title>%s</title>
<style>%s</style>
</head>
<body>
<div id="app"><noscript>This page shows its data with a script, which is turned off.</noscript></div>
`, hash(script), hash(style), html.EscapeString(a+" → "+b), style)
	return p, err
}

// Add writes a row behind those before.
func (p *Writer) Add(r Row) error {
	p.rows++
	p.index.Kinds += string(rune(r.Kind))
	p.index.Areas += string(rune(r.Area))
	same, units := common(p.last, r.Path)
	p.last = r.Path
	p.index.Same = append(p.index.Same, units)
	p.index.Paths = append(p.index.Paths, r.Path[same:])
	p.index.Notes = append(p.index.Notes, r.Note)
	fields := r.Fields
	if fields == nil {
		fields = []Field{}
	}
	p.details = append(p.details, fields)
	p.bytes += len(r.Path) + len(r.Note)
	for _, f := range r.Fields {
		p.bytes += len(f.Name) + len(f.Before) + len(f.After)
		for _, s := range f.Removed {
			p.bytes += len(s)
		}
		for _, s := range f.Added {
			p.bytes += len(s)
		}
	}
	if len(p.details) >= blockRows || p.bytes >= blockBytes {
		return p.block()
	}
	return nil
}

// Hidden returns the number of rows that the list does not hold when the page opens.
func (p *Writer) Hidden() int { return max(0, p.rows-MostShown) }

// common returns the length of the common beginning of two texts, in whole characters, in
// bytes and in UTF-16 units.
func common(a, b string) (n, units int) {
	for i, r := range a {
		c := string(r)
		if !strings.HasPrefix(b[i:], c) {
			break
		}
		n = i + len(c)
		units++
		if r > 0xFFFF {
			units++
		}
	}
	return n, units
}

// block writes the rows since the last block.
func (p *Writer) block() error {
	if len(p.details) == 0 {
		return nil
	}
	err := p.element("index", p.index)
	if err == nil {
		err = p.element("details", p.details)
	}
	p.index, p.details, p.bytes, p.last = index{}, nil, 0, ""
	return err
}

// element writes a value as a script element that is not executed. Base64 has no character
// that HTML gives a meaning.
func (p *Writer) element(class string, v any) error {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := json.NewEncoder(z).Encode(v); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(p.w, `<script type="text/plain" class="%s">`, class); err != nil {
		return err
	}
	e := base64.NewEncoder(base64.StdEncoding, p.w)
	if _, err := e.Write(b.Bytes()); err != nil {
		return err
	}
	if err := e.Close(); err != nil {
		return err
	}
	_, err := io.WriteString(p.w, "</script>\n")
	return err
}

// Close ends the page with a line that sums it up. It does not close the writer below.
func (p *Writer) Close(summary string) error {
	if err := p.block(); err != nil {
		return err
	}
	p.header.Summary = summary
	h, err := json.Marshal(p.header) // which escapes <, > and &
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.w, "<script type=\"application/json\" id=\"header\">%s</script>\n<script>%s</script>\n</body>\n</html>\n", h, script)
	return err
}
