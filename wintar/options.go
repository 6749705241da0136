package wintar

// Option changes how a Reader, a Writer or a Check works.
type Option func(*options)

type options struct {
	goZeroTime    bool
	anyName       bool
	noTrailer     bool
	overwrite     bool
	base, parents bool
	label         string
	hook          func(op, name string) error // fails operations on the file in tests
}

func gather(opts []Option) options {
	var o options
	for _, f := range opts {
		f(&o)
	}
	return o
}

// GoZeroTime has a Reader give entries without atime or ctime the time that the
// upstream importer gives them by mistake, 1754-08-30T22:43:41.1286549Z, so that
// what is imported is the same to the bit. By default they get the mtime.
func GoZeroTime() Option { return func(o *options) { o.goZeroTime = true } }

// AllowReservedNames accepts what NTFS can hold and Win32 cannot reach: names of
// devices such as NUL, names that end with a dot or a space.
func AllowReservedNames() Option { return func(o *options) { o.anyName = true } }

// AllowMissingTrailer accepts an archive that ends after an entry, without the
// blocks of zeros. It cannot be told from one that was cut there, so that is for
// sources whose digest was verified.
func AllowMissingTrailer() Option { return func(o *options) { o.noTrailer = true } }

// Overwrite has Create replace an existing file.
func Overwrite() Option { return func(o *options) { o.overwrite = true } }

// Base tells Check that the layer has no parents.
func Base() Option { return func(o *options) { o.base = true } }

// HasParents tells Check that the layer has parents.
func HasParents() Option { return func(o *options) { o.parents = true } }

// Label names the layer in errors and findings.
func Label(name string) Option { return func(o *options) { o.label = name } }
