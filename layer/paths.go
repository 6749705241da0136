package layer

import (
	"fmt"

	"github.com/mullion/mullion/winfs"
)

// rootUtilityFiles is the tree of the utility VM.
const rootUtilityFiles = RootUtilityVM + `\Files`

// CheckPlace returns an error for an entry of a kind that an unpacked layer cannot have at
// its path: Files, Hives and UtilityVM are directories (ErrNotDirectory), hard links lead
// from and to names below Files and UtilityVM\Files (ErrLinkTarget), and whiteouts hide
// names there (ErrWhiteout); opaque whiteouts are also allowed for the two directories
// themselves.
func CheckPlace(e *Entry) error {
	switch e.Kind {
	case File, Dir:
		root := winfs.EqualFold(e.Path, RootFiles) || winfs.EqualFold(e.Path, RootHives) || winfs.EqualFold(e.Path, RootUtilityVM)
		if root && (e.Kind != Dir || e.IsReparsePoint()) {
			return fmt.Errorf("%w: %s must be a directory", ErrNotDirectory, e.Path)
		}
	case Link:
		if !inTree(e.Path) || !inTree(e.Target) {
			return fmt.Errorf("%w: %s is not inside Files or UtilityVM\\Files, or the link is not", ErrLinkTarget, shorten(e.Target))
		}
	case Whiteout:
		if !inTree(e.Path) {
			return fmt.Errorf("%w: outside Files and UtilityVM\\Files", ErrWhiteout)
		}
	case Opaque:
		if !inTree(e.Path) && !winfs.EqualFold(e.Path, RootFiles) && !winfs.EqualFold(e.Path, rootUtilityFiles) {
			return fmt.Errorf("%w: outside Files and UtilityVM\\Files", ErrWhiteout)
		}
	}
	return nil
}

// inTree reports whether a path is below Files or UtilityVM\Files.
func inTree(p string) bool { return winfs.Under(p, RootFiles) || winfs.Under(p, rootUtilityFiles) }
