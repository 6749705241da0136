package inventory

import (
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

// osName is the name of the product.
func osName(v hives.OSVersion) string {
	if v.ProductName != "" {
		return v.ProductName
	}
	return "Microsoft Windows"
}
