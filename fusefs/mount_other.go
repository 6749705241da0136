//go:build !linux && !darwin

package fusefs

import "github.com/mullion/mullion/overlay"

// Server is a mounted tree.
type Server struct{}

// Mount returns ErrUnsupported: this system has no FUSE.
func Mount(dir string, t Tree, opt *Options) (*Server, error) { return nil, ErrUnsupported }

// MountOverlay returns ErrUnsupported: this system has no FUSE.
func MountOverlay(dir string, t *overlay.Tree, opt *Options) (*Server, error) {
	return nil, ErrUnsupported
}

// Wait returns immediately.
func (s *Server) Wait() {}

// Unmount returns ErrUnsupported.
func (s *Server) Unmount() error { return ErrUnsupported }
