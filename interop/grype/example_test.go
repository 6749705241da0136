package grype

import (
	"bytes"
	"context"
	"fmt"
	"log"

	"github.com/anchore/grype/grype"
	"github.com/anchore/grype/grype/matcher"
	"github.com/anchore/grype/grype/matcher/stock"
	"github.com/anchore/grype/grype/pkg"
	"github.com/anchore/grype/grype/version"
	"github.com/anchore/grype/grype/vulnerability"
	"github.com/anchore/grype/grype/vulnerability/mock"
	"github.com/anchore/syft/syft/cpe"
	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/archive"
	"github.com/mullion/mullion/inventory"
)

// Grype scans a Windows image. Errors are left out here.
func Example() {
	img, _ := image.Open(context.Background(), "oci-archive:../../examples/hello/hello.tar")
	defer img.Close()
	inv, subject, _ := inventory.Of(context.Background(), img)
	var document bytes.Buffer
	_ = inventory.WriteSyft(&document, inv, subject)
	packages, about, _, _ := pkg.ProvideFromReader(bytes.NewReader(document.Bytes()), pkg.ProviderConfig{})
	scanner := grype.VulnerabilityMatcher{VulnerabilityProvider: vulnerabilities(), Matchers: matchers}
	found, _, _ := scanner.FindMatches(packages, about)
	for _, m := range found.Sorted() {
		fmt.Println(m.Vulnerability.ID, m.Package.Name, m.Package.Version)
	}
	// Output: CVE-2024-90003 Windows Server 2022 Datacenter 10.0.20348.2700
}

// matchers are those of Grype's command: without UseCPEs Windows itself is not matched.
var matchers = matcher.NewDefaultMatchers(matcher.Config{Stock: stock.MatcherConfig{UseCPEs: true}})

// vulnerabilities stands for grype.LoadVulnerabilityDB, which downloads Grype's database.
func vulnerabilities() vulnerability.Provider {
	constraint, err := version.GetConstraint("< 10.0.20348.2762", version.UnknownFormat)
	if err != nil {
		log.Fatal(err)
	}
	return mock.VulnerabilityProvider(vulnerability.Vulnerability{
		Reference:   vulnerability.Reference{ID: "CVE-2024-90003", Namespace: "nvd:cpe"},
		PackageName: "windows_server_2022",
		Constraint:  constraint,
		CPEs:        []cpe.CPE{cpe.Must("cpe:2.3:o:microsoft:windows_server_2022:*:*:*:*:*:*:*:*", cpe.NVDDictionaryLookupSource)},
	})
}
