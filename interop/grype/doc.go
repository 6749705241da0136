// Package grype holds the test that Grype finds the vulnerabilities of a Windows image in the
// bills of materials that package inventory writes. It is a module of its own: Grype's library
// links more modules than everything else here together.
package grype
