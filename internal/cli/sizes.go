package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// addBytes defines --bytes on a command that prints sizes with console.size.
func (c *console) addBytes(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.bytes, "bytes", false, "print sizes in bytes instead of KiB, MiB and GiB")
}

// size formats a number of bytes as people read it, or exactly with --bytes.
func (c *console) size(n int64) string {
	if c.bytes {
		return fmt.Sprint(n)
	}
	return formatSize(n)
}

// formatSize formats a number of bytes with one decimal and a binary unit: "36 B",
// "1.5 KiB", "1024.0 KiB" is "1.0 MiB".
func formatSize(n int64) string {
	if -1024 < n && n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, units := float64(n), []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	for i, unit := range units {
		f /= 1024
		if text := fmt.Sprintf("%.1f", f); text != "1024.0" && text != "-1024.0" && -1024 < f && f < 1024 || i == len(units)-1 {
			return text + " " + unit
		}
	}
	return ""
}
