package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/inventory"
	"github.com/spf13/cobra"
)

// updatesReport is the output of "mullion updates --json".
type updatesReport struct {
	Reference string            `json:"reference"`
	Digest    string            `json:"digest,omitempty"`
	Windows   *updatedWindows   `json:"windows,omitempty"`
	Updates   []installedUpdate `json:"updates"`
	Latest    *latestBuild      `json:"latest,omitempty"`
	Skipped   []skippedUpdate   `json:"skipped,omitempty"`
}

// updatedWindows is the Windows of an image. KB and Released are those of the cumulative
// update that makes its version.
type updatedWindows struct {
	Name             string `json:"name"`
	Version          string `json:"version"`
	DisplayVersion   string `json:"displayVersion,omitempty"`
	Edition          string `json:"edition,omitempty"`
	InstallationType string `json:"installationType,omitempty"`
	ProductID        string `json:"productID,omitempty"`
	KB               string `json:"kb,omitempty"`
	Released         string `json:"released,omitempty"`
}

// about returns text such as "Windows Server 2022 Datacenter, 21H2, Server Core".
func (w *updatedWindows) about() string {
	return strings.Join(slices.DeleteFunc([]string{w.Name, w.DisplayVersion, w.InstallationType}, func(s string) bool { return s == "" }), ", ")
}

type installedUpdate struct {
	KB        string          `json:"kb,omitempty"`
	KBSource  string          `json:"kbSource,omitempty"`
	Name      string          `json:"name"`
	Version   string          `json:"version,omitempty"`
	State     inventory.State `json:"state,omitempty"`
	Installed string          `json:"installed,omitempty"`
	Layer     *jsonLayer      `json:"layer,omitempty"`
	Evidence  []string        `json:"evidence"`
}

// state is the state in text: of an update that no package tells, how it is known.
func (u *installedUpdate) state() string {
	if u.State == "" && u.KBSource == "build" {
		return "by build"
	}
	return cmp.Or(string(u.State), "-")
}

// latestBuild is the comparison with --latest. Missing are the cumulative updates after that
// of the image, up to it, as far as they are known.
type latestBuild struct {
	Version string          `json:"version"`
	Behind  bool            `json:"behind"`
	Missing []missingUpdate `json:"missing"`
}

type missingUpdate struct {
	Version  string `json:"version"`
	KB       string `json:"kb"`
	Released string `json:"released,omitempty"`
}

type skippedUpdate struct {
	Evidence string `json:"evidence,omitempty"`
	Reason   string `json:"reason"`
}

func newUpdatesCommand(c *console) *cobra.Command {
	flags := contentFlags{layer: -1}
	var latest string
	cmd := &cobra.Command{
		Use:   "updates IMAGE|LAYER",
		Short: "List the Windows updates that are installed in an image",
		Long: `List the updates of Windows that are installed in an image, or in a layer with
those that --parent names below it, by KB number, with the time of installation
and the layer that brought each one: the servicing packages and hotfixes in its
registry, with the changes of all layers. Superseded packages are not installed.
If no package tells the cumulative update, it is known "by build", where the
list of releases has it.

--latest VERSION tells whether the Windows of the image is behind a build of the
same release, such as 10.0.20348.2762, and lists the cumulative updates between
them that are known. The exit status is 1 if it is behind, 2 after an error.

` + referenceHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := flags.check(args[0]); err != nil {
				return err
			}
			var want *hives.OSVersion
			if cmd.Flags().Changed("latest") {
				v, err := hives.ParseOSVersion(latest)
				if err != nil {
					return usagef("--latest %.40q: not a build of Windows, want four numbers such as 10.0.20348.2762", latest)
				}
				if !v.HasUBR {
					return usagef("--latest: %s has no revision, want four numbers such as 10.0.20348.2762", latest)
				}
				want = &v
			}
			report, err := c.readUpdates(cmd.Context(), &flags, args[0])
			if err != nil {
				return err
			}
			if want != nil {
				if err := report.compare(*want); err != nil {
					return err
				}
			}
			for _, s := range report.Skipped {
				c.warnf("%s is left out: %s", cmp.Or(s.Evidence, "an item"), s.Reason)
			}
			if c.json {
				err = c.printJSON(report)
			} else {
				err = c.printText(report.text())
			}
			if err == nil && report.Latest != nil && report.Latest.Behind {
				err = errFound
			}
			if len(report.Skipped) > 0 {
				err = errors.Join(err, errPartial)
			}
			return err
		},
	}
	flags.image.add(cmd)
	flags.options.addParents(cmd)
	cmd.Flags().StringVar(&latest, "latest", "", "exit with 1 if the image is behind the build `VERSION`")
	return cmd
}

// readUpdates reads the updates of an image or a layer.
func (c *console) readUpdates(ctx context.Context, flags *contentFlags, ref string) (*updatesReport, error) {
	inv, subject, err := flags.inventory(ctx, c, ref, inventory.WithCatalogers("windows", "servicing"))
	if err != nil {
		return nil, err
	}
	return newUpdatesReport(subject, inv), nil
}

