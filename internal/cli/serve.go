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

// serveFlags are the flags of mullion serve.
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
		Use:         "serve",
		Annotations: map[string]string{noJSON: "--log-format json is for the log, and the configuration is TOML"},
		Short:       "Serve Windows images to containerd",
		Long: `Run the snapshotter and the differ of containerd on one socket until SIGINT or
SIGTERM, so that containerd can pull, import, mount and diff Windows images on
this machine.

containerd must be configured to use it:

  mullion serve --print-config > /etc/containerd/conf.d/mullion.toml

writes the required configuration for the same --root and --address. containerd
2.x reads that file if its main configuration imports it; --config-version 2 is
for containerd 1.7.

Layers are stored below --root as CimFS images; equal layers are stored once.
When serve starts, it closes the directory to other users (mode 0700), even if
it was accessible before. A base layer without the five registry hives is
rejected unless --hives is set: create adds minimal hives, leave continues
without.

Layers of other media types, such as encrypted ones, are converted by the
programs that the containerd configuration lists under stream_processors;
--containerd-config names that file.

The log is written to standard error: requests at level debug, applied layers
at level info. With --metrics ADDRESS, Prometheus metrics are served at
http://ADDRESS/metrics.`,
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
				err = hintf(err, "--root must be a directory that belongs to this user and has mode 0700, or can be changed to it")
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
	flags.StringVar(&f.root, "root", "/var/lib/mullion", "`DIR` for snapshots and layers")
	flags.StringVar(&f.address, "address", "/run/mullion/mullion.sock", "`SOCKET` to listen on")
	addContainerd(cmd, &f.containerd)
	flags.StringVar(&f.containerdConfig, "containerd-config", serve.ContainerdConfigFile, "containerd configuration `FILE`, read for its stream processors")
	flags.StringVar(&f.metrics, "metrics", "", "TCP `ADDRESS` for Prometheus metrics, for example 127.0.0.1:9464")
	flags.StringVar(&f.hives, "hives", "require", "`ACTION` for a base layer without hives: require, create or leave")
	flags.StringVar(&f.level, "log-level", "info", "lowest `LEVEL` to log: debug, info, warn or error")
	flags.StringVar(&f.format, "log-format", "text", "`FORMAT` of the log: text or json")
	flags.BoolVar(&f.printConfig, "print-config", false, "print the configuration for containerd and exit")
	flags.IntVar(&f.configVersion, "config-version", serve.ConfigVersion2, "`VERSION` of the configuration that --print-config prints: 2 for containerd 1.7, 3 for 2.x, 4 for 2.4 and later")
}

// addContainerd adds --containerd. Its default comes from the environment variable that
// ctr uses.
func addContainerd(cmd *cobra.Command, p *string) {
	cmd.Flags().StringVar(p, "containerd", containerd.Address(), "`SOCKET` of containerd, overrides CONTAINERD_ADDRESS")
}

// config converts the flags to a configuration.
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
		return nil, usagef("--log-level must be debug, info, warn or error")
	}
	opts := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, usagef("--log-format must be text or json")
}

// print prints the configuration for containerd.
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
