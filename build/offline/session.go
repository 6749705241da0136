package offline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/winfs"
)

const (
	// maxSteps bounds the files and keys that one Run looks at, which loops of patterns
	// could make many of.
	maxSteps = 10_000_000
	// maxOutput bounds a file that commands write by their output.
	maxOutput = 64 << 20
	// maxMessages is what is kept of error output for an ExitError.
	maxMessages = 4096
)

// errExit ends the line: exit was called. The code is in the session.
var errExit = errors.New("exit")

// session is one process of a shell, with the shells that it starts.
type session struct {
	ctx   context.Context
	c     *Container
	cwd   string // path in the layer: Files\app
	vars  *hives.Env
	unset map[string]bool // folded names that set deleted
	level int             // ERRORLEVEL
	dirs  []string        // of pushd
	out   sink
	err   sink
	tail  *tail
	work  *int // steps that are left
	depth int  // shells in shells
}

// sink is where output goes.
type sink interface {
	io.Writer
	// visible reports whether somebody reads the exact text: a file does, the console does
	// not.
	exact() bool
}

type nullSink struct{}

func (nullSink) Write(p []byte) (int, error) { return len(p), nil }
func (nullSink) exact() bool                 { return false }

type consoleSink struct{ w io.Writer }

func (c consoleSink) Write(p []byte) (int, error) { return c.w.Write(p) }
func (consoleSink) exact() bool                   { return false }

// fileSink collects what a redirection writes.
type fileSink struct{ bytes.Buffer }

func (f *fileSink) Write(p []byte) (int, error) {
	if f.Len()+len(p) > maxOutput {
		return 0, fmt.Errorf("%w of output, %d bytes", ErrLimit, maxOutput)
	}
	return f.Buffer.Write(p)
}
func (*fileSink) exact() bool { return true }

// tail keeps the end of the error output.
type tail struct {
	b    []byte
	next io.Writer
}

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > 2*maxMessages {
		t.b = append(t.b[:0], t.b[len(t.b)-maxMessages:]...)
	}
	return t.next.Write(p)
}
func (*tail) exact() bool { return false }

func newSession(ctx context.Context, c *Container) (*session, error) {
	if err := c.checkUser(); err != nil {
		return nil, err
	}
	w := io.Discard
	if c.Output != nil {
		w = c.Output
	}
	steps := maxSteps
	s := &session{ctx: ctx, c: c, cwd: root, work: &steps}
	s.out = consoleSink{w}
	s.tail = &tail{next: w}
	s.err = s.tail
	if c.WorkDir != "" {
		p, err := s.path(newText(c.WorkDir))
		if err != nil {
			return nil, fmt.Errorf("working directory %s: %w", c.WorkDir, err)
		}
		if p.layer, err = s.real(p.layer, true); err == nil {
			var it *item
			if it, err = s.find(p.layer); err == nil && !it.dir() {
				err = errors.New("not a directory")
			}
		}
		if err != nil {
			return nil, fmt.Errorf("working directory %s: %w", c.WorkDir, err)
		}
		s.cwd = p.layer
	}
	return s, nil
}

// checkUser refuses to run as an account whose rights would have to be checked.
func (c *Container) checkUser() error {
	name := c.User
	if i := strings.LastIndexByte(name, '\\'); i >= 0 {
		name = name[i+1:]
	}
	if name == "" || strings.EqualFold(name, hives.DefaultUser) {
		return nil
	}
	return &wordError{at: -1, word: c.User, err: fmt.Errorf("%w: what the user %s may do is not known; only %s runs offline", ErrNotOffline, c.User, hives.DefaultUser),
		advice: "set USER ContainerAdministrator before RUN"}
}

// step counts work and looks at the context.
func (s *session) step() error {
	if *s.work--; *s.work < 0 {
		return fmt.Errorf("%w of work in one command, %d files and keys", ErrLimit, maxSteps)
	}
	if *s.work%64 == 0 {
		return s.ctx.Err()
	}
	return nil
}

// environment returns the variables, those of the image unless set changed them.
func (s *session) environment() (*hives.Env, error) {
	if s.vars == nil {
		e, err := s.c.Environment()
		if err != nil {
			return nil, err
		}
		s.vars = e
	}
	return s.vars, nil
}

// running are variables that only a running container has, or whose value changes.
var running = map[string]bool{
	"COMPUTERNAME": true, "NUMBER_OF_PROCESSORS": true, "PROCESSOR_IDENTIFIER": true, "PROCESSOR_LEVEL": true,
	"PROCESSOR_REVISION": true, "USERDOMAIN": true, "USERDOMAIN_ROAMINGPROFILE": true, "LOGONSERVER": true, "HOMEDRIVE": true,
	"HOMEPATH": true, "SESSIONNAME": true, "DATE": true, "TIME": true, "RANDOM": true, "CMDCMDLINE": true,
	"HIGHESTNUMANODENUMBER": true,
}

func (s *session) getenv(name string) (string, bool, error) {
	e, err := s.environment()
	if err != nil {
		return "", false, err
	}
	key := winfs.Fold(name)
	if v, ok := e.Get(name); ok && !s.unset[key] {
		return v, true, nil
	}
	if running[key] && !s.unset[key] {
		return "", false, fmt.Errorf("%w: the value of %s is known only in a running container", ErrNotOffline, name)
	}
	return "", false, nil
}

func (s *session) setenv(name, value string, remove bool) error {
	e, err := s.environment()
	if err != nil {
		return err
	}
	key := winfs.Fold(name)
	if remove {
		if s.unset == nil {
			s.unset = map[string]bool{}
		}
		s.unset[key] = true
		return nil
	}
	delete(s.unset, key)
	e.Set(name, value, hives.FromConfig)
	return nil
}

// cmdVariable is getenv with the variables that cmd computes.
func (s *session) cmdVariable(name string) (string, bool, error) {
	v, ok, err := s.getenv(name)
	if ok {
		return v, ok, err
	}
	switch strings.ToUpper(name) {
	case "CD":
		return winPath(s.cwd), true, nil
	case "ERRORLEVEL":
		return fmt.Sprint(s.level), true, nil
	case "CMDEXTVERSION":
		return "2", true, nil
	}
	return v, ok, err
}

// fail prints a message as an error and returns the code.
func (s *session) fail(code int, format string, args ...any) (int, error) {
	if s.err.exact() {
		return code, &wordError{at: -1, err: fmt.Errorf("%w: the message of an error would be kept in a file", ErrNotOffline)}
	}
	_, err := fmt.Fprintf(s.err, format+"\r\n", args...)
	return code, err
}

// failCode is fail with the text of an error of Windows.
func (s *session) failCode(code int) (int, error) { return s.fail(code, "%s", codeError(code)) }

// failed turns a codeError into a failure with exit status 1.
func (s *session) failed(err error) (int, error) {
	var code codeError
	if errors.As(err, &code) {
		return s.fail(1, "%s", code)
	}
	return 0, err
}

func (s *session) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(s.out, format+"\r\n", args...)
	return err
}

// The texts of the errors of Windows, by number.
var windowsErrors = map[int]string{
	2:   "The system cannot find the file specified.",
	3:   "The system cannot find the path specified.",
	5:   "Access is denied.",
	32:  "The process cannot access the file because it is being used by another process.",
	145: "The directory is not empty.",
	183: "Cannot create a file when that file already exists.",
	267: "The directory name is invalid.",
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
