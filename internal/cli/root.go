package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// constructors lists the constructors of all commands.
var constructors = []func(*console) *cobra.Command{
	newInspectCommand,
	newTagsCommand,
	newManifestCommand,
	newConfigCommand,
	newLsCommand,
	newCatCommand,
	newExtractCommand,
	newConvertCommand,
	newMakeBaseCommand,
	newUnpackCommand,
	newCopyCommand,
	newBuildCommand,
	newAppendCommand,
	newRebaseCommand,
	newSquashCommand,
	newCheckCommand,
	newOSVersionCommand,
	newEnvCommand,
	newSBOMCommand,
	newUpdatesCommand,
	newDiffCommand,
	newBlameCommand,
	newHiveCommand,
	newCIMCommand,
	newMountCommand,
	newServeCommand,
	newCacheCommand,
	newLoginCommand,
	newLogoutCommand,
	newVersionCommand,
	newManCommand,
	newExitStatusTopic,
}

// Main runs one command line, without the program's name, and returns its exit status,
// one of those that "mullion help exit-status" lists.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Nothing stops ctx at the return: the process exits next, and a repeated signal before
	// that must not change its status. The first signal cancels ctx. It also restores the default action, so that a second
	// signal ends the process, but not at once: timeout(1), and a shell together with a
	// parent that passes signals on, send each signal twice, and temporary files are to be
	// removed.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	// When a reader such as head exits early, writing fails with EPIPE instead of SIGPIPE
	// ending the process, so that temporary files are removed.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return run(ctx, args, stdin, stdout, stderr)
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &console{in: stdin, errFile: stderr, errTerminal: isTerminal(stderr)}
	c.err, c.errColour = &messages{c, stderr}, takesColour(c.errTerminal)
	out := &results{ctx: ctx, c: c, w: stdout, terminal: isTerminal(stdout)}
	c.out, c.terminal, c.width, c.colour = out, out.terminal, terminalWidth(stdout), takesColour(out.terminal)
	root := newRoot(c)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	c.stopProgress()
	c.closeCache()
	if failed := out.failed.Load(); err == nil && failed != nil {
		err, c.running = *failed, true
	}
	if err == nil {
		return exitDone
	}
	if out.closed.Load() {
		return exitClosed
	}
	var usage *usageError
	switch {
	case !c.running || errors.As(err, &usage):
		if c.json || asksJSON(args) {
			c.printJSONError(jsonError{Op: commandName(cmd), Message: err.Error(), Hint: usageHint(cmd, err), Status: exitFailed})
			return exitFailed
		}
		fmt.Fprintf(stderr, "%s %s\n", paint(c.errColour, colourError, "mullion:"), visible(err.Error()))
		fmt.Fprintf(stderr, "%s %s\n", paint(c.errColour, colourHint, "hint:"), visible(usageHint(cmd, err)))
		return exitFailed
	case !silent(err):
		c.printError(ctx, cmd, err, exitStatus(ctx, err))
	}
	return exitStatus(ctx, err)
}

func newRoot(c *console) *cobra.Command {
	root := &cobra.Command{
		Use:   "mullion",
		Short: "Windows container image layers on any operating system",
		Long: `mullion reads, writes, converts, inspects and checks Windows container image
layers on Linux, macOS and Windows, with no Windows host and no Windows API.

` + referenceHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	f := root.PersistentFlags()
	f.BoolVarP(&c.quiet, "quiet", "q", false, "print only results and errors, no progress and no notes")
	f.BoolVar(&c.json, "json", false, "print JSON: one document, or one object per line for listings")
	f.BoolVar(&c.verbose, "verbose", false, "print details on standard error")
	f.SortFlags = false
	for _, newCommand := range constructors {
		root.AddCommand(newCommand(c))
	}
	addLayerFlags(c, root)
	explain(root)
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			for _, shell := range cmd.Commands() {
				shell.Annotations = map[string]string{noJSON: "completion prints a script"}
			}
		}
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	root.SetHelpCommand(newHelpCommand())
	root.InitDefaultHelpCmd()
	root.SetUsageTemplate(usageTemplate(root.UsageTemplate()))
	groups(root)
	c.addVersionFlag(root)
	completions(root)
	markRunning(c, root)
	return root
}

