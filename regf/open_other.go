//go:build !unix

package regf

const openFlags = 0
