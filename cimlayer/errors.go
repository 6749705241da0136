package cimlayer

import "errors"

// The errors of layers kept as images, beside those of package layer.
var (
	// ErrChain says that the parents given cannot be the parents of a layer.
	ErrChain = errors.New("invalid chain of parent layers")
	// ErrHive says that a hive of a layer is missing or cannot be used.
	ErrHive = errors.New("hive of the layer cannot be used")
	// ErrUtilityVM says that the utility VM of a directory cannot be started.
	ErrUtilityVM = errors.New("incomplete utility VM")
	// ErrNoHive says that a base layer lacks a hive; see WithMissingHives.
	ErrNoHive = errors.New("the layer has no such hive")
)