// flagError replaces what package strconv says about the value of a flag.
func flagError(err error) error {
	var number *strconv.NumError
	if !errors.As(err, &number) {
		return err
	}
	want := "want a whole number"
	if number.Func == "ParseBool" {
		want = "want true or false"
	}
	return usagef("%s", strings.Replace(err.Error(), number.Error(), want, 1))
}

// noJSON is the annotation of a command that prints no JSON: the reason.
const noJSON = "no-json"

// commandName returns the name of a command without that of the program.
func commandName(cmd *cobra.Command) string { return strings.TrimPrefix(cmd.CommandPath(), "mullion ") }

// newHelpCommand returns a help command that rejects unknown topics. The one of cobra
// prints the help of the nearest known command and succeeds.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:         "help [COMMAND|TOPIC]...",
		Annotations: map[string]string{noJSON: "help is text"},
		Short:       "Print help about any command",
		Long:        "Print the help of a command, of a topic, or of mullion itself.",
		Example: `  mullion help unpack
  mullion help exit-status
  mullion help hive query`,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			if topic, rest, err := cmd.Root().Find(args); err == nil && len(rest) == 0 {
				for _, sub := range topic.Commands() {
					if sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand() {
						names = append(names, sub.Name()+"\t"+sub.Short)
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			topic, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return hintf(usagef("unknown help topic %q", strings.Join(args, " ")), "mullion --help lists the commands")
			}
			topic.InitDefaultHelpFlag()
			return topic.Help()
		},
	}
}

// usageTemplate wraps flags at 80 columns, and leaves out aliases: they are former names.
func usageTemplate(cobras string) string {
	return strings.NewReplacer("Flags.FlagUsages ", "Flags.FlagUsagesWrapped 80 ", "{{if gt (len .Aliases) 0}}", "{{if false}}").Replace(cobras)
}

// groups sets RunE of every command that has subcommands: it prints the help and returns
// a usage error.
func groups(cmd *cobra.Command) {
	if !cmd.HasSubCommands() {
		return
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		err := fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
		if near := nearCommands(cmd, args[0]); len(near) > 0 {
			return hintf(err, "%s %s", cmd.CommandPath(), strings.Join(near, ", or "))
		}
		return err
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := cmd.Help(); err != nil {
			return err
		}
		return usagef("no command given")
	}
	for _, sub := range cmd.Commands() {
		groups(sub)
	}
}

// nearCommands returns the subcommands that a word may be meant for: it begins their name,
// has one wrong letter, or two if it is long, or has their letters in another order.
func nearCommands(cmd *cobra.Command, word string) []string {
	cmd.SuggestionsMinimumDistance = 1
	if len(word) >= 6 {
		cmd.SuggestionsMinimumDistance = 2
	}
	near := cmd.SuggestionsFor(word)
	letters := slices.Sorted(strings.SplitSeq(word, ""))
	for _, sub := range cmd.Commands() {
		if name := sub.Name(); sub.IsAvailableCommand() && !slices.Contains(near, name) && slices.Equal(slices.Sorted(strings.SplitSeq(name, "")), letters) {
			near = append(near, name)
		}
	}
	return near
}

// usageHint returns the advice for a usage error.
func usageHint(cmd *cobra.Command, err error) string {
	if hint := hintFor(commandName(cmd), err); hint != "" {
		return hint
	}
	return cmd.CommandPath() + " --help"
}

// markRunning makes every command record that RunE was entered. Errors before that are
// usage errors.
func markRunning(c *console, cmd *cobra.Command) {
	if body := cmd.RunE; body != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if c.json && cmd.Annotations[noJSON] != "" {
				return usagef("--json: %s", cmd.Annotations[noJSON])
			}
			c.running, c.started = true, time.Now()
			c.command = commandName(cmd)
			c.subject = strings.Join(args[:min(1, len(args))], " ")
			err := body(cmd, args)
			if err == nil || silent(err) {
				err = errors.Join(err, c.finish())
			}
			return err
		}
	}
	for _, sub := range cmd.Commands() {
		markRunning(c, sub)
	}
}
