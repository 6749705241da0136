package containerdtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Snapshotter is the name under which containerd knows the plugin.
const Snapshotter = "mullion"

// Platform is the platform in requests to ctr: without an OS version it would take every
// Windows build in an index.
const Platform = "windows(10.0.20348)/amd64"

// Options change a Rig.
type Options struct {
	// Dir is the directory of all files; it must be short, because of the sockets. "" is
	// a new one that Close removes.
	Dir string
	// Mullion is the program that has the command serve, with the arguments before that
	// word, and Env its environment in addition to that of this process.
	Mullion []string
	Env     []string
	// Serve are flags of mullion serve.
	Serve []string
	// Programs are containerd and ctr; the zero value selects those that Build returns.
	Programs Programs
}

// Rig is a containerd with mullion as its plugin.
type Rig struct {
	Dir        string
	Programs   Programs
	Root       string // of the plugin
	Containerd Process
	Plugin     Process
	Metrics    string // address of the plugin's metrics

	remove bool
}

// New makes a rig and starts both of its processes. The caller closes it.
func New(ctx context.Context, o Options) (*Rig, error) {
	r := &Rig{Dir: o.Dir, Programs: o.Programs}
	var err error
	if r.Programs == (Programs{}) {
		if r.Programs, err = Build(ctx); err != nil {
			return nil, err
		}
	}
	if r.Dir == "" {
		if r.Dir, err = os.MkdirTemp("", "mct-"); err != nil {
			return nil, err
		}
		r.remove = true
	}
	if err = r.start(ctx, o); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Rig) start(ctx context.Context, o Options) error {
	path := func(name string) string { return filepath.Join(r.Dir, name) }
	r.Root = path("mullion")
	// Another process can take the free port before the plugin does. It is chosen once,
	// so that the address survives restarts.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r.Metrics = l.Addr().String()
	l.Close()

	r.Containerd = Process{
		Name: r.Programs.Containerd, Args: []string{"--config", path("containerd.toml"), "--log-level", "info"},
		Socket: path("containerd.sock"), Log: path("containerd.log"),
	}
	common := []string{"serve", "--root", r.Root, "--address", path("mullion.sock"), "--containerd", r.Containerd.Socket}
	serve := append(append(append([]string{}, o.Mullion[1:]...), common...), o.Serve...)
	r.Plugin = Process{
		Name: o.Mullion[0], Args: append(serve, "--metrics", r.Metrics), Env: o.Env,
		Socket: path("mullion.sock"), Log: path("mullion.log"),
	}
	// As a user does: the printed part is a file that the configuration imports.
	print := exec.CommandContext(ctx, o.Mullion[0], append(append([]string{}, o.Mullion[1:]...), append(common, "--print-config")...)...)
	print.Env = append(os.Environ(), o.Env...)
	part, err := print.Output()
	if err != nil {
		return fmt.Errorf("mullion serve --print-config: %w", err)
	}
	whole := fmt.Sprintf("version = 3\nroot = %q\nstate = %q\nimports = [\"conf.d/*.toml\"]\n[grpc]\n  address = %q\n", path("root"), path("state"), r.Containerd.Socket)
	if err := errors.Join(os.MkdirAll(path("conf.d"), 0o700), os.WriteFile(path("conf.d/mullion.toml"), part, 0o600), os.WriteFile(path("containerd.toml"), []byte(whole), 0o600)); err != nil {
		return err
	}
	return errors.Join(r.Plugin.Start(ctx), r.Containerd.Start(ctx))
}

// Close stops both processes and removes their files, unless they are in Options.Dir.
func (r *Rig) Close() error {
	err := errors.Join(r.Containerd.Stop(), r.Plugin.Stop())
	if r.remove {
		err = errors.Join(err, os.RemoveAll(r.Dir))
	}
	return err
}

// Command is ctr with these arguments.
func (r *Rig) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.Programs.Ctr, append([]string{"--address", r.Containerd.Socket}, args...)...)
	cmd.WaitDelay = time.Second
	return cmd
}

// Run runs ctr and returns its output. The error contains its standard error.
func (r *Rig) Run(ctx context.Context, args ...string) (string, error) {
	cmd := r.Command(ctx, args...)
	var out, text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &text
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("ctr %s: %w\n%s", strings.Join(args, " "), err, text.String())
	}
	return out.String(), nil
}

// Metric returns the sum of a metric over all label sets that hold a text, such as
// `result="made"`.
func (r *Rig) Metric(name string, label string) (float64, error) {
	resp, err := http.Get("http://" + r.Metrics + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	sum, found := 0.0, false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || !strings.HasPrefix(line, name) || !strings.Contains(line, label) {
			continue
		}
		if next := line[len(name)]; next != ' ' && next != '{' {
			continue
		}
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return 0, err
		}
		sum, found = sum+v, true
	}
	if !found {
		return 0, fmt.Errorf("no metric %s{%s}", name, label)
	}
	return sum, nil
}
