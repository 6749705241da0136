//go:build !unix && !windows

package cli

// hardLinks returns 1, because the system does not report the number of hard links.
func hardLinks(string) (uint64, error) { return 1, nil }
