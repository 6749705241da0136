package regf

import "encoding/hex"

// defaultSecurityHex is the descriptor that offreg gives to the root of a hive it
// creates: owner and group BUILTIN\Administrators,
// D:(A;CI;KA;;;SY)(A;CI;KA;;;BA)(A;CI;KR;;;WD)(A;CI;KR;;;RC), in the order owner,
// group, list, which is that of the samples (registry specification, section 1.9).
const defaultSecurityHex = "" +
	"01000480" + "14000000" + "24000000" + "00000000" + "34000000" + // revision, control, owner, group, SACL, DACL
	"0102" + "000000000005" + "20000000" + "20020000" +
	"0102" + "000000000005" + "20000000" + "20020000" +
	"0200" + "5c00" + "0400" + "0000" +
	"0002" + "1400" + "3f000f00" + "0101" + "000000000005" + "12000000" + // SY, all
	"0002" + "1800" + "3f000f00" + "0102" + "000000000005" + "20000000" + "20020000" + // BA, all
	"0002" + "1400" + "19000200" + "0101" + "000000000001" + "00000000" + // WD, read
	"0002" + "1400" + "19000200" + "0101" + "000000000005" + "0c000000" // RC, read

func defaultSecurity() []byte {
	b, err := hex.DecodeString(defaultSecurityHex)
	if err != nil {
		panic("regf: default descriptor: " + err.Error()) // a constant of this file
	}
	return b
}
