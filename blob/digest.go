package blob

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// Errors of this package. A MismatchError around ErrDigest or ErrSize has the expected
// value.
var (
	// ErrDigest reports that bytes do not have their expected digest.
	ErrDigest = errors.New("digest does not match")
	// ErrSize reports that a blob is longer or shorter than its descriptor declares.
	ErrSize = errors.New("size does not match")
	// ErrDigestSyntax reports that a text is not a digest of a registered algorithm.
	ErrDigestSyntax = errors.New("malformed digest")
	// ErrCompression reports a compression that image layers never use.
	ErrCompression = errors.New("unsupported compression")
	// ErrCorrupt reports that a compressed blob cannot be decompressed.
	ErrCorrupt = errors.New("corrupt compressed data")
)

// Digest identifies bytes: "sha256:" or "sha512:" and lower-case hex digits.
type Digest string

// ParseDigest checks the form of a digest.
func ParseDigest(s string) (Digest, error) {
	d := Digest(s)
	algorithm, digits, _ := strings.Cut(s, ":")
	h, ok := newHash(algorithm)
	if !ok || len(digits) != 2*h.Size() || strings.ToLower(digits) != digits {
		return "", fmt.Errorf("%w: %.80q", ErrDigestSyntax, s)
	}
	if _, err := hex.DecodeString(digits); err != nil {
		return "", fmt.Errorf("%w: %.80q", ErrDigestSyntax, s)
	}
	return d, nil
}

// Algorithm returns the part before the colon.
func (d Digest) Algorithm() string { a, _, _ := strings.Cut(string(d), ":"); return a }

// Hex returns the part after the colon.
func (d Digest) Hex() string { _, h, _ := strings.Cut(string(d), ":"); return h }

// Sum returns the SHA-256 digest of b.
func Sum(b []byte) Digest {
	s := sha256.Sum256(b)
	return Digest("sha256:" + hex.EncodeToString(s[:]))
}

// newHash returns a hash of an algorithm that the OCI image specification registers.
func newHash(algorithm string) (hash.Hash, bool) {
	switch algorithm {
	case "sha256":
		return sha256.New(), true
	case "sha512":
		return sha512.New(), true
	}
	return nil, false
}

// MismatchError describes a difference between a blob and its expected digest or size.
type MismatchError struct {
	What      string // "blob" for the stored bytes, "diff ID" for the decompressed ones
	Want, Got string // digests, or sizes in bytes
	Err       error  // ErrDigest or ErrSize
}

// Error formats as "blob: digest does not match: got sha256:…, want sha256:…".
func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s: %v: got %s, want %s", e.What, e.Err, e.Got, e.Want)
}

// Unwrap returns ErrDigest or ErrSize.
func (e *MismatchError) Unwrap() error { return e.Err }

// sumOf returns the digest of a SHA-256 hash.
func sumOf(h hash.Hash) Digest { return Digest("sha256:" + hex.EncodeToString(h.Sum(nil))) }
