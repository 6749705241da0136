package inventory

import (
	"context"
	"iter"
	"strings"

	"github.com/mullion/mullion/hives"
)

// windowsCPE are the products of Windows Server in the National Vulnerability Database,
// by build. Base images are made of these.
var windowsCPE = map[uint32]string{
	14393: "windows_server_2016",
	17763: "windows_server_2019",
	20348: "windows_server_2022",
	25398: "windows_server_2022_23h2",
	26100: "windows_server_2025",
}

// osCPE names a Windows as vulnerability databases do, "" if the name is not known.
func osCPE(v hives.OSVersion) string {
	product := windowsCPE[v.Build]
	if product == "" || !strings.HasPrefix(v.Edition, "Server") && !strings.Contains(v.ProductName, "Server") {
		return ""
	}
	return "cpe:2.3:o:microsoft:" + product + ":" + v.String() + ":*:*:*:*:*:*:*"
}

// versionKey is the key in SOFTWARE with the version of Windows.
const versionKey = `Microsoft\Windows NT\CurrentVersion`

// windows finds Windows itself.
type windows struct{ registryOnly }

func (windows) Name() string { return "windows" }

func (windows) Catalog(_ context.Context, s System) iter.Seq2[Component, error] {
	return func(yield func(Component, error) bool) {
		where := KeyEvidence(hives.Software, versionKey)
		h, err := s.Hive(hives.Software)
		if err != nil {
			yield(Component{}, Skip(where, err))
			return
		}
		v, err := hives.OSVersionOf(h)
		if err != nil {
			yield(Component{}, Skip(where, err))
			return
		}
		c := Component{Kind: OS, Name: v.ProductName, Version: v.String(), Publisher: microsoft, Evidence: where}
		if c.Name == "" {
			c.Name = "Microsoft Windows"
		}
		if cpe := osCPE(v); cpe != "" {
			c.CPEs = []string{cpe}
		}
		c.SetProperty("edition", v.Edition)
		yield(c, nil)
	}
}
