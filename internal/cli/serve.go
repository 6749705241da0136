package cli

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/mullion/mullion/image/containerd"
	"github.com/mullion/mullion/snapshotter"
	"github.com/mullion/mullion/snapshotter/serve"
	"github.com/spf13/cobra"
)

// serveFlags are those of mullion serve.
type serveFlags struct {
	root, address, containerd, metrics string
	hives, level, format               string
	containerdConfig                   string
	printConfig                        bool
	configVersion                      int
}

func newServeCommand(c *console) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve Windows images to containerd: snapshotter and differ on one socket",
		Long: `Serve the snapshots and the diff service of containerd until SIGINT or SIGTERM, so
that containerd pulls, imports, mounts and diffs Windows images on this machine.

containerd must be told about it:

  mullion serve --print-config > /etc/containerd/conf.d/mullion.toml

prints what its configuration needs, with the same --root and --address. containerd
2.x reads that file if its configuration imports it; --config-version 2 is for
containerd 1.7.

Layers are kept below --root as CimFS images, equal ones once. The directory is closed
to other users (mode 0700) when serve starts, also where it was open before. A base layer without
the five registry hives is refused unless --hives says what to do: create makes
minimal ones, leave does without.

Layers of other media types, encrypted ones for instance, go through the programs that
containerd's configuration names under stream_processors; --containerd-config says where
it is.

The log goes to standard error. Requests are logged at level debug, layers that are
applied at info. With --metrics ADDRESS, Prometheus finds http://ADDRESS/metrics.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := f.config(c)
			if err != nil {
				return err
			}
			if f.printConfig {
				return f.print(c, config)
			}
			closeToOthers()
			err = serve.Run(cmd.Context(), config)
			if errors.Is(err, snapshotter.ErrRoot) {
				err = hintf(err, "--root names a directory of the user who serves, which needs mode 0700 and gets it if it can be changed")
			}
			if errors.Is(err, snapshotter.ErrInUse) || errors.Is(err, serve.ErrAddressInUse) {
				err = hintf(err, "another mullion serve is running")
			}
			return err
		},
	}
	f.add(cmd)
	return cmd
}

func (f *serveFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.root, "root", "/var/lib/mullion", "`DIR` of snapshots and layers")
	flags.StringVar(&f.address, "address", "/run/mullion/mullion.sock", "`SOCKET` to serve at")
	addContainerd(cmd, &f.containerd)
	flags.StringVar(&f.containerdConfig, "containerd-config", serve.ContainerdConfigFile, "`FILE` with containerd's configuration, for its stream processors")
	flags.StringVar(&f.metrics, "metrics", "", "TCP `ADDRESS` for Prometheus, as in 127.0.0.1:9464")
	flags.StringVar(&f.hives, "hives", "require", "what becomes of a base layer without hives, `WHAT`: require, create or leave")
	flags.StringVar(&f.level, "log-level", "info", "log from this `LEVEL` on: debug, info, warn or error")
	flags.StringVar(&f.format, "log-format", "text", "`FORM` of the log: text or json")
	flags.BoolVar(&f.printConfig, "print-config", false, "print what containerd's configuration needs, and end")
	flags.IntVar(&f.configVersion, "config-version", serve.ConfigVersion2, "`VERSION` of that file: 2 for containerd 1.7, 3 for 2.x, 4 from 2.4 on")
}

// addContainerd adds --containerd, with the environment variable of ctr.
func addContainerd(cmd *cobra.Command, p *string) {
	cmd.Flags().StringVar(p, "containerd", containerd.Address(), "`SOCKET` of containerd; default from CONTAINERD_ADDRESS")
}

// config turns the flags into a configuration.
func (f *serveFlags) config(c *console) (serve.Config, error) {
	missing, err := missingHives(f.hives)
	if err != nil {
		return serve.Config{}, err
	}
	log, err := newLog(c.err, f.level, f.format)
	if err != nil {
		return serve.Config{}, err
	}
	root, err := filepath.Abs(f.root)
	if err != nil {
		return serve.Config{}, err
	}
	processors, err := serve.ReadProcessors(f.containerdConfig)
	if err != nil && (!errors.Is(err, fs.ErrNotExist) || f.containerdConfig != serve.ContainerdConfigFile) {
		return serve.Config{}, err
	}
	return serve.Config{
		Snapshotter: snapshotter.Config{Root: root, MissingHives: missing, Limits: c.limits, Processors: processors},
		Address:     f.address, Containerd: f.containerd, Metrics: f.metrics, Log: log,
	}, nil
}

func newLog(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usagef("--log-level is debug, info, warn or error")
	}
	opts := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, usagef("--log-format is text or json")
}

// print prints what containerd must be told.
func (f *serveFlags) print(c *console, config serve.Config) error {
	address, err := serve.Address(config.Address)
	if err != nil {
		return err
	}
	err = serve.ContainerdConfig{Version: f.configVersion, Root: config.Snapshotter.Root, Address: address, Capabilities: serve.Capabilities()}.Write(c.out)
	if errors.Is(err, serve.ErrConfigVersion) {
		return usagef("--config-version: %v", err)
	}
	return err
}
