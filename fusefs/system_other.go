//go:build !linux && !darwin

package fusefs

// Supported reports whether Mount can work on this system.
const Supported = false

// Detach returns ErrUnsupported.
func (s *Server) Detach() error { return ErrUnsupported }
