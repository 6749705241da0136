// Package arch holds no code, only the test that keeps the floors of the house:
// imports point down, and the ground floor needs nothing but the standard library.
// docs/architecture.md describes the floors.
package arch
