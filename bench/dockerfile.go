package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/mullion/mullion/bench/table"
)

func init() { areas["dockerfile"] = area{run: benchDockerfile} }

// benchDockerfile builds the example over the example image, with the layers' indexes in a
// cache, as from the second build on, and without. No other program can carry out this
// Dockerfile where there is no Windows; the floor copies the base image.
func benchDockerfile(cache string) (err error) {
	mullion := filepath.Join(cache, "mullion")
	if err := build("..", mullion, "./cmd/mullion"); err != nil {
		return err
	}
	work, err := os.MkdirTemp(options.dir, "mullion-dockerfile-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	hello, err := filepath.Abs(filepath.Join("..", "examples", "hello", "hello.tar"))
	if err != nil {
		return err
	}
	out := filepath.Join(work, "out")
	command := func(caching string, args ...string) func() (*exec.Cmd, error) {
		return func() (*exec.Cmd, error) {
			if err := os.RemoveAll(out); err != nil {
				return nil, err
			}
			cmd := exec.Command(mullion, args...)
			cmd.Env = append(os.Environ(), "MULLION_CACHE="+caching)
			return cmd, nil
		}
	}
	sample := []string{"build", "--build-context", "hello=oci-archive:" + hello, "-o", "oci:" + out + ":v1", filepath.Join("..", "examples", "build")}
	_, err = table.Run(os.Stdout, table.Group{Title: "Build of the sample, seven layers; the goal is 100 ms", Runs: 15, Cases: []table.Case{
		{Name: "mullion build", Role: table.Ours, Command: command(filepath.Join(work, "cache"), sample...)},
		{Name: "mullion build, no cache", Role: table.Ours, Command: command("off", sample...)},
		{Name: "mullion copy of the base", Role: table.Floor, Command: command("off", "copy", "oci-archive:"+hello, "oci:"+out+":v1")},
	}})
	return err
}