func newUpdatesReport(s inventory.Subject, inv *inventory.Inventory) *updatesReport {
	r := &updatesReport{Reference: s.Name, Digest: s.Digest, Updates: []installedUpdate{}}
	for i := range inv.Components {
		x := &inv.Components[i]
		switch x.Kind {
		case inventory.OS:
			r.Windows = &updatedWindows{Name: x.Name, Version: x.Version, DisplayVersion: x.Property("displayVersion"),
				Edition: x.Property("edition"), InstallationType: x.Property("installationType"), ProductID: x.ProductID}
			if v, err := hives.ParseOSVersion(x.Version); err == nil && v.HasUBR {
				if known, ok := inventory.FindRelease(v.Build, v.UBR); ok && strings.Contains(x.PURL, "server") {
					r.Windows.KB, r.Windows.Released = known.KB, dateOf(known.Released)
				}
			}
		case inventory.Update:
			u := installedUpdate{KB: x.KB, KBSource: x.Property("kbSource"), Name: x.Name, Version: x.Version, State: x.State, Evidence: []string{}}
			if !x.Installed.IsZero() {
				u.Installed = x.Installed.UTC().Format(time.RFC3339)
			}
			if n := x.Layer(); n >= 0 {
				u.Layer = &jsonLayer{Index: n}
				if n < len(s.Layers) {
					u.Layer.Digest = s.Layers[n].Digest
				}
			}
			for _, e := range x.Evidence {
				u.Evidence = append(u.Evidence, e.String())
			}
			r.Updates = append(r.Updates, u)
		}
	}
	slices.SortStableFunc(r.Updates, func(a, b installedUpdate) int { return cmp.Compare(b.KB, a.KB) })
	for _, s := range inv.Skipped {
		r.Skipped = append(r.Skipped, skippedUpdate{s.Evidence.String(), s.Reason})
	}
	return r
}

func dateOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// compare compares the Windows of the image with a build of the same release.
func (r *updatesReport) compare(want hives.OSVersion) error {
	if r.Windows == nil {
		return fmt.Errorf("--latest: %w", hives.ErrNoVersion)
	}
	got, err := hives.ParseOSVersion(r.Windows.Version)
	if err != nil {
		return fmt.Errorf("--latest: %w", err)
	}
	if !got.HasUBR {
		return fmt.Errorf("--latest: the Windows of the image, %s, names no revision", r.Windows.Version)
	}
	if got.Major != want.Major || got.Minor != want.Minor || got.Build != want.Build {
		return usagef("--latest: %s is of another release than the Windows of the image, %s", want, r.Windows.Version)
	}
	r.Latest = &latestBuild{Version: want.String(), Behind: got.UBR < want.UBR, Missing: []missingUpdate{}}
	for _, x := range inventory.Releases(got.Build) {
		if got.UBR < x.UBR && x.UBR <= want.UBR {
			v := want
			v.UBR = x.UBR
			r.Latest.Missing = append(r.Latest.Missing, missingUpdate{v.String(), x.KB, dateOf(x.Released)})
		}
	}
	return nil
}

// maxMissing is the number of missing updates that are listed as text, the newest ones.
const maxMissing = 12

// text formats the report for people.
func (r *updatesReport) text() string {
	var b strings.Builder
	if w := r.Windows; w != nil {
		fmt.Fprintf(&b, "%s  %s\n", visible(w.Version), visible(w.about()))
		if w.KB != "" {
			fmt.Fprintf(&b, "%s%s\n", w.KB, releasedOn(w.Released))
		}
	}
	wide := 0
	for _, u := range r.Updates {
		wide = max(wide, len(u.state()))
	}
	for i, u := range r.Updates {
		if i == 0 {
			fmt.Fprintf(&b, "\n%-9s  %-10s  %-*s  %5s  PACKAGE\n", "KB", "INSTALLED", max(wide, 5), "STATE", "LAYER")
		}
		layer := "-"
		if u.Layer != nil {
			layer = fmt.Sprint(u.Layer.Index)
		}
		installed := "-"
		if len(u.Installed) >= len(time.DateOnly) {
			installed = u.Installed[:len(time.DateOnly)]
		}
		fmt.Fprintf(&b, "%-9s  %-10s  %-*s  %5s  %s\n", cmp.Or(u.KB, "-"), installed, max(wide, 5), u.state(), layer, visible(strings.TrimSpace(u.Name+" "+u.Version)))
	}
	if len(r.Updates) == 0 {
		b.WriteString("no updates are recorded\n")
	}
	if l := r.Latest; l != nil {
		b.WriteString("\n" + l.text())
	}
	return b.String()
}

func (l *latestBuild) text() string {
	if !l.Behind {
		return "not behind " + l.Version + "\n"
	}
	var b strings.Builder
	switch n := len(l.Missing); {
	case n == 0:
		fmt.Fprintf(&b, "behind %s; no update between them is known\n", l.Version)
	case n == 1:
		fmt.Fprintf(&b, "behind %s by 1 known update:\n", l.Version)
	default:
		fmt.Fprintf(&b, "behind %s by %d known updates:\n", l.Version, n)
	}
	list := l.Missing
	if more := len(list) - maxMissing; more > 0 {
		fmt.Fprintf(&b, "%s not listed; --json lists all\n", count(more, "older update"))
		list = list[more:]
	}
	for _, m := range list {
		fmt.Fprintf(&b, "%s  %s%s\n", m.Version, m.KB, releasedOn(m.Released))
	}
	return b.String()
}

func releasedOn(date string) string {
	if date == "" {
		return ""
	}
	return ", released " + date
}
