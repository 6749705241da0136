package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/mullion/mullion/image/registry"
	"github.com/mullion/mullion/internal/ctxio"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// loggedIn is the output of "mullion login --json" and "mullion logout --json".
type loggedIn struct {
	Registry string `json:"registry"`
	User     string `json:"user,omitempty"`
	File     string `json:"file,omitempty"`   // that has the credentials
	Helper   string `json:"helper,omitempty"` // or the program that keeps them
}

func newLoginCommand(c *console) *cobra.Command {
	var remote remoteFlags
	var user string
	var fromStdin bool
	cmd := &cobra.Command{
		Use:   "login REGISTRY",
		Short: "Store the credentials of a registry",
		Long: `Store a user name and a password for a registry, HOST or HOST:PORT, after the
registry has accepted them. They are kept where docker keeps its own, so that
docker and other programs use them too: in the program that credHelpers or
credsStore in docker's config.json name, otherwise in that file, unencrypted.
If only podman's auth.json exists, it is used instead.

The name and the password are asked for on a terminal. --password-stdin reads
the password from standard input.`,
		Example: `  mullion login registry.example.com
  echo "$TOKEN" | mullion login registry.example.com -u robot --password-stdin
  mullion login docker.io`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			host, err := registryHost(args[0])
			if err != nil {
				return err
			}
			user, password, err := c.askCredentials(cmd.Context(), user, fromStdin)
			if err != nil {
				return err
			}
			asked, err := registry.Authenticate(cmd.Context(), host, user, password, remote.options()...)
			switch {
			case errors.Is(err, registry.ErrCredentials):
				return registry.ErrCredentials // its answer repeats the request, not the reason
			case err != nil:
				return imageHint(err)
			case !asked:
				c.warnf("%s asks for no credentials, so that these were not verified", host)
			}
			f, err := openCredentials()
			if err != nil {
				return err
			}
			inFile, err := f.store(credentialKey(host), user, password)
			if err != nil {
				return err
			}
			done := loggedIn{Registry: host, User: user, Helper: f.helper(credentialKey(host))}
			if inFile {
				done.File = f.Filename
				c.warnf("the password is in %s, unencrypted; docker's credential helpers encrypt it", f.Filename)
			}
			if c.json {
				return c.printJSON(done)
			}
			return c.printf("logged in to %s as %s\n", host, user)
		},
	}
	remote.add(cmd)
	cmd.Flags().StringVarP(&user, "username", "u", "", "`NAME` of the user; asked for if it is not set")
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from standard input")
	return cmd
}

func newLogoutCommand(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "logout REGISTRY",
		Short: "Remove the stored credentials of a registry",
		Long: `Remove the credentials of a registry, HOST or HOST:PORT, from where "mullion
login" and "docker login" keep them. Without any, a note is printed.`,
		Example: `  mullion logout registry.example.com`,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			host, err := registryHost(args[0])
			if err != nil {
				return err
			}
			f, err := openCredentials()
			if err != nil {
				return err
			}
			had, err := f.erase(credentialKey(host))
			if err != nil {
				return err
			}
			if !had {
				c.warnf("no credentials of %s are stored", host)
			}
			if c.json {
				return c.printJSON(loggedIn{Registry: host})
			}
			if !had {
				return nil
			}
			return c.printf("logged out of %s\n", host)
		},
	}
}

// registryHost returns the name of a registry as references have it.
func registryHost(s string) (string, error) {
	reg, err := name.NewRegistry(s)
	if err != nil || s == "" {
		return "", hintf(usagef("%s is not the name of a registry", quote(s)), "a registry is HOST or HOST:PORT, without https:// and without a path")
	}
	return reg.RegistryStr(), nil
}

// maxPassword is the longest password, in bytes; tokens are a few KiB.
const maxPassword = 64 << 10

// askCredentials returns the name and password of a user. It asks for what the flags do
// not give, on a terminal.
func (c *console) askCredentials(ctx context.Context, user string, fromStdin bool) (string, string, error) {
	if fromStdin {
		if user == "" {
			return "", "", usagef("--password-stdin needs --username")
		}
		b, err := io.ReadAll(io.LimitReader(ctxio.Detach(ctx, c.in), maxPassword+1))
		if err != nil {
			return "", "", err
		}
		password := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
		switch {
		case password == "":
			return "", "", errors.New("the password on standard input is empty")
		case len(b) > maxPassword:
			return "", "", fmt.Errorf("the password on standard input is longer than %d bytes", maxPassword)
		}
		return user, password, nil
	}
	in, ok := c.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", "", hintf(errors.New("standard input is no terminal, on which the password could be asked for"), "--username NAME --password-stdin read it from a pipe or file")
	}
	if user == "" {
		fmt.Fprint(c.err, "Username: ")
		line, err := readLine(ctx, in)
		if err != nil {
			return "", "", err
		}
		if user = strings.TrimSpace(line); user == "" {
			return "", "", errors.New("no user name was given")
		}
	}
	fmt.Fprint(c.err, "Password: ")
	password, err := readHidden(ctx, in)
	fmt.Fprintln(c.err)
	if err == nil && password == "" {
		err = errors.New("no password was given")
	}
	return user, password, err
}

func unlessEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// readLine reads a line of a terminal and nothing behind it.
func readLine(ctx context.Context, in *os.File) (string, error) {
	return unlessDone(ctx, func() (string, error) {
		var line []byte
		for b := make([]byte, 1); ; {
			n, err := in.Read(b)
			if err != nil || n == 1 && b[0] == '\n' {
				return string(line), unlessEOF(err)
			}
			if line = append(line, b[:n]...); len(line) > maxPassword {
				return "", fmt.Errorf("the line is longer than %d bytes", maxPassword)
			}
		}
	})
}

// unlessDone returns the result of read, or at the end of ctx its error while read still
// waits.
func unlessDone(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// readHidden reads a line of a terminal without echo. An interruption restores the echo.
func readHidden(ctx context.Context, in *os.File) (string, error) {
	fd := int(in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	line, err := unlessDone(ctx, func() (string, error) {
		b, err := term.ReadPassword(fd)
		return string(b), unlessEOF(err)
	})
	if ctx.Err() != nil {
		err = errors.Join(err, term.Restore(fd, before))
	}
	return line, err
}
