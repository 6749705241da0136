package containerdtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Process is a program that runs in the background and listens at a socket.
type Process struct {
	Name   string
	Args   []string
	Env    []string // besides that of this process
	Socket string   // says when it is ready
	Log    string   // file that its output is appended to

	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start starts the process and waits until it can be used.
func (p *Process) Start(ctx context.Context) error {
	log, err := os.OpenFile(p.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd = exec.Command(p.Name, p.Args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = append(os.Environ(), p.Env...)
	p.cmd.SysProcAttr = dieWithParent()
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		p.err = cmd.Wait()
		close(done)
	}(p.cmd, p.done)
	return p.ready(ctx)
}

func (p *Process) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		c, err := net.Dial("unix", p.Socket)
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %w\n%s", filepath.Base(p.Name), p.err, p.Tail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w\n%s", filepath.Base(p.Name), ctx.Err(), p.Tail())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Running reports whether the process was started and has not ended.
func (p *Process) Running() bool {
	if p.done == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Kill ends the process as a crash would.
func (p *Process) Kill() error { return p.end(syscall.SIGKILL) }

// Stop ends the process as an operator would, and reports how it ended.
func (p *Process) Stop() error {
	if err := p.end(syscall.SIGTERM); err != nil {
		return err
	}
	return p.err
}

func (p *Process) end(s syscall.Signal) error {
	if !p.Running() {
		return nil
	}
	if err := p.cmd.Process.Signal(s); err != nil && p.Running() {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(60 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within a minute after %v\n%s", filepath.Base(p.Name), s, p.Tail())
	}
}

// Tail returns the end of the log.
func (p *Process) Tail() string {
	b, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}
