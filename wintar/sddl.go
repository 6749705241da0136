package wintar

import (
	"errors"

	"github.com/mullion/mullion/winsec"
)

// noMachine replaces the unnamed machine from which a layer comes. It is the authority
// without machine or domain under which Windows has its own marks S-1-5-21-0-0-0-496 and
// -497, so that it matches no account of any machine.
var noMachine = winsec.MakeSID(5, 21, 0, 0, 0)

// parseSDDL reads the text form of a descriptor, which old tools wrote. foreign reports
// that it names accounts of a machine or domain by alias: these are kept under noMachine.
// An account that does not exist grants nothing, whereas omitting the descriptor would, in
// some formats, grant everything to everyone.
func parseSDDL(text string) (sd []byte, foreign bool, err error) {
	d, err := winsec.ParseSDDL(text)
	if errors.Is(err, winsec.ErrNeedDomain) {
		foreign = true
		d, err = winsec.ParseSDDL(text, winsec.WithDomain(noMachine))
	}
	if err != nil {
		return nil, false, err
	}
	sd, err = d.Bytes()
	return sd, foreign, err
}
