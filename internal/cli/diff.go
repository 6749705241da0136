package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mullion/mullion/compare"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/spf13/cobra"
)

// diffFlags are the flags of diff.
type diffFlags struct {
	contentFlags
	files, registry, config bool // compare these, all if none is set
	times                   bool
	ignore                  []string
	noRenames               bool
	only, exclude           []string // globs
	stat, nameOnly          bool
	details, unfold         bool
	html                    string
	force                   bool

	skip   layer.Aspect
	filter pathFilter
}

func newDiffCommand(c *console) *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff A B, or diff --layer N IMAGE",
		Short: "Compare two images, layers, directories or hives",
		Long: `Compare two images as containers see them, two layers, two directories or two
registry hives. A and B are an image, a layer, the path of a directory, or the
path of a hive. With one IMAGE, --layer compares the layer with what lies below
it. Each layer is read once.

Each difference is printed on one line as added, removed, changed or renamed:
first the configuration, then files, then the registry. A summary follows. The
exit status is 0 if there is no difference, 1 if there are differences and 2 if
the comparison failed.

A changed file is followed by the properties that differ: kind, name,
attributes, created, accessed, written, changed, security, eas, reparse,
objectid, size, content, streams, links. --details prints both sides of each.
The four times, and those of registry keys and of the configuration, are
compared with --times only. A file of at least 32 bytes that has another path
is renamed. An added or removed directory or key is one line with the number of
files, keys and values in it; --unfold lists them.

The registry of an image is the base layer's hives with the delta hives of all
layers merged in; the files of hives that are compared in this way are not
compared as files. If both layers have only delta hives, the deltas are
compared.

GLOB matches a path or a directory or key above it, without regard to case: *
any characters of a name, ? one, ** any number of names. A GLOB without a
separator matches names at any depth. Paths of the registry begin with the root
under which Windows has the hive: HKLM\SOFTWARE\Microsoft.

--html writes a page that shows the differences in a browser, without network
access.

` + referenceHelp,
		Example: `  mullion diff oci:layout:v1 oci:layout:v2
  mullion diff --layer 1 oci:layout:v1
  mullion diff --stat --times --ignore security tar:a.tar.gz wclayer:dir
  mullion diff --registry --only 'HKLM\SOFTWARE\Microsoft' oci:dir:1 oci:dir:2
  mullion diff --html changes.html oci:layout:v1 docker://registry/app:2
  mullion diff --json oci:layout:v1 oci:layout:v2 | jq -r .path`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.parse(c, args); err != nil {
				return err
			}
			return f.run(cmd.Context(), c, args)
		},
	}
	f.add(cmd)
	c.addBytes(cmd)
	cmd.Flags().Lookup("layer").Usage = "compare layer `N` of the images, counted from 0 for the base; of one image with what lies below it"
	p := cmd.Flags()
	p.BoolVar(&f.files, "files", false, "compare the files")
	p.BoolVar(&f.registry, "registry", false, "compare the registry")
	p.BoolVar(&f.config, "config", false, "compare the configuration of images")
	p.BoolVar(&f.times, "times", false, "compare times too")
	p.StringSliceVar(&f.ignore, "ignore", nil, "ignore these `PROPERTIES`, for example security,attributes")
	p.BoolVar(&f.noRenames, "no-renames", false, "print a renamed file as removed and added")
	p.StringArrayVar(&f.only, "only", nil, "compare only paths, or keys of the registry, that match `GLOB`; may be repeated")
	p.StringArrayVar(&f.exclude, "exclude", nil, "do not compare paths or keys that match `GLOB`; may be repeated")
	p.BoolVar(&f.stat, "stat", false, "print only how much differs")
	p.BoolVar(&f.nameOnly, "name-only", false, "print only the paths that differ")
	p.BoolVar(&f.details, "details", false, "print both sides of every property that differs")
	p.BoolVar(&f.unfold, "unfold", false, "list all that is in an added or removed directory or key")
	p.StringVar(&f.html, "html", "", "write a page to the new `FILE` instead of printing")
	p.BoolVar(&f.force, "force", false, "replace the file of --html if it exists")
	return cmd
}

// parse checks the flags against each other.
func (f *diffFlags) parse(c *console, args []string) error {
	if err := f.check(args...); err != nil {
		return err
	}
	if !f.files && !f.registry && !f.config {
		f.files, f.registry, f.config = true, true, true
	}
	var err error
	if f.skip, err = parseAspects(f.ignore); err != nil {
		return err
	}
	if !f.times {
		f.skip |= layer.AspectTimes
	}
	if f.filter, err = newPathFilter(f.only, f.exclude); err != nil {
		return err
	}
	modes := 0
	for _, set := range []bool{f.stat, f.nameOnly, f.details, f.html != "", c.json} {
		if set {
			modes++
		}
	}
	switch {
	case len(args) == 1 && f.layer < 0:
		return usagef("diff takes A B; one image needs --layer")
	case len(args) == 2 && args[0] == "tar:-" && args[1] == "tar:-":
		return usagef("standard input is one layer, not two")
	case modes > 1:
		return usagef("--stat, --name-only, --details, --html and --json exclude each other")
	case f.unfold && (f.stat || f.html != "" || c.json):
		return usagef("--unfold has no effect here: all is listed or counted")
	case f.force && f.html == "":
		return usagef("--force is for --html")
	}
	return nil
}

