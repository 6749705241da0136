package wintar

import "github.com/mullion/mullion/winsec"

// parseSDDL reads the text form of a descriptor, which old tools wrote.
func parseSDDL(text string) ([]byte, error) {
	d, err := winsec.ParseSDDL(text)
	if err != nil {
		return nil, err
	}
	return d.Bytes()
}
