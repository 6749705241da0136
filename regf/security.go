package regf

import "github.com/mullion/mullion/winsec"

// defaultSecurity returns the descriptor that offreg sets on the root of a new hive, see
// winsec.RegistryDefault.
func defaultSecurity() []byte { return winsec.RegistryDefault() }
