package regf

import "github.com/mullion/mullion/winsec"

// defaultSecurity returns the descriptor that offreg gives to the root of a hive it
// creates, see winsec.RegistryDefault.
func defaultSecurity() []byte { return winsec.RegistryDefault() }
