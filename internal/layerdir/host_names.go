package layerdir

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/winfs"
)

// Names in a layer and names on the host are the same, unless the host cannot hold the
// name or would take it for another file. Then the host name is spelledPrefix and the
// first 16 bytes, in hexadecimal, of the SHA-256 of the name's WTF-8 form, and
// .mullion/index stores the name.
const (
	StoreName     = ".mullion" // the folder of this package's own files at the root of a layer
	spelledPrefix = ".mullion-name-"
	MetaSuffix    = ".$wcidirs$" // the file beside a directory in a transport directory

	// hostNameMax is NAME_MAX of every host that matters, in bytes where the host
	// counts bytes.
	hostNameMax = 255
)

// Spell returns the host name of a name which the host cannot have.
func Spell(name string) string {
	h := sha256.Sum256([]byte(name))
	return spelledPrefix + hex.EncodeToString(h[:16])
}

// NeedsSpelling reports whether a component cannot be its own host name. The host name
// leaves room bytes for a suffix.
func needsSpelling(name string, room int) bool {
	switch {
	case len(name)+room > hostNameMax && !hostfs.HostCountsUnits:
		return true
	case name[0] == '.' && len(name) >= len(StoreName) && winfs.EqualFold(name[:len(StoreName)], StoreName):
		// The folder itself, spelled names, and their spellings in capitals, which
		// are the same on hosts that fold case.
		return true
	}
	return !hostfs.HostHolds(name)
}

// HasMetaSuffix reports whether a name ends like the metadata file of a directory.
func HasMetaSuffix(name string) bool {
	i := len(name) - len(MetaSuffix)
	return i >= 0 && strings.EqualFold(name[i:], MetaSuffix)
}

// Names translates host names back.
type Names map[string]string

// Real returns the name in the layer for a name on the host.
func (n Names) Real(host string) (string, error) {
	if !strings.HasPrefix(host, spelledPrefix) {
		if err := winfs.ValidateComponent(host); err != nil {
			return "", err
		}
		return host, nil
	}
	if name, ok := n[host]; ok {
		return name, nil
	}
	return "", hostfs.ErrMetadata
}
