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

// Errors of this package. A MismatchError around ErrDigest or ErrSize says what was
// expected.
var (
	// ErrDigest says that bytes do not have the digest that they are named by.
	ErrDigest = errors.New("digest does not match")
	// ErrSize says that a blob is longer or shorter than its descriptor says.
	ErrSize = errors.New("size does not match")
	// ErrDigestSyntax says that a text is not a digest of a registered algorithm.
	ErrDigestSyntax = errors.New("malformed digest")
	// ErrCompression says that a blob is compressed in a way that image layers
	// never are.
	ErrCompression = errors.New("unsupported compression")
	// ErrCorrupt says that a compressed blob cannot be decompressed.
	ErrCorrupt = errors.New("corrupt compressed data")
)

// CheckDigest checks the form of a digest: "sha256:" or "sha512:" and lower-case hex
// digits. A string of another form gives ErrDigestSyntax.
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

// newHash returns the algorithms that the OCI image specification registers.
func newHash(algorithm string) (hash.Hash, bool) {
	switch algorithm {
	case "sha256":
		return sha256.New(), true
	case "sha512":
		return sha512.New(), true
	}
	return nil, false
}

// MismatchError says what of a blob was not as expected.
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
