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

// CheckDigest checks the form of a digest: "sha256:" or "sha512:" and lower-case hex
// digits. The error for any other form is ErrDigestSyntax.
//
// Digests are strings here and in the rest of this package, so that it needs no other
// module; functions that take one also take the Digest of opencontainers/go-digest.
func CheckDigest[D ~string](d D) error {
	algorithm, digits, _ := strings.Cut(string(d), ":")
	h, ok := newHash(algorithm)
	if !ok || len(digits) != 2*h.Size() || strings.ToLower(digits) != digits {
		return fmt.Errorf("%w: %.80q", ErrDigestSyntax, string(d))
	}
	if _, err := hex.DecodeString(digits); err != nil {
		return fmt.Errorf("%w: %.80q", ErrDigestSyntax, string(d))
	}
	return nil
}

// algorithmIn returns the part of a digest before the colon.
func algorithmIn(d string) string { a, _, _ := strings.Cut(d, ":"); return a }

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
func sumOf(h hash.Hash) string { return "sha256:" + hex.EncodeToString(h.Sum(nil)) }
