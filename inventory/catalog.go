package inventory

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// A catalog signs the digests of many files: its content is a list of trust (CTL, described
// with CTL_INFO in Microsoft's documents of CryptoAPI) whose members are digests.

// Limits of catalogs.
const (
	maxCatalog        = 64 << 20 // bytes of a catalog
	maxCatalogs       = 1 << 16
	maxCatalogMembers = 1 << 20 // of all catalogs: 36 MiB
)

// fileDigest is the Authenticode digest of a file, SHA-1 with zeros behind it or SHA-256.
type fileDigest [sha256.Size]byte

// catalogSet is the members of all catalogs of a system.
type catalogSet struct {
	catalogs []signedCatalog
	members  []catalogMember
	sorted   bool
}

// signedCatalog is a catalog without its members.
type signedCatalog struct {
	path string
	signature
}

type catalogMember struct {
	sum     fileDigest
	catalog int32 // index in catalogs
}

// add takes the members of a catalog.
func (c *catalogSet) add(path string, b []byte) error {
	if len(c.catalogs) >= maxCatalogs {
		return fmt.Errorf("more than %d catalogs; the rest is not read", maxCatalogs)
	}
	sums, sig, err := readCatalog(b)
	if err != nil {
		return err
	}
	if len(sums) > maxCatalogMembers-len(c.members) {
		return fmt.Errorf("more than %d members of catalogs; those of this one are left out", maxCatalogMembers)
	}
	at := int32(len(c.catalogs))
	c.catalogs = append(c.catalogs, signedCatalog{path, sig})
	for _, sum := range sums {
		c.members = append(c.members, catalogMember{sum, at})
	}
	c.sorted = false
	return nil
}

// find returns the catalog that has a file, the first by path if there are several.
func (c *catalogSet) find(sum fileDigest) (signedCatalog, bool) {
	if !c.sorted {
		slices.SortFunc(c.members, func(a, b catalogMember) int {
			return cmp.Or(bytes.Compare(a.sum[:], b.sum[:]), cmp.Compare(c.catalogs[a.catalog].path, c.catalogs[b.catalog].path))
		})
		c.sorted = true
	}
	at, ok := slices.BinarySearchFunc(c.members, sum, func(m catalogMember, sum fileDigest) int { return bytes.Compare(m.sum[:], sum[:]) })
	if !ok {
		return signedCatalog{}, false
	}
	return c.catalogs[c.members[at].catalog], true
}

// readCatalog reads a catalog: the digests of its members, and its signature.
func readCatalog(b []byte) (sums []fileDigest, sig signature, err error) {
	data, err := readSignedData(b)
	if err != nil {
		return nil, sig, err
	}
	if string(data.kind) != oidTrustList {
		return nil, sig, fmt.Errorf("it signs a content of type %s, not a list of trust", oidText(data.kind))
	}
	if sums, err = readMembers(data.content); err != nil {
		return nil, sig, err
	}
	sig, err = data.verify()
	return sums, sig, err
}

// readMembers reads the members of a CertificateTrustList.
func readMembers(content []byte) (sums []fileDigest, err error) {
	r := derReader{rest: content}
	r.optional(derInteger) // version
	r.take(derSequence)    // usage
	r.optional(derOctets)  // identifier
	r.optional(derInteger) // number in a sequence
	r.time()
	if tag := r.peek(); tag == derUTCTime || tag == derTime {
		r.time()
	}
	r.take(derSequence) // algorithm of the identifiers
	if r.peek() != derSequence {
		return nil, r.err // no members
	}
	list := r.in(derSequence)
	for list.err == nil && len(list.rest) > 0 {
		m := list.in(derSequence)
		id := m.take(derOctets)
		attrs, _ := m.optional(derSet)
		if list.err = cmp.Or(list.err, m.err); list.err != nil {
			break
		}
		if len(sums) >= maxCatalogMembers {
			return nil, fmt.Errorf("more than %d members", maxCatalogMembers)
		}
		if sum, ok := memberDigest(id, attrs); ok {
			sums = append(sums, sum)
		}
	}
	return sums, cmp.Or(r.err, list.err)
}

// memberDigest returns the digest of a member: that in its attributes, since the identifier
// can be any text; without one the identifier, which is a digest in catalogs of Windows 8 and
// later, and its digits in UTF-16 in older ones.
func memberDigest(id, attrs []byte) (fileDigest, bool) {
	if set := cmsAttribute(attrs, oidIndirectData); set != nil {
		r := derReader{rest: set}
		if _, sum, err := readIndirectData(r.take(derSequence)); r.err == nil && err == nil {
			return digestOf(sum)
		}
	}
	if text, _, _ := text16(id[:min(len(id), 4*2*sha256.Size)]); len(text) >= 2*sha1.Size {
		if sum, err := hex.DecodeString(text); err == nil {
			return digestOf(sum)
		}
	}
	return digestOf(id)
}

// digestOf returns a digest of a known length.
func digestOf(sum []byte) (d fileDigest, ok bool) {
	if len(sum) != sha1.Size && len(sum) != sha256.Size {
		return d, false
	}
	copy(d[:], sum)
	return d, true
}
