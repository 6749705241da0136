package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/mullion/mullion/regf"
	"github.com/spf13/cobra"
)

// hiveRecovery is the output of "hive recover --json".
type hiveRecovery struct {
	Output        string            `json:"output"`
	Clean         bool              `json:"clean"`
	Format        string            `json:"format,omitempty"`
	Entries       int               `json:"entries"`
	PageRuns      int               `json:"pageRuns"`
	Bytes         int64             `json:"bytes"`
	FirstSequence uint32            `json:"firstSequence"`
	LastSequence  uint32            `json:"lastSequence"`
	BaseBlockFrom string            `json:"baseBlockFrom,omitempty"`
	DummyBins     []int64           `json:"dummyBins,omitempty"` // offsets
	Logs          []hiveRecoveryLog `json:"logs"`
}

type hiveRecoveryLog struct {
	File    string `json:"file"`
	Format  string `json:"format"`
	Found   int    `json:"found"`
	Applied int    `json:"applied"`
	Stop    string `json:"stop,omitempty"`
	Offset  int64  `json:"offset,omitempty"`
}

func newHiveRecoverCommand(c *console, f *hiveFlags) *cobra.Command {
	var out outputFlags
	var deleted bool
	cmd := &cobra.Command{
		Use:   "recover HIVE --log F... -o OUT",
		Short: "Replay the logs of a dirty hive, or list deleted keys",
		Long: `Write the hive as Windows leaves it after replaying its transaction logs,
X.LOG1 and X.LOG2, or the single X.LOG of old systems. Both log formats are
supported. Logs that do not belong to the hive are rejected. A damaged log is
applied up to its last good entry, and the report includes the offset. A clean
hive is copied. A truncated hive is rejected unless the logs contain all
missing parts; "hive repair" saves the rest.

With --deleted no hive is written. Instead, deleted keys and values are listed
that remain in free cells, in unreferenced cells and after the end of the hive.
A key is printed with its full path, which starts with "..." if one of its
parents is gone. Partly overwritten data can look intact, so treat the result
as a trace. --json prints one object per line.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if deleted {
				out.text = true
				return f.listDeleted(cmd.Context(), c, args[0], &out)
			}
			if out.path == "" {
				return usagef("-o OUT is missing")
			}
			image, rep, err := f.recover(cmd.Context(), c, args[0])
			if errors.Is(err, regf.ErrNoUsableLog) && len(f.logs) == 0 {
				return hintf(err, "--log F names a log, repeated: the files X.LOG1 and X.LOG2, or X.LOG, beside the hive X")
			}
			if err != nil {
				return err
			}
			if err := out.write(c, func(w io.Writer) error {
				_, err := w.Write(image)
				return err
			}); err != nil {
				return err
			}
			if out.path == "-" {
				return nil
			}
			return c.printRecovery(f, out.path, rep)
		},
	}
	cmd.Flags().BoolVar(&deleted, "deleted", false, "list deleted keys and values instead")
	out.add(cmd, "the recovered hive, or the list,")
	return cmd
}

func (c *console) printRecovery(f *hiveFlags, output string, rep *regf.Recovery) error {
	if c.json {
		r := hiveRecovery{Output: output, Clean: rep.Clean, Entries: rep.Entries, PageRuns: rep.Pages, Bytes: rep.Bytes,
			FirstSequence: rep.FirstSequence, LastSequence: rep.LastSequence, DummyBins: rep.DummyBins, Logs: []hiveRecoveryLog{}}
		if rep.Format != regf.LogUnknown {
			r.Format = rep.Format.String()
		}
		if rep.BaseBlockFrom >= 0 {
			r.BaseBlockFrom = f.logs[rep.BaseBlockFrom]
		}
		for i, l := range rep.Logs {
			line := hiveRecoveryLog{File: f.logs[i], Format: l.Format.String(), Found: l.Found, Applied: l.Applied}
			if l.Stop != nil {
				line.Stop, line.Offset = l.Stop.Error(), l.Offset
			}
			r.Logs = append(r.Logs, line)
		}
		return c.printJSON(r)
	}
	if rep.Clean {
		return c.printf("the hive is clean: no log was needed\n")
	}
	text := fmt.Sprintf("%d entries of %s format replayed, sequences %d to %d, %d bytes in %d runs of pages\n",
		rep.Entries, rep.Format, rep.FirstSequence, rep.LastSequence, rep.Bytes, rep.Pages)
	if rep.BaseBlockFrom >= 0 {
		text += fmt.Sprintf("base block restored from %s\n", f.logs[rep.BaseBlockFrom])
	}
	for _, off := range rep.DummyBins {
		text += fmt.Sprintf("bin at %#x was damaged in the log and is empty now\n", off)
	}
	for i, l := range rep.Logs {
		if l.Stop != nil {
			text += fmt.Sprintf("%s: %d of %d entries used; at %#x: %v\n", f.logs[i], l.Applied, l.Found, l.Offset, l.Stop)
		}
	}
	return c.printText(text)
}
