package winsec

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// The accounts of processes in Windows containers.
var (
	ContainerAdministrator = MakeSID(5, 93, 2, 1)
	ContainerUser          = MakeSID(5, 93, 2, 2)
)

// AccountSID returns the SID of an account whose name is the same in every Windows: a
// well-known name with or without its authority ("Users", `BUILTIN\Users`,
// "ContainerUser"), a service (`NT SERVICE\W3SVC`), an application pool of IIS
// (`IIS APPPOOL\DefaultAppPool`), or the text of a SID, with or without a star before it, as
// icacls takes it. Case does not matter. Any other name is that of an account which only a
// machine knows, and the error wraps ErrBadSID.
func AccountSID(name string) (SID, error) {
	if text := strings.TrimPrefix(name, "*"); len(text) > 2 && (text[:2] == "S-" || text[:2] == "s-") {
		return ParseSID(text)
	}
	domain, last, hasDomain := strings.Cut(name, `\`)
	same := func(known string) bool {
		if strings.EqualFold(known, name) {
			return true
		}
		_, base, ok := strings.Cut(known, `\`)
		return ok && !hasDomain && strings.EqualFold(base, name)
	}
	for _, a := range aliases {
		if a.sid.IsValid() && same(a.name) {
			return a.sid, nil
		}
	}
	var found SID
	for sid, known := range otherNames {
		// The order of a map must not choose between two.
		if same(known) && (!found.IsValid() || sid.String() < found.String()) {
			found = sid
		}
	}
	if found.IsValid() {
		return found, nil
	}
	switch {
	case hasDomain && last != "" && strings.EqualFold(domain, "NT SERVICE"):
		return hashedSID(80, winfs.Fold(last)), nil
	case hasDomain && last != "" && strings.EqualFold(domain, "IIS APPPOOL"):
		return hashedSID(82, strings.ToLower(last)), nil
	}
	return SID{}, fmt.Errorf("%w: %q is no account that every Windows has", ErrBadSID, name)
}

// hashedSID returns the SID of a virtual account: the SHA-1 of its name in UTF-16.
func hashedSID(kind uint32, name string) SID {
	h := sha1.Sum(winfs.AppendUTF16LE(nil, name))
	sub := []uint32{kind}
	for i := 0; i < len(h); i += 4 {
		sub = append(sub, binary.LittleEndian.Uint32(h[i:]))
	}
	return MakeSID(5, sub...)
}