// parseAspects reads the words of --ignore.
func parseAspects(words []string) (layer.Aspect, error) {
	var set layer.Aspect
	for _, w := range words {
		a := layer.AspectTimes
		if w != "times" {
			for a = 1; a <= layer.AspectLinks && a.String() != w; a <<= 1 {
			}
			if a > layer.AspectLinks {
				return 0, usagef("--ignore %s: not a property that is compared", w)
			}
		}
		set |= a
	}
	return set, nil
}

// diffSink receives differences: the configuration first, then files, then the registry.
type diffSink interface {
	config(*compare.ConfigChange) error
	files(*compare.FileChanges) error
	hive(hiveRoot, *compare.HiveChange) error
	end(*diffSummary) error
}

// hiveRoot is the hive that a difference is in.
type hiveRoot struct {
	name  string // SYSTEM and so on, "" for a hive file
	path  string // HKLM\SYSTEM, "" for a hive file
	delta bool
}

// diffSummary counts the differences.
type diffSummary struct {
	Files, Registry, Config          compare.Totals
	Paths, Hives                     int // that were compared
	HasFiles, HasRegistry, HasConfig bool
}

func (s *diffSummary) same() bool {
	return !s.Files.Any() && !s.Registry.Any() && !s.Config.Any()
}

func (f *diffFlags) run(ctx context.Context, c *console, args []string) (err error) {
	thrifty()
	scan := compare.NewScanner(c.limits)
	defer func() { err = errors.Join(err, scan.Close()) }()
	a, b, err := f.openSides(ctx, c, scan, args)
	defer func() { err = errors.Join(err, a.close(), b.close()) }()
	if err != nil {
		return err
	}
	c.stopProgress()
	sum := &diffSummary{}
	work := func(sink diffSink) error {
		if err := f.compare(ctx, c, scan, a, b, sink, sum); err != nil {
			return err
		}
		return sink.end(sum)
	}
	switch f.html {
	case "":
		err = work(f.newPrinter(c))
	case "-":
		err = work(newDiffPage(c, c.out, a.ref, b.ref))
	default:
		err = writeFile(f.html, f.force, func(w io.Writer) error { return work(newDiffPage(c, w, a.ref, b.ref)) })
	}
	if err == nil && f.html != "" && !c.quiet {
		fmt.Fprintf(c.err, "%s: %s\n", visible(f.html), visible(summaryLine(c, sum)))
	}
	if err == nil && !sum.same() {
		err = errFound
	}
	return err
}

func (f *diffFlags) newPrinter(c *console) diffSink {
	if c.json {
		return newDiffJSON(c)
	}
	return newDiffText(c, f)
}

// compare compares what both sides have and offers the differences to sink.
func (f *diffFlags) compare(ctx context.Context, c *console, scan *compare.Scanner, a, b *diffSide, sink diffSink, sum *diffSummary) error {
	if a.hive != nil && b.hive != nil {
		sum.HasRegistry = true
		if err := f.diffHives(ctx, sink, sum, hiveRoot{}, a.hive, b.hive); err != nil {
			return err
		}
		return f.nothingCompared(sum)
	}
	if f.config && len(a.config) > 0 && len(b.config) > 0 && f.filter.empty() {
		list, err := compare.Configs(a.config, b.config, compare.ConfigOptions{Times: f.times})
		if err != nil {
			return err
		}
		sum.HasConfig = true
		for i := range list {
			sum.Config.Count(list[i].Kind)
			if err := sink.config(&list[i]); err != nil {
				return err
			}
		}
	}
	pairs, err := f.hivePairs(ctx, c, a, b)
	if err != nil {
		return err
	}
	if f.files {
		opt := compare.FileOptions{Ignore: f.skip, NoRenames: f.noRenames, Keep: f.filter.keeps}
		if len(pairs) > 0 {
			opt.Keep = func(path string) bool { return f.filter.keeps(path) && !shownAsRegistry(a, b, path, pairs) }
		} else if f.filter.empty() {
			opt.Keep = nil
		}
		list, err := compare.Files(ctx, a.tree, b.tree, opt)
		if err != nil {
			return err
		}
		sum.HasFiles, sum.Files, sum.Paths = true, list.Totals(), list.Compared
		if err := sink.files(list); err != nil {
			return err
		}
	}
	for _, p := range pairs {
		if err := f.diffPair(ctx, sink, sum, a, b, p); err != nil {
			return err
		}
	}
	return f.nothingCompared(sum)
}

// nothingCompared returns an error if "same" would be no answer.
func (f *diffFlags) nothingCompared(sum *diffSummary) error {
	switch {
	case sum.HasConfig || sum.Hives > 0 || sum.Paths > 0:
		return nil
	case !f.filter.empty():
		return hintf(errors.New("no path matches --only and --exclude: nothing was compared"), "paths are as mullion ls -R prints them")
	case f.registry && !f.files:
		return errors.New("neither side has registry hives: nothing was compared")
	case f.config && !f.files:
		return errors.New("only images have a configuration: nothing was compared")
	}
	return nil // two empty trees
}

// shownAsRegistry reports whether a file is a hive whose registry is compared.
func shownAsRegistry(a, b *diffSide, path string, pairs []hivePair) bool {
	n, form, ok := hives.Match(path)
	if !ok || !slices.ContainsFunc(pairs, func(p hivePair) bool { return p.name == n }) {
		return false
	}
	for _, s := range []*diffSide{a, b} {
		if l, ok := s.registry.(*compare.LayerHives); ok && form == hives.Config && l.Ordinary(n) {
			return false
		}
	}
	return true
}

// aspectWords returns the words of a set of properties.
func aspectWords(a layer.Aspect) []string {
	if a == 0 {
		return nil
	}
	return strings.Split(a.String(), ",")
}
