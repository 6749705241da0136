// Package interop holds tests against layers that other tools write: the Windows
// append of go-containerregistry, BuildKit's differ for Windows layers, and the shape
// of layer that buildpacks' imgutil writes. It is a module of its own so that their
// modules do not weigh on the library's.
//
//	go test -v ./...   # prints the findings of check on each peer's layer
//
// imgutil itself is not a dependency: its module isn't available from every module
// proxy. The tests reproduce the known output of its writer.
//
// The page of "mullion diff --html" is tested here too, in Chromium.
package interop
