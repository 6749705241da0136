package cli

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/finding/report"
	"github.com/mullion/mullion/image"
	"github.com/spf13/cobra"
)

// checkFlags are the flags that all checks share.
type checkFlags struct {
	severity string
	failOn   string
	format   string
	ignore   []string
	config   string
	noConfig bool
	all      bool
	layers   layerNames // of the images that are checked
}

func (f *checkFlags) add(cmd *cobra.Command) {
	f.severity = finding.Warning.String()
	flags := cmd.Flags()
	flags.StringVar(&f.severity, "severity", f.severity, "lowest `SEVERITY` to report: info, warning or error")
	flags.StringVar(&f.failOn, "fail-on", "", "lowest `SEVERITY` that makes the exit status 1: info, warning, error or never (default: every finding that is reported)")
	flags.StringVar(&f.format, "format", "text", "print the findings as `FORMAT`: text, json, sarif or junit")
	flags.StringArrayVar(&f.ignore, "ignore", nil, "ignore findings of `RULE[:PATH]`, PATH with *, ** and ?; may be repeated")
	flags.StringVar(&f.config, "config", "", "read "+configName+" from `FILE`")
	flags.BoolVar(&f.noConfig, "no-config", false, "do not read "+configName)
	flags.BoolVar(&f.all, "all", false, "print every finding, however many a rule has")
}

const severityHelp = `An error causes Windows or another reader to reject the input, or loses data. A
warning is known to cause trouble. An info is a peculiarity, reported only with
--severity info. The exit status is 1 if anything was reported, or anything from
--fail-on upwards. A summary is printed on standard error.`

const reportHelp = `--format sarif prints SARIF 2.1.0, which code hosts show, and junit the XML that
build servers read, with a test suite for each layer. Of each rule 50 findings
are printed and the others counted, 1000 in SARIF, unless --all is given; JSON
has all.

--ignore and the file .mullion.yaml in the working directory excuse findings:

  fail-on: error
  ignore:
    - rule: link-target-missing
      path: Files/app/**
      reason: the base image has the target

A path is that of the finding, without regard to case: * stands for any
characters of a name, ** for names too, ? for one character.`

// perRule is the number of findings of one rule that are printed without --all. Code hosts
// tell by the list of results which findings are new and which are gone, and take several
// thousand of them.
var perRule = map[string]int64{"text": 50, "json": 0, "sarif": 1000, "junit": 50}

// options checks the flags and returns the options of a report.
func (f *checkFlags) options(c *console) (o report.Options, format string, err error) {
	if o.Severity, err = parseSeverity(f.severity); err != nil {
		return o, "", err
	}
	format = f.format
	if c.json {
		if format != "text" && format != "json" {
			return o, "", usagef("--json and --format %s: choose one", format)
		}
		format = "json"
	}
	n, ok := perRule[format]
	switch {
	case !ok:
		return o, "", usagef("--format %s: want text, json, sarif or junit", format)
	case f.all && format == "junit":
		return o, "", usagef("--all has no effect on --format junit, which is written when the check has ended")
	case !f.all:
		o.PerRule = n
	}
	config, err := f.readConfig()
	if err != nil {
		return o, "", err
	}
	o.FailOn = config.failOn
	if f.failOn != "" {
		if o.FailOn, err = parseFailOn(f.failOn); err != nil {
			return o, "", usagef("--fail-on %v", err)
		}
	}
	for _, s := range f.ignore {
		x, err := parseIgnore(s)
		if err != nil {
			return o, "", hintf(usagef("--ignore %s: %v", s, err), "%s", rulesHint)
		}
		o.Ignores = append(o.Ignores, x)
	}
	o.Ignores = append(o.Ignores, config.ignores...)
	return o, format, nil
}

const rulesHint = "mullion check --rules lists the rules"

