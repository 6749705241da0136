// Package hostile is a corpus of layer tars that are wrong, malicious, or merely odd: paths
// that leave the layer, links that lead through links, metadata that does not decode,
// archives that are truncated or have flipped bits, wrong sizes, and bombs. It generates
// them, so that no dangerous file is stored in a repository, and records for each the
// required result of a reader, a check and an unpacker.
//
// The corpus tests that there is a clear error that names the entry, that nothing is
// written outside, and that nothing remains.
package hostile

import (
	"bytes"
	"io"
)

// Outcome is the required result of a case.
type Outcome uint8

// The outcomes.
const (
	// Refused: an error, and nothing published.
	Refused Outcome = iota + 1
	// Accepted: no error.
	Accepted
	// Either is right; nothing may be written outside of the target.
	Either
)

// Case is one archive.
type Case struct {
	// Name is unique and stable, of the form group/subject.
	Name string
	// What is the fault in a sentence.
	What string
	// Packed is "gzip" or "zstd" where Tar writes a compressed stream.
	Packed string
	// Tar writes the archive. Every call writes the same bytes.
	Tar func(w io.Writer) error

	// Read is the required result of a reader that keeps no state (wintar.Reader, to the
	// end).
	Read Outcome
	// Unpack is the required result of reading and writing the layer as a tree, with
	// default limits and, if the layer has parents, empty ones.
	Unpack Outcome
	// Rule is the finding that Check must report, "" if none of the severity error.
	Rule string
	// Entry is part of the name that an error must mention, "" if there is none.
	Entry string
	// Heavy marks cases of more than a second or 64 MiB of archive.
	Heavy bool
}

// Bytes returns the archive.
func (c *Case) Bytes() ([]byte, error) {
	var b bytes.Buffer
	err := c.Tar(&b)
	return b.Bytes(), err
}

// Cases returns the corpus, always in the same order.
func Cases() []Case {
	var list []Case
	for _, group := range []func() []Case{names, hardLinks, reparsePoints, structure, whiteouts, streams, types, records, framing, sizes, bombs} {
		list = append(list, group()...)
	}
	return list
}

// evil is part of every name that should appear in an error.
const evil = "evil"

// small makes a case of an archive that fits in memory.
func small(name, what string, read, unpack Outcome, rule string, fill func(a *archive)) Case {
	c := Case{Name: name, What: what, Read: read, Unpack: unpack, Rule: rule}
	build := func() *archive {
		a := &archive{}
		a.dir("Files")
		a.dir("Hives")
		fill(a)
		return a
	}
	// Without a header there is no name.
	if a := build(); a.named && rule != "bad-header" {
		c.Entry = evil
	}
	c.Tar = func(w io.Writer) error {
		a := build()
		a.end()
		_, err := w.Write(a.buf.Bytes())
		return err
	}
	return c
}

// refused is a case that no part of the program may accept.
func refused(name, what, rule string, fill func(a *archive)) Case {
	return small(name, what, Refused, Refused, rule, fill)
}
