package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/finding/report"
	"github.com/mullion/mullion/internal/ctxio"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/spf13/cobra"
)

// newCIMCommand returns "mullion cim", the group of commands for CimFS images.
func newCIMCommand(c *console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cim",
		Short: "Read, write, fork, check and rewrite CimFS images",
		Long: `A CimFS image is the composite image in which Windows stores a container layer.
IMAGE.cim is the small file that names the others: its region_* and objectid_*
files, and those of the images it was forked from, are in the same directory.

Formats 1, 2 and 3 are read; formats 3 (default) and 1 are written. Block,
verified and merged images are rejected because their encoding is not public.`,
	}
	cmd.AddCommand(newCIMInfoCommand(c), newCIMListCommand(c), newCIMCatCommand(c), newCIMCheckCommand(c),
		newCIMCreateCommand(c), newCIMExtractCommand(c), newCIMForkCommand(c), newCIMRewriteCommand(c))
	return cmd
}

// insidePath converts a path inside an image or layer to the form of layer entries:
// backslashes as separators and none at the ends.
func insidePath(arg string) string { return strings.Trim(strings.ReplaceAll(arg, "/", `\`), `\`) }

// cimInfo is the output of "cim info --json".
type cimInfo struct {
	Name    string       `json:"name"`
	Version int          `json:"version"`
	GUID    string       `json:"guid"`
	Files   int64        `json:"files"`
	Root    uint32       `json:"root"`
	Upcase  string       `json:"upcase"`
	Parents []cimSet     `json:"parents"`
	Regions []cimRegions `json:"regions"`
	Bytes   int64        `json:"bytes"`
}

type cimSet struct {
	GUID    string `json:"guid"`
	Regions int    `json:"regions"`
}

type cimRegions struct {
	Index int    `json:"index"`
	Name  string `json:"name"`
	Own   bool   `json:"own"`
	Type  string `json:"type"`
	Size  int64  `json:"size"`
}

func newCIMInfoCommand(c *console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "info IMAGE.cim",
		Short: "Show the header, the versions and the regions of an image",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			im, err := openCIM(cmd.Context(), args[0], nil)
			if err != nil {
				return err
			}
			defer im.Close()
			info, err := describeCIM(im)
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(info)
			}
			return c.printCIM(info)
		},
	}
	c.addBytes(cmd)
	return cmd
}

func describeCIM(im *cimfs.Image) (*cimInfo, error) {
	info := &cimInfo{Name: im.Name(), Version: int(im.Version()), GUID: im.GUID().String(), Files: im.NumFiles(),
		Root: uint32(im.RootID()), Upcase: "other", Parents: []cimSet{}}
	standard, err := im.StandardUpcase()
	if err != nil {
		return nil, err
	}
	if standard {
		info.Upcase = "standard"
	}
	for _, p := range im.Parents() {
		info.Parents = append(info.Parents, cimSet{p.GUID.String(), p.Count})
	}
	regions, err := im.Regions()
	if err != nil {
		return nil, err
	}
	for _, r := range regions {
		info.Regions = append(info.Regions, cimRegions{r.Index, r.Name, r.Own, r.Type.String(), r.Size})
		if r.Own {
			info.Bytes += r.Size
		}
	}
	return info, nil
}

func (c *console) printCIM(info *cimInfo) error {
	var b strings.Builder
	row := func(name string, format string, a ...any) { appendRow(&b, name, format, a...) }
	row("image", "%s", info.Name)
	row("format", "%d.0", info.Version)
	row("GUID", "%s", info.GUID)
	row("records", "%d, root %d", info.Files, info.Root)
	row("upcase", "%s table", info.Upcase)
	for _, p := range info.Parents {
		row("parent", "%s, %d regions", p.GUID, p.Regions)
	}
	for _, r := range info.Regions {
		label := "region"
		if !r.Own {
			label = "parent's" // and not a column: a name is 45 columns wide
		}
		row(label, "%-10s %10s %s", r.Type, c.size(r.Size), r.Name)
	}
	return c.printText(b.String())
}

func newCIMCatCommand(c *console) *cobra.Command {
	var out outputFlags
	cmd := &cobra.Command{
		Use:   "cat IMAGE.cim PATH[:STREAM]",
		Short: "Print a file or an alternate data stream",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			im, err := openCIM(cmd.Context(), args[0], nil)
			if err != nil {
				return err
			}
			defer im.Close()
			s, err := findStream(im, args[1])
			if err != nil {
				return about(args[0], err)
			}
			return out.write(c, func(w io.Writer) error {
				_, err := io.Copy(w, ctxio.Reader(cmd.Context(), s.Reader()))
				return err
			})
		},
	}
	out.add(cmd, "the content")
	return cmd
}

// findStream returns the stream named by PATH or PATH:STREAM.
func findStream(im *cimfs.Image, arg string) (*cimfs.Stream, error) {
	path, name, alternate := winfs.CutStream(insidePath(arg))
	f, err := im.Lookup(path)
	if err != nil {
		return nil, err
	}
	if !alternate || name == "" {
		return mainStream(f, path)
	}
	all, err := f.Streams()
	if err != nil {
		return nil, err
	}
	var known []string
	for _, s := range all {
		if winfs.EqualFold(s.Name(), name) {
			return s, nil
		}
		known = append(known, s.Name())
	}
	err = errors.New("no stream " + name)
	if len(known) > 0 {
		return nil, hintf(err, "it has %s", strings.Join(known, ", "))
	}
	return nil, err
}

// mainStream returns the content of a file. For a directory or a link it returns an
// error with the kind of the entry and the target of the link.
func mainStream(f *cimfs.File, path string) (*cimfs.Stream, error) {
	if f.IsDir() {
		return nil, fmt.Errorf("%s is a directory", path)
	}
	s, err := f.Data()
	if err != nil || s.Size() > 0 {
		return s, err
	}
	b, err := f.Reparse()
	if err != nil || len(b) == 0 {
		return s, err
	}
	target := ""
	if p, err := winfs.ParseReparse(b); err == nil {
		target = p.Target()
	}
	return nil, fmt.Errorf("%s is a link to %q", path, target)
}

func newCIMCheckCommand(c *console) *cobra.Command {
	var opts cimfs.CheckOptions
	var check checkFlags
	cmd := &cobra.Command{
		Use:   "check IMAGE.cim",
		Short: "Verify an image against every rule of the format",
		Long: `Verify the conditions that the CimFS driver checks and the properties that all
genuine images share. Each fault is printed on one line: severity, rule, file,
path, offset, explanation. "check cim:IMAGE.cim" also verifies the layer in the
image. --limit accepts only entries, which bounds the files and names.

` + severityHelp + `

` + reportHelp + `

Infos report peculiarities of images that Microsoft's own library writes.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, _, err := check.options(c)
			if err != nil {
				return err
			}
			opts.Severity = o.Severity
			limits, err := cimLimits(c.limits)
			if err != nil {
				return err
			}
			dir, name := splitFile(args[0])
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				return plain(err) // a missing file is an error, not a finding
			}
			bar := c.progress("read", 0)
			defer bar.done()
			return about(args[0], check.run(c, report.Subject{Name: args[0], URI: fileURI(args[0])}, cimfs.CheckFiles(cmd.Context(), &cimFiles{cmd.Context(), dir, bar}, name, limits, opts)))
		},
	}
	cmd.Flags().BoolVar(&opts.SkipContent, "skip-content", false, "do not read the content of files")
	check.add(cmd)
	return cmd
}

// cimLimits converts l for commands that read an image only, and rejects all limits but
// Entries.
func cimLimits(l layer.Limits) (cimfs.Limits, error) {
	if (l != layer.Limits{Entries: l.Entries}) {
		return cimfs.Limits{}, usagef("--limit: only entries applies to a CimFS image")
	}
	return imageLimits(l), nil
}

// imageLimits returns the limits of l that apply to images.
func imageLimits(l layer.Limits) cimfs.Limits {
	if l.Entries == 0 {
		return cimfs.Limits{} // its defaults
	}
	n := l.WithDefaults().Entries
	return cimfs.Limits{Files: n, Entries: n}
}
