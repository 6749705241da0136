// Package interop holds tests against layers that other tools write: the Windows
// append of go-containerregistry, BuildKit's differ for Windows layers, and the shape
// of layer that buildpacks' imgutil writes. It is a module of its own so that their
// modules do not weigh on the library's.
//
//	go test -v ./...   # prints what check reports on each peer's layer
//
// imgutil itself is not a dependency: its module is not to be had from every module
// proxy. What is tested is what its writer is known to do, made here.
package interop
