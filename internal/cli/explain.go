package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// examples are the examples in the help of commands that do not set their own, by
// command path. A test parses them with the flags and arguments of the commands.
var examples = map[string]string{
	"inspect": `mullion inspect oci-archive:hello.tar
mullion inspect mcr.microsoft.com/windows/nanoserver:ltsc2022
mullion inspect --layers oci-archive:hello.tar
mullion inspect --platform 'windows(10.0.20348)/amd64' docker://registry/app:1
mullion inspect --waste oci:layout:v1
mullion inspect --json oci:layout:v1 | jq -r '.layers[].diffID'`,
	"ls": `mullion ls oci-archive:hello.tar Files/Windows
mullion ls -l -R tar:layer.tar.gz
mullion ls --layer 1 oci:layout:v1
mullion ls --json -R oci:layout:v1 | jq -r 'select(.size > 1e6) | .path'`,
	"cat": `mullion cat oci-archive:hello.tar Files/hello/hello.txt
mullion cat tar:layer.tar 'Files\hello\hello.txt:Zone.Identifier'
mullion cat oci:layout:v1 'Hives\SOFTWARE_BASE' -o SOFTWARE`,
	"convert": `mullion convert tar:layer.tar.gz wclayer:layer
mullion convert --parent wclayer:base tar:app.tar.gz wclayer:app
mullion convert cim:base.cim tar:base.tar.zst
mullion convert wclayer:layer tar:- | sha256sum`,
	"copy": `mullion copy mcr.microsoft.com/windows/nanoserver:ltsc2022 oci:layout:ltsc2022
mullion copy --all docker://registry/app:1 oci-archive:app.tar
mullion copy oci:layout:v1 docker://localhost:5000/app:v1`,
	"build": `mullion build -o oci:layout:v1 .
mullion build -f app.Dockerfile --build-arg VERSION=1.2 -o oci:layout:v2 src
mullion build --build-context base=oci:layout:base -o registry/app:1 src
mullion build --target data -t v1 -o oci-archive:data.tar src
mullion build --commands`,
	"check": `mullion check oci-archive:hello.tar
mullion check --severity error docker://registry/app:1
mullion check --parent tar:base.tar tar:app.tar
mullion check --format sarif --fail-on never tar:app.tar
mullion check --ignore 'link-target-missing:Files/app/**' tar:app.tar
mullion check --rules`,
	"os-version": `mullion os-version oci-archive:hello.tar
mullion os-version --verbose tar:base.tar.gz
mullion os-version --parent tar:base.tar tar:app.tar`,
	"env": `mullion env oci-archive:hello.tar
mullion env --json oci:layout:v1 | jq -r '.[] | .name + " " + .source'`,
	"sbom": `mullion sbom oci-archive:hello.tar -o hello.cdx.json
mullion sbom -f spdx mcr.microsoft.com/windows/nanoserver:ltsc2022
mullion sbom -f table --kind os,update,program oci:layout:v1
mullion sbom -f table --parent tar:base.tar tar:app.tar
mullion sbom --attach -f syft registry.example.com/app:v1
mullion sbom --from-registry -f syft registry.example.com/app:v1 | grype`,
	"updates": `mullion updates oci-archive:hello.tar
mullion updates --latest 10.0.20348.2762 oci:layout:v1
mullion updates --json oci:layout:v1 | jq -r '.updates[].kb'`,
	"serve": `mullion serve --print-config
mullion serve --root /var/lib/mullion --address /run/mullion.sock`,
	"version": `mullion version`,
	"man":     `mullion man share/man/man1`,

	"hive query": `mullion hive query SOFTWARE 'Microsoft\Windows NT\CurrentVersion' -v UBR
mullion hive query SYSTEM 'ControlSet001\Services\wcifs'
mullion hive query SOFTWARE 'Vendor\key\\u0000with NUL'
mullion hive query -s System_Delta
mullion hive query oci:layout:v1 'HKLM\SOFTWARE\Vendor'
mullion hive query --layer 1 oci:layout:v1 'SYSTEM\CurrentControlSet'`,
	"hive add": `mullion hive add SOFTWARE 'Vendor\App' -v Level -t REG_DWORD -d 3
mullion hive add SOFTWARE App -v Paths -t REG_MULTI_SZ -d 'C:\a\0C:\b' -o NEW
mullion hive add SYSTEM 'HKLM\SYSTEM\CurrentControlSet\Services\mine'`,
	"hive delete": `mullion hive delete SOFTWARE 'Vendor\App' -v Level
mullion hive delete SOFTWARE 'Vendor\App'`,
	"hive export": `mullion hive export SOFTWARE 'Vendor\App' -o app.reg
mullion hive export SOFTWARE
mullion hive export oci:layout:v1 'HKLM\SOFTWARE\Vendor' -o vendor.reg`,
	"hive import": `mullion hive import SOFTWARE app.reg`,
	"hive diff":   `mullion hive diff SOFTWARE.old SOFTWARE -o Software_Delta`,
	"hive merge": `mullion hive merge SOFTWARE Software_Delta -o SOFTWARE_BASE
mullion hive merge SYSTEM lower_Delta upper_Delta -o SYSTEM_BASE`,
	"hive dump":  `mullion hive dump SOFTWARE | jq -r 'select(.values | length > 100) | .path'`,
	"hive check": `mullion hive check SOFTWARE`,
	"hive recover": `mullion hive recover SYSTEM --log SYSTEM.LOG1 --log SYSTEM.LOG2 -o CLEAN
mullion hive query --log SYSTEM.LOG1 --log SYSTEM.LOG2 SYSTEM Select
mullion hive recover --deleted --json NTUSER.DAT | jq -r .path`,
	"hive repair": `mullion hive repair SOFTWARE -o SOFTWARE.sound
mullion hive repair --log SYSTEM.LOG1 --log SYSTEM.LOG2 SYSTEM -o REPAIRED`,
	"hive new":             `mullion hive new -o EMPTY`,
	"hive os-version":      `mullion hive os-version SOFTWARE`,
	"hive enable-cim-boot": `mullion hive enable-cim-boot SYSTEM -o SYSTEM_BASE`,
	"hive bcd": `mullion hive bcd BCD
mullion hive bcd --set BCD '{default}' locale de-DE -o BCD.new`,

	"cim info": `mullion cim info base.cim`,
	"cim ls": `mullion cim ls base.cim Files/Windows
mullion cim ls --json base.cim`,
	"cim cat":   `mullion cim cat base.cim Files/Windows/win.ini`,
	"cim check": `mullion cim check base.cim`,
	"cim create": `mullion cim create tar:base.tar.gz base.cim
mullion cim create folder files.cim`,
	"cim extract": `mullion cim extract base.cim folder
mullion cim extract base.cim tar:base.tar`,
	"cim fork":    `mullion cim fork base.cim tar:app.tar.gz app.cim`,
	"cim rewrite": `mullion cim rewrite old.cim new/old.cim --cim-version 3`,
}

// explain sets the examples of every command and makes errors about the number of
// arguments name the expected ones.
func explain(cmd *cobra.Command) {
	path := strings.TrimPrefix(cmd.CommandPath(), "mullion ")
	if text := examples[path]; text != "" && cmd.Example == "" {
		cmd.Example = "  " + strings.ReplaceAll(text, "\n", "\n  ")
	}
	if valid := cmd.Args; valid != nil && !cmd.HasSubCommands() {
		_, takes, ok := strings.Cut(cmd.Use, " ")
		if !ok {
			takes = "no arguments"
		}
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			var own *usageError
			if err := valid(cmd, args); errors.As(err, &own) {
				return err
			} else if err != nil {
				return fmt.Errorf("%s takes %s; %s given", path, takes, count(len(args), "argument"))
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		explain(sub)
	}
}

// count returns n and noun as the start of a passive clause: "no argument was", "1
// argument was", "2 arguments were".
func count(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun + " was"
	case 1:
		return "1 " + noun + " was"
	}
	return fmt.Sprintf("%d %ss were", n, noun)
}
