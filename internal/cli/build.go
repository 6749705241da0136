package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mullion/mullion/build/dockerfile"
	"github.com/mullion/mullion/build/offline"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/spf13/cobra"
)

// buildFlags are the flags of "build".
type buildFlags struct {
	image    imageFlags
	file     string
	tag      string
	args     []string
	contexts []string
	target   string
	labels   []string
	output   string
	force    bool
	commands bool
}

func newBuildCommand(c *console) *cobra.Command {
	var flags buildFlags
	cmd := &cobra.Command{
		Use:   "build CONTEXT",
		Short: "Build an image from a Dockerfile, without Windows",
		Long: `Build a Windows image from the Dockerfile in the directory CONTEXT and write it
to the reference that -o names. No container is started: files are copied with
the descriptors that Windows would give them, and a RUN is carried out on the
files and the registry of the image, as far as its commands are in the table
that --commands prints. Any other command is an error with its line: run it in
a stage elsewhere and copy its result with COPY --from, of an image or of a
--build-context.

-f names another Dockerfile, -f - reads it from standard input. A file
FILE.dockerignore beside it takes precedence over .dockerignore in CONTEXT.
Links in the context that lead out of it are errors. What FROM names is an image
in a registry, or a reference as below; --build-context NAME=DIR or NAME=IMAGE
gives a name to another directory or image. --platform chooses the base images
and is the platform of an image FROM scratch.

Times come from the files, from the base image and from the environment
variable SOURCE_DATE_EPOCH, with which files are at most that old: the same
input gives the same digest. It is printed; a docker archive has none. Nothing
is written before the whole Dockerfile was carried out.

` + imageHelp,
		Args: func(cmd *cobra.Command, args []string) error {
			if flags.commands {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.commands {
				return printCommands(c)
			}
			return flags.run(cmd.Context(), c, args[0])
		},
	}
	flags.image.add(cmd)
	f := cmd.Flags()
	f.StringVarP(&flags.file, "file", "f", "", "read the Dockerfile `FILE`, - for standard input (default CONTEXT/Dockerfile)")
	f.StringVarP(&flags.output, "output", "o", "", "write the image to the reference `IMAGE`")
	f.StringVarP(&flags.tag, "tag", "t", "", "the tag or `NAME` of the image in a layout or archive")
	f.StringArrayVar(&flags.args, "build-arg", nil, "set the value of an ARG, `NAME=VALUE`, or NAME for that of the environment; may be repeated")
	f.StringArrayVar(&flags.contexts, "build-context", nil, "a directory or image that FROM and COPY --from find by name, `NAME=DIR|IMAGE`; may be repeated")
	f.StringVar(&flags.target, "target", "", "build the `STAGE` of this name or number instead of the last one")
	f.StringArrayVar(&flags.labels, "label", nil, "add a label, `NAME=VALUE`; may be repeated")
	f.BoolVar(&flags.force, "force", false, "replace an existing archive")
	f.BoolVar(&flags.commands, "commands", false, "print the commands that a RUN can have")
	return cmd
}

func (f *buildFlags) run(ctx context.Context, c *console, dir string) (err error) {
	if f.output == "" {
		return usagef("-o is missing: the reference to write the image to")
	}
	opt, err := f.options(c)
	if err != nil {
		return err
	}
	var opened []io.Closer
	defer func() {
		for _, x := range opened {
			err = errors.Join(err, x.Close())
		}
	}()
	if err := checkContext(dir); err != nil {
		return err
	}
	opt.Context = dir
	if err := f.addContexts(&opt); err != nil {
		return err
	}
	if opened, err = f.dockerfile(c, dir, &opt); err != nil {
		return err
	}
	done, err := dockerfile.Build(ctx, opt)
	c.stopProgress()
	if err != nil {
		return c.buildError(f.output, err)
	}
	return f.print(c, done)
}

// checkContext refuses a build context that is no directory.
func checkContext(dir string) error {
	st, err := os.Stat(dir)
	if err == nil && !st.IsDir() {
		err = hintf(fmt.Errorf("it is no directory"), "-f FILE names a Dockerfile, CONTEXT the directory with the files that it copies")
	}
	return about(dir, err)
}

// options converts the flags that need no file.
func (f *buildFlags) options(c *console) (opt dockerfile.Options, err error) {
	if opt.Image, err = f.image.options(c); err != nil {
		return opt, err
	}
	opt.Image = append(opt.Image, c.layerProgress())
	opt.Limits, opt.Replace, opt.Target = c.limits, f.force, f.target
	if f.image.platform != "" {
		if opt.Platform, err = image.ParsePlatform(f.image.platform); err != nil {
			return opt, usagef("--platform: %v", err)
		}
	}
	if opt.Args, err = f.buildArgs(); err != nil {
		return opt, err
	}
	opt.Labels = map[string]string{}
	for _, l := range f.labels {
		name, value, _ := strings.Cut(l, "=")
		if name == "" {
			return opt, usagef("--label %s: want NAME=VALUE", l)
		}
		opt.Labels[name] = value
	}
	if opt.Output, err = f.outputReference(); err != nil {
		return opt, err
	}
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		sec, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil || sec < 0 || sec > 253402300799 {
			return opt, usagef("SOURCE_DATE_EPOCH=%s: not a number of seconds", epoch)
		}
		opt.Epoch = time.Unix(sec, 0).UTC()
	}
	opt.Warn = func(w dockerfile.Warning) { c.warnf("%v", w) }
	opt.Progress = func(s dockerfile.Step) { c.buildStep(s) }
	return opt, nil
}