// parseIgnore parses RULE[:PATH].
func parseIgnore(s string) (*report.Ignore, error) {
	rule, path, _ := strings.Cut(s, ":")
	if err := knownRule(rule); err != nil {
		return nil, err
	}
	return report.NewIgnore(rule, path, "--ignore "+s, "--ignore "+s)
}

// run prints the findings of a check of a subject, and fails with errFound if one of them
// fails.
func (f *checkFlags) run(c *console, subject report.Subject, check iter.Seq2[finding.Finding, error]) error {
	o, format, err := f.options(c)
	if err != nil {
		return err
	}
	doc := report.Document{Subject: subject, Rules: allRules(), Version: buildVersion(version, revision, nil).Version, FailOn: o.FailOn}
	if doc.FailOn == 0 {
		doc.FailOn = o.Severity
	}
	var w report.Writer
	switch format {
	case "sarif":
		w = report.NewSARIF(c.out, doc)
	case "junit":
		w = report.NewJUnit(c.out, doc)
	default:
		w = &lineWriter{c, format == "json", f.layers}
	}
	sum, err := report.New(w, o).Run(namingLimits(check))
	if err != nil {
		return err
	}
	c.stopProgress()
	for _, x := range o.Ignores {
		if x.Used() == 0 {
			of := "" // an Ignore of the command line has itself as its origin
			if !strings.HasSuffix(x.Origin, x.String()) {
				of = " of " + x.String()
			}
			c.warnf("%s: no finding%s was there to ignore", x.Origin, of)
		}
	}
	if !c.quiet && format != "json" {
		fmt.Fprintf(c.err, "%s: %s\n", visible(subjectName(subject)), sum)
	}
	if sum.Failing > 0 {
		return errFound
	}
	return nil
}

// subjectName returns what was checked, for the summary.
func subjectName(s report.Subject) string {
	switch n := len(s.Layers); n {
	case 0:
		return s.Name
	case 1:
		return s.Name + ", 1 layer"
	default:
		return fmt.Sprintf("%s, %d layers", s.Name, n)
	}
}

// lineWriter prints each finding on a line, as text or JSON, without those that are ignored.
type lineWriter struct {
	c      *console
	json   bool
	layers layerNames
}

// Finding implements report.Writer.
func (w *lineWriter) Finding(f finding.Finding, ignored *report.Ignore) error {
	switch {
	case ignored != nil:
		return nil
	case w.json:
		return w.c.printJSONLine(w.layers.finding(f))
	}
	return w.c.printText(wrapWords(visible(f.String()), w.c.width) + "\n")
}

// Close implements report.Writer.
func (w *lineWriter) Close(s *report.Summary, _ error) error {
	for _, m := range s.More {
		if err := w.c.printf("… and %s; --all prints them\n", m.String()); err != nil {
			return err
		}
	}
	return nil
}

func parseSeverity(s string) (finding.Severity, error) {
	for _, v := range finding.Severities() {
		if v.String() == s {
			return v, nil
		}
	}
	return 0, usagef("--severity %s: want %v, %v or %v", s, finding.Info, finding.Warning, finding.Error)
}

// parseFailOn parses the value of --fail-on.
func parseFailOn(s string) (finding.Severity, error) {
	if s == "never" {
		return report.Never, nil
	}
	for _, v := range finding.Severities() {
		if v.String() == s {
			return v, nil
		}
	}
	return 0, fmt.Errorf("%s: want %v, %v, %v or never", s, finding.Info, finding.Warning, finding.Error)
}

