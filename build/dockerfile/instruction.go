package dockerfile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/mullion/mullion/winfs"
)

// do carries out one instruction.
func (st *stage) do(ctx context.Context, c instructions.Command) error {
	lint := st.lint
	st.lint = st.lint.WithMergedConfigFromComments(c.Comments())
	defer func() { st.lint = lint }()
	if err := st.expandCommand(ctx, c); err != nil {
		return err
	}
	switch c := c.(type) {
	case *instructions.EnvCommand:
		return st.doEnv(c)
	case *instructions.ArgCommand:
		return st.doArg(ctx, c)
	case *instructions.LabelCommand:
		return st.doLabel(c)
	case *instructions.MaintainerCommand:
		st.author = c.Maintainer
		st.commit(c, "MAINTAINER "+c.Maintainer)
	case *instructions.CopyCommand:
		return st.doCopy(ctx, c)
	case *instructions.AddCommand:
		return st.doAdd(ctx, c)
	case *instructions.RunCommand:
		return st.doRun(ctx, c)
	case *instructions.WorkdirCommand:
		return st.doWorkdir(ctx, c)
	case *instructions.UserCommand:
		st.config.User, st.env = c.User, nil
		st.commit(c, "USER "+c.User)
	case *instructions.CmdCommand:
		st.doCmd(c)
	case *instructions.EntrypointCommand:
		st.doEntrypoint(c)
	case *instructions.ShellCommand:
		st.config.Shell = slices.Clone(c.Shell)
		st.commit(c, fmt.Sprintf("SHELL %v", c.Shell))
	case *instructions.ExposeCommand:
		return st.doExpose(ctx, c)
	case *instructions.VolumeCommand:
		return st.doVolume(c)
	case *instructions.HealthCheckCommand:
		st.once(c, &st.set.healthcheck)
		health := dockerspec.HealthcheckConfig{Test: c.Health.Test, Interval: c.Health.Interval, Timeout: c.Health.Timeout,
			StartPeriod: c.Health.StartPeriod, StartInterval: c.Health.StartInterval, Retries: c.Health.Retries}
		st.config.Healthcheck = &health
		st.commit(c, fmt.Sprintf("HEALTHCHECK %+v", health))
	case *instructions.StopSignalCommand:
		return st.doStopSignal(c)
	case *instructions.OnbuildCommand:
		st.config.OnBuild = append(st.config.OnBuild, c.Expression)
		st.commit(c, "ONBUILD "+c.Expression)
	default:
		return fmt.Errorf("%w: %s", ErrUnsupported, c.Name())
	}
	return nil
}

// expandCommand replaces the variables in the words of an instruction. ARG is expanded by
// itself: a value that --build-arg replaces is not looked at.
func (st *stage) expandCommand(ctx context.Context, c instructions.Command) error {
	x := st.expand(ctx)
	with := func(f func(string) (expansion, error)) instructions.SingleWordExpander {
		return func(word string) (string, error) {
			e, err := f(word)
			if err != nil {
				return "", atWord(word, err)
			}
			st.undefined(c, e.unmatched)
			return e.text, nil
		}
	}
	if _, isArg := c.(*instructions.ArgCommand); isArg {
		return nil
	}
	if _, isRun := c.(*instructions.RunCommand); isRun {
		return nil // the shell's own variables
	}
	if e, ok := c.(instructions.SupportsSingleWordExpansion); ok {
		if err := e.Expand(with(x.word)); err != nil {
			return err
		}
	}
	if e, ok := c.(instructions.SupportsSingleWordExpansionRaw); ok {
		return e.ExpandRaw(with(x.plain))
	}
	return nil
}

// undefined warns of variables that nothing sets.
func (st *stage) undefined(c instructions.Command, names []string) {
	for _, n := range names {
		declared := slices.ContainsFunc(st.args, func(a instructions.KeyValuePairOptional) bool { return winfs.EqualFold(a.Key, n) })
		if !declared {
			st.lint.Run(&linter.RuleUndefinedVar, c.Location(), linter.RuleUndefinedVar.Format(n, ""))
		}
	}
}

// once warns of an instruction of which only the last one counts.
func (st *stage) once(c instructions.Command, last *[]parser.Range) {
	if *last != nil {
		st.lint.Run(&linter.RuleMultipleInstructionsDisallowed, *last, linter.RuleMultipleInstructionsDisallowed.Format(c.Name()))
	}
	*last = c.Location()
}

