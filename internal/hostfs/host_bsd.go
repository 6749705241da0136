//go:build freebsd || netbsd || openbsd

package hostfs

import "os"

const createFlag = 0

// The extended attributes of the BSDs have other calls and limits; the index
// serves as well.

func setRecord(*os.File, []byte) error { return ErrNoAttributes }

func getRecord(*os.File) ([]byte, error) { return nil, nil }
