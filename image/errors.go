package image

import (
	"errors"
	"fmt"
	"strings"
)

// The errors of this package. Those of blobs and layers are in packages blob and layer.
var (
	// ErrReference says that a text is not an image reference.
	ErrReference = errors.New("malformed image reference")
	// ErrNotFound says that a place holds no image under the name or tag.
	ErrNotFound = errors.New("image not found")
	// ErrNoWindows says that there are images, but none that matches.
	ErrNoWindows = errors.New("no matching Windows image")
	// ErrAmbiguous says that several images match; an AmbiguousError lists them.
	ErrAmbiguous = errors.New("more than one image matches")
	// ErrManifest says that an index, manifest or configuration is malformed.
	ErrManifest = errors.New("malformed manifest")
	// ErrMediaType says that something is of a kind that is not handled.
	ErrMediaType = errors.New("unsupported media type")
	// ErrArchive says that a file is not the archive it is said to be.
	ErrArchive = errors.New("malformed image archive")
	// ErrMissingBlob says that a manifest names a blob that the place does not hold.
	ErrMissingBlob = errors.New("blob is missing")
	// ErrForeign says that a layer may only be fetched from the URLs that its manifest
	// names, and that WithForeign was not given.
	ErrForeign = errors.New("foreign layer is not stored here")
	// ErrPlatform says that a text is not a platform.
	ErrPlatform = errors.New("malformed platform")
)

// UnlinkedError reports that the program lacks the package for a kind of reference.
type UnlinkedError struct {
	Scheme  string // "docker"
	Package string // the package to import
}

// Error names the package to import.
func (e *UnlinkedError) Error() string {
	return fmt.Sprintf("this program does not read %s: references; import _ %q", e.Scheme, e.Package)
}

// AmbiguousError lists the images that match.
type AmbiguousError struct{ Candidates []Candidate }

// Error formats as "more than one image matches: windows(10.0.17763.1)/amd64
// sha256:…, …".
func (e *AmbiguousError) Error() string {
	return ErrAmbiguous.Error() + ": " + list(e.Candidates)
}

// Unwrap returns ErrAmbiguous.
func (e *AmbiguousError) Unwrap() error { return ErrAmbiguous }

// NoMatchError reports that nothing matches, with a list of the candidates.
type NoMatchError struct {
	Want      string // platform that was asked for, "" for any Windows
	Available []Candidate
}

// Error formats as "no matching Windows image for windows(10.0.20348)/amd64; there
// is: linux/amd64 sha256:…".
func (e *NoMatchError) Error() string {
	s := ErrNoWindows.Error()
	if e.Want != "" {
		s += " for " + e.Want
	}
	if len(e.Available) == 0 {
		return s + "; there is none at all"
	}
	return s + "; there is: " + list(e.Available)
}

// Unwrap returns ErrNoWindows.
func (e *NoMatchError) Unwrap() error { return ErrNoWindows }

// list prints candidates, the first sixteen of them.
func list(candidates []Candidate) string {
	var parts []string
	for i, c := range candidates {
		if i == 16 {
			parts = append(parts, fmt.Sprintf("and %d more", len(candidates)-i))
			break
		}
		s := c.Platform.String() + " " + string(c.Descriptor.Digest)
		if c.Name != "" {
			s += " (" + c.Name + ")"
		}
		if c.Absent {
			s += " (named, not stored)"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

// DestinationError says that the place that Copy or Unpack writes to could not be made or
// published, as opposed to one that they read.
type DestinationError struct {
	Reference string // or the path of a directory
	Err       error
}

// Error formats as "REFERENCE: cause".
func (e *DestinationError) Error() string { return e.Reference + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *DestinationError) Unwrap() error { return e.Err }

// ToDestination returns a [DestinationError] for a reference, nil if err is nil.
func ToDestination(ref Reference, err error) error {
	if err == nil {
		return nil
	}
	return &DestinationError{ref.String(), err}
}