func (st *stage) doEnv(c *instructions.EnvCommand) error {
	text := "ENV"
	for _, e := range c.Env {
		if e.NoDelim {
			st.lint.Run(&linter.RuleLegacyKeyValueFormat, c.Location(), linter.RuleLegacyKeyValueFormat.Format(c.Name()))
		}
		lintSecret(st.lint, c, "ENV", e.Key)
		if err := checkVariable(e.Key, e.Value); err != nil {
			return atWord(e.Key, err)
		}
		text += " " + e.String()
		st.variables.set(e.Key, e.Value)
		word := e.Key + "=" + e.Value
		i := slices.IndexFunc(st.config.Env, func(w string) bool {
			name, _, _ := strings.Cut(w, "=")
			return winfs.EqualFold(name, e.Key)
		})
		if i >= 0 {
			st.config.Env[i] = word
		} else {
			st.config.Env = append(st.config.Env, word)
		}
	}
	st.env = nil
	st.commit(c, text)
	return nil
}

func (st *stage) doArg(ctx context.Context, c *instructions.ArgCommand) error {
	x := st.expand(ctx)
	var words []string
	for _, a := range c.Args {
		lintSecret(st.lint, c, "ARG", a.Key)
		if given, ok := st.opt.Args[a.Key]; ok {
			a.Value = &given
		} else if a.Value != nil {
			e, err := x.word(*a.Value)
			if err != nil {
				return atWord(a.Key, err)
			}
			st.undefined(c, e.unmatched)
			a.Value = &e.text
		} else if value, ok := st.global.get(a.Key); ok {
			a.Value = &value
		}
		word := a.Key
		if a.Value != nil {
			if err := checkVariable(a.Key, *a.Value); err != nil {
				return atWord(a.Key, err)
			}
			st.variables.set(a.Key, *a.Value)
			word += "=" + *a.Value
		}
		st.args = append(st.args, a)
		words = append(words, word)
	}
	st.commit(c, "ARG "+strings.Join(words, " "))
	return nil
}

func (st *stage) doLabel(c *instructions.LabelCommand) error {
	text := "LABEL"
	if st.config.Labels == nil {
		st.config.Labels = map[string]string{}
	}
	for _, l := range c.Labels {
		if l.NoDelim {
			st.lint.Run(&linter.RuleLegacyKeyValueFormat, c.Location(), linter.RuleLegacyKeyValueFormat.Format(c.Name()))
		}
		if l.Key == "" {
			return fmt.Errorf("%w: a label has no name", ErrSyntax)
		}
		st.config.Labels[l.Key] = l.Value
		text += " " + l.String()
	}
	st.commit(c, text)
	return nil
}

// shell returns the command of SHELL, or that which Windows containers have without it.
func (st *stage) shell() []string {
	if len(st.config.Shell) > 0 {
		return st.config.Shell
	}
	return []string{"cmd", "/S", "/C"}
}

// commandLine returns what CMD and ENTRYPOINT store, and ArgsEscaped. Docker on Windows makes
// one string of the shell form, the whole command line, and says with ArgsEscaped that it is
// passed to Windows as it is: cmd doesn't understand quotes that were escaped. Containerd
// reads it so too. (BuildKit makes several strings and sets ArgsEscaped for both forms, so
// that quotes in the line are escaped.)
func (st *stage) commandLine(c instructions.Command, l instructions.ShellDependantCmdLine) (args []string, escaped bool) {
	if !l.PrependShell {
		return l.CmdLine, false
	}
	if len(st.config.Shell) == 0 {
		st.lint.Run(&linter.RuleJSONArgsRecommended, c.Location(), linter.RuleJSONArgsRecommended.Format(c.Name()))
	}
	if len(l.CmdLine) == 0 {
		return nil, false
	}
	return []string{strings.Join(append(slices.Clone(st.shell()), l.CmdLine...), " ")}, true
}

func (st *stage) doCmd(c *instructions.CmdCommand) {
	st.once(c, &st.set.cmd)
	args, escaped := st.commandLine(c, c.ShellDependantCmdLine)
	if len(st.config.Entrypoint) > 0 && escaped != st.escaped {
		st.warn(c, "the ENTRYPOINT has the other form, shell or exec: Windows gets one command line of both")
	}
	st.config.Cmd, st.escaped = args, escaped
	st.commit(c, fmt.Sprintf("CMD %q", args))
}

