package scan

import (
	cpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/depsjson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/packagesconfig"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/packageslockjson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/golang/gobinary"
	"github.com/google/osv-scalibr/extractor/filesystem/language/java/archive"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/packagejson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/packagelockjson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/php/composerlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/python/wheelegg"
	"github.com/google/osv-scalibr/extractor/filesystem/language/ruby/gemspec"
	"github.com/google/osv-scalibr/extractor/filesystem/os/chocolatey"
	"github.com/mullion/mullion/inventory"
)

// makers make the extractors of Catalogers.
var makers = []func(*cpb.PluginConfig) (filesystem.Extractor, error){
	gobinary.New, packagejson.New, packagelockjson.New, wheelegg.New, depsjson.New, packagesconfig.New, packageslockjson.New,
	newJava, composerlock.New, gemspec.New, chocolatey.New,
}

// ruleOf has the rules of extractors by name.
var ruleOf = map[string]rules{
	gobinary.Name:         {maxSize: maxBinary, exts: []string{".exe", ".dll"}},
	packagejson.Name:      {maxSize: maxText},
	packagelockjson.Name:  {maxSize: maxText, around: true, own: true},
	wheelegg.Name:         {maxSize: maxBinary, extract: extractWheel},
	depsjson.Name:         {maxSize: maxText},
	packagesconfig.Name:   {maxSize: maxText},
	packageslockjson.Name: {maxSize: maxText},
	archive.Name:          {maxSize: maxBinary},
	composerlock.Name:     {maxSize: maxText},
	gemspec.Name:          {maxSize: maxText, around: true},
	chocolatey.Name:       {maxSize: maxText},
}

// Catalogers returns new catalogers of all languages that the package knows.
func Catalogers() []inventory.Cataloger {
	var all []inventory.Cataloger
	for _, make := range makers {
		e, err := make(&cpb.PluginConfig{MaxFileSizeBytes: maxBinary})
		if err != nil {
			panic("scan: " + err.Error()) // the configuration is a constant
		}
		c := Cataloger(e).(*cataloger)
		if e.Name() == archive.Name {
			c.extract = extractJava
		}
		all = append(all, c)
	}
	return all
}
