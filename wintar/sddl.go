package wintar

import "github.com/mullion/mullion/layer"

func parseSDDL(string) ([]byte, error) { return nil, layer.ErrUnsupported }