func (st *stage) doEntrypoint(c *instructions.EntrypointCommand) {
	st.once(c, &st.set.entrypoint)
	args, escaped := st.commandLine(c, c.ShellDependantCmdLine)
	if st.set.cmd == nil {
		st.config.Cmd = nil
	} else if len(st.config.Cmd) > 0 && escaped != st.escaped {
		st.warn(c, "the CMD has the other form, shell or exec: Windows gets one command line of both")
	}
	st.config.Entrypoint, st.escaped = args, escaped
	st.commit(c, fmt.Sprintf("ENTRYPOINT %q", args))
}

func (st *stage) doExpose(ctx context.Context, c *instructions.ExposeCommand) error {
	x := st.expand(ctx)
	var all []string
	for _, text := range c.Ports {
		words, err := x.words(text)
		if err != nil {
			return atWord(text, err)
		}
		for _, w := range words {
			ports, odd, err := parsePort(w)
			if err != nil {
				return atWord(text, err)
			}
			if odd {
				st.lint.Run(&linter.RuleExposeInvalidFormat, c.Location(), linter.RuleExposeInvalidFormat.Format(w))
			}
			if _, protocol, _ := strings.Cut(w, "/"); protocol != strings.ToLower(protocol) {
				st.lint.Run(&linter.RuleExposeProtoCasing, c.Location(), linter.RuleExposeProtoCasing.Format(w))
			}
			if all = append(all, ports...); len(all)+len(st.config.ExposedPorts) > 3*maxPorts {
				return fmt.Errorf("%w: too many ports", ErrLimit)
			}
		}
	}
	if st.config.ExposedPorts == nil {
		st.config.ExposedPorts = map[string]struct{}{}
	}
	for _, p := range all {
		st.config.ExposedPorts[p] = struct{}{}
	}
	st.commit(c, fmt.Sprintf("EXPOSE %v", all))
	return nil
}

// doVolume adds volumes. Those on C: are looked at when the image is complete: Windows mounts
// a volume only where there is no directory, or an empty one (Docker, "VOLUME", notes about
// Windows).
func (st *stage) doVolume(c *instructions.VolumeCommand) error {
	for _, v := range c.Volumes {
		if v == "" {
			return fmt.Errorf("%w: the name of a volume is empty", ErrSyntax)
		}
		if drive := strings.TrimRight(v, `\/`); len(drive) == 2 && drive[1] == ':' && drive[0]|0x20 >= 'a' && drive[0]|0x20 <= 'z' && drive[0]|0x20 != 'c' {
			continue // a drive of its own
		}
		p, _, err := parsePlace(v, nil)
		if err != nil {
			return atWord(v, err)
		}
		if len(p) == 0 {
			return atWord(v, fmt.Errorf("%w: %s is the system drive", ErrPath, v))
		}
		st.volumes = append(st.volumes, volume{p, v, c.Location()})
	}
	if st.config.Volumes == nil {
		st.config.Volumes = map[string]struct{}{}
	}
	for _, v := range c.Volumes {
		st.config.Volumes[v] = struct{}{}
	}
	st.commit(c, fmt.Sprintf("VOLUME %v", c.Volumes))
	return nil
}

// signals are the names that Docker accepts, those of Linux. Windows knows the first two.
var signals = strings.Fields(`TERM KILL ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT PIPE POLL PROF PWR QUIT SEGV
	STKFLT STOP SYS TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ`)

func (st *stage) doStopSignal(c *instructions.StopSignalCommand) error {
	name := strings.TrimPrefix(strings.ToUpper(c.Signal), "SIG")
	switch {
	case name == "TERM" || name == "KILL" || name == "15" || name == "9":
	case slices.Contains(signals, name) || isNumber(name, 64) || strings.HasPrefix(name, "RTMIN") || strings.HasPrefix(name, "RTMAX"):
		st.warn(c, "Windows knows the signals SIGTERM and SIGKILL alone")
	default:
		return atWord(c.Signal, fmt.Errorf("%w: %s is no signal", ErrSyntax, short(c.Signal, 100)))
	}
	st.config.StopSignal = c.Signal
	st.commit(c, "STOPSIGNAL "+c.Signal)
	return nil
}

// isNumber reports whether a text is a number from 1 to most.
func isNumber(s string, most int) bool {
	var n int
	if _, err := fmt.Sscanf(s, "%d", &n); err != nil || fmt.Sprint(n) != s {
		return false
	}
	return n >= 1 && n <= most
}

func (st *stage) warn(c instructions.Command, message string) {
	st.builder.warn(Warning{File: st.src.name, Line: firstLine(c.Location()), Message: message})
}
