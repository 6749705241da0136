// Package jsonstream writes JSON objects with lists that are too long to be held in memory.
// What it writes is what encoding/json would write of the whole, with an indentation of two
// spaces.
package jsonstream

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"iter"
)

const indent = "  "

// Object is an object that is being written. After an error its methods do nothing, and Close
// returns the error.
type Object struct {
	w          *bufio.Writer
	escapeHTML bool
	members    int
	buf        bytes.Buffer
	enc        *json.Encoder // into buf
	err        error
}

// NewObject begins an object. With escapeHTML the characters <, > and & are escaped, as
// encoding/json does it by default.
func NewObject(w io.Writer, escapeHTML bool) *Object {
	o := &Object{w: bufio.NewWriterSize(w, 64<<10), escapeHTML: escapeHTML}
	o.write("{")
	return o
}

// Members writes the members of an object, which v is to encoding/json.
func (o *Object) Members(v any) {
	b, ok := bytes.CutPrefix(o.encode(v, ""), []byte("{\n"))
	if !ok {
		return // it has none, or there was an error
	}
	o.begin()
	o.write(string(bytes.TrimSuffix(b, []byte("\n}"))))
}

// Member writes one member.
func (o *Object) Member(name string, v any) {
	o.name(name)
	o.write(string(o.encode(v, indent)))
}

// List writes a member that is a list, element by element. It does not ask for more elements
// after an error.
func (o *Object) List(name string, elements iter.Seq[any]) {
	o.name(name)
	o.write("[")
	n := 0
	for v := range elements {
		b := o.encode(v, indent+indent)
		if o.err != nil {
			return
		}
		if n++; n > 1 {
			o.write(",")
		}
		o.write("\n" + indent + indent)
		_, err := o.w.Write(b)
		o.fail(err)
	}
	if n > 0 {
		o.write("\n" + indent)
	}
	o.write("]")
}

// Close writes the end of the object and a line feed. It does not close the writer below.
func (o *Object) Close() error {
	if o.members > 0 {
		o.write("\n")
	}
	o.write("}\n")
	if o.err == nil {
		o.err = o.w.Flush()
	}
	return o.err
}

// begin separates a member from the one before it.
func (o *Object) begin() {
	if o.members++; o.members > 1 {
		o.write(",")
	}
	o.write("\n")
}

func (o *Object) name(s string) {
	b := o.encode(s, "")
	o.begin()
	o.write(indent + string(b) + ": ")
}

// encode returns a value in the form of a place whose lines begin with prefix. The bytes are
// valid until the next call.
func (o *Object) encode(v any, prefix string) []byte {
	if o.err != nil {
		return nil
	}
	if o.enc == nil {
		o.enc = json.NewEncoder(&o.buf)
		o.enc.SetEscapeHTML(o.escapeHTML)
	}
	o.enc.SetIndent(prefix, indent)
	o.buf.Reset()
	if err := o.enc.Encode(v); err != nil {
		o.fail(err)
		return nil
	}
	return bytes.TrimSuffix(o.buf.Bytes(), []byte("\n"))
}

func (o *Object) write(s string) {
	if o.err == nil {
		_, err := o.w.WriteString(s)
		o.fail(err)
	}
}

func (o *Object) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}
