package regtext_test

import (
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/regf/regtext"
)

func Example() {
	const text = `Windows Registry Editor Version 5.00

[HKEY_LOCAL_MACHINE\SOFTWARE\Example]
"Count"=dword:0000002a
"Path"=hex(2):25,00,54,00,25,00,00,00
`
	h := regf.New(nil)
	if _, err := regtext.Import(h, strings.NewReader(text), regtext.ImportOptions{}); err != nil {
		log.Fatal(err)
	}
	k, err := h.Key("Example")
	if err != nil {
		log.Fatal(err)
	}
	for v, err := range k.Values() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(v.Name(), v.Type())
	}
	// Windows text has two characters at the end of a line; one is enough to show.
	var out strings.Builder
	if err := regtext.Export(&out, k, regtext.Options{Prefix: "HKEY_USERS\\X", Encoding: regtext.UTF8}); err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(os.Stdout, strings.ReplaceAll(out.String(), "\r\n", "\n"))
	// Output:
	// Count REG_DWORD
	// Path REG_EXPAND_SZ
	// Windows Registry Editor Version 5.00
	//
	// [HKEY_USERS\X\Example]
	// "Count"=dword:0000002a
	// "Path"=hex(2):25,00,54,00,25,00,00,00
}
