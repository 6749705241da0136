package fusefs

import "syscall"

// errNoAttr says that a file has no such attribute.
const errNoAttr = syscall.ENODATA
