package offline

import "github.com/mullion/mullion/hives"

// Environment returns the variables of a process that starts now: those of the registry, as
// commands have changed it, with the words of the configuration over them.
func (c *Container) Environment() (*hives.Env, error) { return nil, errNotYet }
