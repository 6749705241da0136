package winfs

// EA is one extended attribute of a file.
type EA struct {
	// Name is at most 254 bytes of ASCII or OEM text; NTFS stores it upper-cased
	// and compares it without regard to case.
	Name  string
	Flags byte // 0x80 is FILE_NEED_EA
	Value []byte
}