func newCheckCommand(c *console) *cobra.Command {
	flags := contentFlags{layer: -1}
	var check checkFlags
	var fix fixFlags
	var rules, quick bool
	cmd := &cobra.Command{
		Use:   "check IMAGE|LAYER",
		Short: "Report the faults of an image or a layer",
		Long: `Read all of an image or a layer and verify the rules for its format, tree,
metadata and registry. Each fault is printed on one line: severity, rule,
layer, path, offset, explanation.

` + severityHelp + `

` + reportHelp + `

--rules prints the rules instead, from --severity upwards if it is given:
format, severity, the effect of a violation on Windows, how to repair it, and
what --fix changes.

--quick looks at the entries of an image and not at what is in the files: hives
and programs are not opened. It is for images, and takes a moment once each
layer has an index in the cache; a layer without one is read to its end, which
verifies its digests and leaves the index. A layer with an index is not read, so
damage of its blob is not found. --host goes by os.version alone.

--parent names the layers below a layer. The rules about them then hold too:
links into them, whiteouts of what they do not have, a utility VM that they
lack, hives that cannot be merged with theirs. Their own faults are not
reported. A layer image from a store written by "unpack" is recognised: it
includes the layers below it and a merged registry.

--platform of a layer, such as windows/amd64, has its programs and drivers
checked for that architecture, and, with --base or --parent, the build of a
version such as windows(10.0.20348)/amd64 compared with that in the registry.
An image says both itself.

` + fixHelp + `

` + referenceHelp,
		Args: func(cmd *cobra.Command, args []string) error {
			if rules {
				if len(args) > 0 {
					return usagef("--rules prints the rules of all checks, and takes no IMAGE or LAYER")
				}
				return nil
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if rules {
				return check.printRules(c, cmd.Flags().Changed("severity"))
			}
			if _, _, err := check.options(c); err != nil {
				return err
			}
			ref, isLayer := parseLayerRef(args[0])
			if isLayer && flags.image.platform != "" {
				p, err := image.ParsePlatform(flags.image.platform)
				if err != nil {
					return usagef("--platform: %v", err)
				}
				if p.OS != "windows" || p.Architecture != "" && !image.HasMachines(p.Architecture) {
					return usagef("--platform %s: want windows with one of the architectures that Windows has, such as windows/amd64", flags.image.platform)
				}
				if p.OSVersion != "" && !flags.options.base && len(flags.options.parents) == 0 {
					return usagef("--platform with a version is compared with the registry of a base layer, or of all layers: --base or --parent is missing")
				}
				flags.options.platform, flags.image.platform = p, ""
			}
			if err := flags.check(args[0]); err != nil {
				return err
			}
			if err := fix.check(&check, args[0]); err != nil {
				return err
			}
			flags.options.limits = c.limits
			subject := report.Subject{Name: args[0], URI: referenceURI(args[0])}
			switch {
			case quick && isLayer:
				return usagef("--quick is for images, %s is a layer", args[0])
			case quick && fix.on:
				return usagef("--quick and --fix: choose one")
			}
			if isLayer {
				if f, ok := sniff(ref.name); ok && ref.format == tarFormat && slices.Contains(imageSchemes, f.scheme) {
					c.warnf("%s is an image, %s:%s, and is read as a layer", args[0], f.scheme, ref.name)
				}
				if fix.on {
					return fix.layer(cmd.Context(), c, &check, ref, &flags.options)
				}
				return check.run(c, subject, ref.check(cmd.Context(), c, &flags.options))
			}
			img, err := flags.image.open(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			defer img.Close()
			if fix.on {
				return fix.image(cmd.Context(), c, &check, &flags.image, img)
			}
			subject = check.subjectOf(args[0], img)
			opts, err := fix.checkOptions()
			if err != nil {
				return err
			}
			if quick {
				opts = append(opts, image.CheckQuick())
			}
			return check.run(c, subject, img.Check(cmd.Context(), append(opts, image.CheckLimits(c.limits))...))
		},
	}
	flags.image.add(cmd)
	flags.options.addParents(cmd)
	cmd.Flags().BoolVar(&flags.options.base, "base", false, "check the layer as a base layer, one without parents")
	cmd.Flags().BoolVar(&rules, "rules", false, "print the rules of all checks and exit")
	cmd.Flags().BoolVar(&quick, "quick", false, "look at the entries of an image alone, by its indexes in the cache")
	check.add(cmd)
	fix.add(cmd)
	return cmd
}
