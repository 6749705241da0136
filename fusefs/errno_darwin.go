package fusefs

import "syscall"

// errNoAttr reports that a file has no such attribute.
const errNoAttr = syscall.ENOATTR