func (f *buildFlags) buildArgs() (map[string]string, error) {
	args := map[string]string{}
	for _, a := range f.args {
		name, value, given := strings.Cut(a, "=")
		if name == "" {
			return nil, usagef("--build-arg %s: want NAME=VALUE", a)
		}
		if !given {
			if value, given = os.LookupEnv(name); !given {
				continue
			}
		}
		args[name] = value
	}
	return args, nil
}

// outputReference adds -t to the reference of -o, which is then of a layout or archive and
// has no name.
func (f *buildFlags) outputReference() (string, error) {
	if f.tag == "" {
		return f.output, nil
	}
	scheme, rest, _ := strings.Cut(f.output, ":")
	ref, err := image.ParseReference(f.output)
	switch {
	case err != nil:
		return "", about(f.output, err)
	case scheme != image.Layout && scheme != image.OCIArchive && scheme != image.DockerArchive:
		return "", usagef("-t names an image in a layout or archive; %s has its name already", f.output)
	case ref.Name != "" || ref.Digest != "":
		return "", usagef("-t %s: %s has a name already", f.tag, f.output)
	}
	return scheme + ":" + strings.TrimSuffix(rest, ":") + ":" + f.tag, nil
}

// addContexts converts --build-context.
func (f *buildFlags) addContexts(opt *dockerfile.Options) error {
	opt.Contexts = map[string]dockerfile.Context{}
	for _, text := range f.contexts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" || value == "" {
			return usagef("--build-context %s: want NAME=DIR or NAME=IMAGE", text)
		}
		if st, err := os.Stat(value); err == nil && st.IsDir() {
			opt.Contexts[name] = dockerfile.Context{Dir: value}
			continue
		}
		// The forms of docker buildx.
		if layout, ok := strings.CutPrefix(value, "oci-layout://"); ok {
			value = image.Layout + ":" + layout
		}
		value = strings.TrimPrefix(value, "docker-image://")
		if namesFile(value) {
			return nameHint("build", value, about("--build-context "+name, fmt.Errorf("%s: %w", value, errNamesFile)))
		}
		opt.Contexts[name] = dockerfile.Context{Image: value}
	}
	return nil
}

// dockerfile opens the Dockerfile and, where there is one of its own, its ignore file.
func (f *buildFlags) dockerfile(c *console, dir string, opt *dockerfile.Options) (opened []io.Closer, err error) {
	name := f.file
	switch name {
	case "-":
		opt.Name, opt.Dockerfile = "Dockerfile", c.in
		return nil, nil
	case "":
		opt.Name, name = "Dockerfile", filepath.Join(dir, "Dockerfile")
	default:
		opt.Name = filepath.Base(name)
	}
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) && f.file == "" {
		return nil, hintf(about(dir, errors.New("it has no Dockerfile")), "-f FILE names one")
	}
	if err != nil {
		return nil, about(name, err)
	}
	opt.Dockerfile, opened = file, []io.Closer{file}
	ignore, err := os.Open(name + ".dockerignore")
	if errors.Is(err, fs.ErrNotExist) {
		return opened, nil
	}
	if err != nil {
		return opened, about(name+".dockerignore", err)
	}
	opt.Ignore = ignore
	return append(opened, ignore), nil
}

