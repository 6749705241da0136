package wintar

import (
	"errors"

	"github.com/mullion/mullion/winsec"
)

// noMachine stands in for the machine that a layer comes from and does not name. It
// is the authority without machine or domain under which Windows has its own marks
// S-1-5-21-0-0-0-496 and -497, so that no account of any machine is meant by it.
var noMachine = winsec.MakeSID(5, 21, 0, 0, 0)

// parseSDDL reads the text form of a descriptor, which old tools wrote. foreign tells
// that it names accounts of a machine or domain by alias: these are kept under
// noMachine, since an account that exists nowhere grants nobody anything, while a
// descriptor that is left out grants everything to everyone in some formats.
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