// buildStep prints a step as a line on a terminal, and with --verbose.
func (c *console) buildStep(s dockerfile.Step) {
	if c.quiet || c.json || !c.errTerminal && !c.verbose {
		return
	}
	fmt.Fprintf(c.err, "%s\n", visible(fmt.Sprintf("[%s %d/%d] %s", s.Stage, s.Index, s.Total, s.Instruction)))
}

// buildError prints the lines around an error in the Dockerfile, and adds its advice.
func (c *console) buildError(output string, err error) error {
	var e *dockerfile.Error
	if !errors.As(err, &e) {
		var already *image.DestinationError
		if errors.As(err, &already) || errors.Is(err, fs.ErrExist) {
			return existsHint(about(output, err))
		}
		return imageHint(nameHint("build", output, err))
	}
	if !c.quiet && !c.json {
		for line := range strings.Lines(e.Excerpt()) {
			fmt.Fprintf(c.err, "%s\n", visible(strings.TrimRight(line, "\n")))
		}
	}
	if e.Hint != "" {
		return hintf(about(e.Place(), err), "%s", e.Hint)
	}
	var limit *layer.LimitError
	if errors.As(err, &limit) {
		return about(e.Place(), err)
	}
	return imageHint(about(e.Place(), err))
}

// built is the output of "mullion build --json".
type built struct {
	Digest  string       `json:"digest,omitempty"` // of the manifest; a docker archive has none
	Config  string       `json:"config"`
	Output  wtf8         `json:"output"`
	Base    int          `json:"base"` // layers of the base image
	Layers  []builtLayer `json:"layers"`
	Blobs   int          `json:"blobs"`
	Bytes   int64        `json:"bytes"`
	Omitted int          `json:"omitted"`
}

type builtLayer struct {
	Instruction string `json:"instruction"`
	Line        int    `json:"line"`
	DiffID      string `json:"diffID"`
	Digest      string `json:"digest"`
	Size        int64  `json:"size"`
}

func (f *buildFlags) print(c *console, r *dockerfile.Result) error {
	for _, d := range r.Omitted {
		c.warnf("foreign layer %s was left at its URLs", d.Digest)
	}
	if c.json {
		out := built{string(r.Digest), string(r.Config), wtf8(f.output), r.Base, []builtLayer{}, r.Blobs, r.Bytes, len(r.Omitted)}
		for _, l := range r.Layers {
			out.Layers = append(out.Layers, builtLayer{l.Instruction, l.Line, string(l.DiffID), string(l.Digest), l.Size})
		}
		return c.printJSON(out)
	}
	if r.Digest != "" {
		if err := c.printf("%s\n", r.Digest); err != nil {
			return err
		}
	}
	c.summary("%s: %s, %s", f.output, counted(len(r.Layers), "new layer"), c.size(r.Bytes))
	return nil
}

// buildCommand is a line of "mullion build --commands --json".
type buildCommand struct {
	Name    string        `json:"name"`
	Aliases []string      `json:"aliases,omitempty"`
	Shell   string        `json:"shell"`
	Syntax  string        `json:"syntax"`
	Options []buildOption `json:"options,omitempty"`
	Notes   string        `json:"notes,omitempty"`
}

type buildOption struct {
	Name  string `json:"name"`
	Means string `json:"means"`
}

// printCommands prints the table of commands that are carried out without Windows.
func printCommands(c *console) error {
	for _, command := range offline.Commands() {
		if c.json {
			line := buildCommand{command.Name, command.Aliases, command.Shell, command.Syntax, nil, command.Notes}
			for _, o := range command.Options {
				line.Options = append(line.Options, buildOption{o.Name, o.Means})
			}
			if err := c.printJSONLine(line); err != nil {
				return err
			}
			continue
		}
		text := fmt.Sprintf("%s: %s\n", command.Shell, command.Syntax)
		if len(command.Aliases) > 0 {
			text += indented("Also: " + strings.Join(command.Aliases, ", "))
		}
		for _, o := range command.Options {
			text += indented(o.Name + "  " + o.Means)
		}
		if command.Notes != "" {
			text += indented(command.Notes)
		}
		if err := c.printText(text); err != nil {
			return err
		}
	}
	return nil
}
