package winsec

import "fmt"

// Well-known SIDs that occur in layers.
var (
	Everyone              = MakeSID(1, 0)
	CreatorOwner          = MakeSID(3, 0)
	CreatorGroup          = MakeSID(3, 1)
	OwnerRights           = MakeSID(3, 4)
	AuthenticatedUsers    = MakeSID(5, 11)
	RestrictedCode        = MakeSID(5, 12)
	LocalSystem           = MakeSID(5, 18)
	LocalService          = MakeSID(5, 19)
	NetworkService        = MakeSID(5, 20)
	BuiltinAdministrators = MakeSID(5, 32, 544)
	BuiltinUsers          = MakeSID(5, 32, 545)
	// TrustedInstaller is the service that owns the files of Windows.
	TrustedInstaller = MakeSID(5, 80, 956008885, 3418522649, 1831038044, 1853292631, 2271478464)
	// VirtualMachines is the group of all Hyper-V virtual machines, which must be
	// able to read the disks of a base layer.
	VirtualMachines        = MakeSID(5, 83, 0)
	AllApplicationPackages = MakeSID(15, 2, 1)
)

// aliases are the two-letter names of SDDL (MS-DTYP 2.5.1.1 and sddl.h). An entry without a
// SID is for a relative identifier in a domain.
var aliases = []struct {
	alias string
	name  string
	sid   SID
	rid   uint32
}{
	{"WD", "Everyone", Everyone, 0},
	{"CO", "CREATOR OWNER", CreatorOwner, 0},
	{"CG", "CREATOR GROUP", CreatorGroup, 0},
	{"OW", "OWNER RIGHTS", OwnerRights, 0},
	{"NU", `NT AUTHORITY\NETWORK`, MakeSID(5, 2), 0},
	{"IU", `NT AUTHORITY\INTERACTIVE`, MakeSID(5, 4), 0},
	{"SU", `NT AUTHORITY\SERVICE`, MakeSID(5, 6), 0},
	{"AN", `NT AUTHORITY\ANONYMOUS LOGON`, MakeSID(5, 7), 0},
	{"ED", `NT AUTHORITY\ENTERPRISE DOMAIN CONTROLLERS`, MakeSID(5, 9), 0},
	{"PS", `NT AUTHORITY\SELF`, MakeSID(5, 10), 0},
	{"AU", `NT AUTHORITY\Authenticated Users`, AuthenticatedUsers, 0},
	{"RC", `NT AUTHORITY\RESTRICTED`, RestrictedCode, 0},
	{"SY", `NT AUTHORITY\SYSTEM`, LocalSystem, 0},
	{"LS", `NT AUTHORITY\LOCAL SERVICE`, LocalService, 0},
	{"NS", `NT AUTHORITY\NETWORK SERVICE`, NetworkService, 0},
	{"WR", `NT AUTHORITY\WRITE RESTRICTED`, MakeSID(5, 33), 0},
	{"BA", `BUILTIN\Administrators`, BuiltinAdministrators, 0},
	{"BU", `BUILTIN\Users`, BuiltinUsers, 0},
	{"BG", `BUILTIN\Guests`, MakeSID(5, 32, 546), 0},
	{"PU", `BUILTIN\Power Users`, MakeSID(5, 32, 547), 0},
	{"AO", `BUILTIN\Account Operators`, MakeSID(5, 32, 548), 0},
	{"SO", `BUILTIN\Server Operators`, MakeSID(5, 32, 549), 0},
	{"PO", `BUILTIN\Print Operators`, MakeSID(5, 32, 550), 0},
	{"BO", `BUILTIN\Backup Operators`, MakeSID(5, 32, 551), 0},
	{"RE", `BUILTIN\Replicator`, MakeSID(5, 32, 552), 0},
	{"RU", `BUILTIN\Pre-Windows 2000 Compatible Access`, MakeSID(5, 32, 554), 0},
	{"RD", `BUILTIN\Remote Desktop Users`, MakeSID(5, 32, 555), 0},
	{"NO", `BUILTIN\Network Configuration Operators`, MakeSID(5, 32, 556), 0},
	{"MU", `BUILTIN\Performance Monitor Users`, MakeSID(5, 32, 558), 0},
	{"LU", `BUILTIN\Performance Log Users`, MakeSID(5, 32, 559), 0},
	{"IS", `BUILTIN\IIS_IUSRS`, MakeSID(5, 32, 568), 0},
	{"CY", `BUILTIN\Cryptographic Operators`, MakeSID(5, 32, 569), 0},
	{"ER", `BUILTIN\Event Log Readers`, MakeSID(5, 32, 573), 0},
	{"CD", `BUILTIN\Certificate Service DCOM Access`, MakeSID(5, 32, 574), 0},
	{"RA", `BUILTIN\RDS Remote Access Servers`, MakeSID(5, 32, 575), 0},
	{"ES", `BUILTIN\RDS Endpoint Servers`, MakeSID(5, 32, 576), 0},
	{"MS", `BUILTIN\RDS Management Servers`, MakeSID(5, 32, 577), 0},
	{"HA", `BUILTIN\Hyper-V Administrators`, MakeSID(5, 32, 578), 0},
	{"AA", `BUILTIN\Access Control Assistance Operators`, MakeSID(5, 32, 579), 0},
	{"RM", `BUILTIN\Remote Management Users`, MakeSID(5, 32, 580), 0},
	{"HO", `BUILTIN\User Mode Hardware Operators`, MakeSID(5, 32, 584), 0},
	{"SH", `BUILTIN\OpenSSH Users`, MakeSID(5, 32, 585), 0},
	{"UD", `NT AUTHORITY\USER MODE DRIVERS`, MakeSID(5, 84, 0, 0, 0, 0, 0), 0},
	{"AC", `APPLICATION PACKAGE AUTHORITY\ALL APPLICATION PACKAGES`, AllApplicationPackages, 0},
	{"LW", `Mandatory Label\Low Mandatory Level`, MakeSID(16, 4096), 0},
	{"ME", `Mandatory Label\Medium Mandatory Level`, MakeSID(16, 8192), 0},
	{"MP", `Mandatory Label\Medium Plus Mandatory Level`, MakeSID(16, 8448), 0},
	{"HI", `Mandatory Label\High Mandatory Level`, MakeSID(16, 12288), 0},
	{"SI", `Mandatory Label\System Mandatory Level`, MakeSID(16, 16384), 0},
	{"AS", "Authentication authority asserted identity", MakeSID(18, 1), 0},
	{"SS", "Service asserted identity", MakeSID(18, 2), 0},
	{"RO", "Enterprise Read-only Domain Controllers", SID{}, 498},
	{"LA", "Administrator", SID{}, 500},
	{"LG", "Guest", SID{}, 501},
	{"DA", "Domain Admins", SID{}, 512},
	{"DU", "Domain Users", SID{}, 513},
	{"DG", "Domain Guests", SID{}, 514},
	{"DC", "Domain Computers", SID{}, 515},
	{"DD", "Domain Controllers", SID{}, 516},
	{"CA", "Cert Publishers", SID{}, 517},
	{"SA", "Schema Admins", SID{}, 518},
	{"EA", "Enterprise Admins", SID{}, 519},
	{"PA", "Group Policy Creator Owners", SID{}, 520},
	{"CN", "Cloneable Domain Controllers", SID{}, 522},
	{"AP", "Protected Users", SID{}, 525},
	{"KA", "Key Admins", SID{}, 526},
	{"EK", "Enterprise Key Admins", SID{}, 527},
	{"RS", "RAS and IAS Servers", SID{}, 553},
}

// otherNames are well-known SIDs without an alias.
var otherNames = map[SID]string{
	MakeSID(0, 0):          "NULL SID",
	MakeSID(2, 0):          "LOCAL",
	MakeSID(2, 1):          "CONSOLE LOGON",
	MakeSID(5, 1):          `NT AUTHORITY\DIALUP`,
	MakeSID(5, 3):          `NT AUTHORITY\BATCH`,
	MakeSID(5, 8):          `NT AUTHORITY\PROXY`,
	MakeSID(5, 13):         `NT AUTHORITY\TERMINAL SERVER USER`,
	MakeSID(5, 14):         `NT AUTHORITY\REMOTE INTERACTIVE LOGON`,
	MakeSID(5, 15):         `NT AUTHORITY\This Organization`,
	MakeSID(5, 17):         `NT AUTHORITY\IUSR`,
	MakeSID(5, 32, 557):    `BUILTIN\Incoming Forest Trust Builders`,
	MakeSID(5, 32, 581):    `BUILTIN\System Managed Accounts Group`,
	MakeSID(5, 32, 582):    `BUILTIN\Storage Replica Administrators`,
	MakeSID(5, 32, 583):    `BUILTIN\Device Owners`,
	MakeSID(5, 80, 0):      `NT SERVICE\ALL SERVICES`,
	TrustedInstaller:       `NT SERVICE\TrustedInstaller`,
	VirtualMachines:        `NT VIRTUAL MACHINE\Virtual Machines`,
	MakeSID(5, 90, 0):      `Window Manager\Window Manager Group`,
	MakeSID(15, 2, 2):      `APPLICATION PACKAGE AUTHORITY\ALL RESTRICTED APPLICATION PACKAGES`,
	MakeSID(16, 0):         `Mandatory Label\Untrusted Mandatory Level`,
	MakeSID(16, 20480):     `Mandatory Label\Protected Process Mandatory Level`,
	MakeSID(5, 113):        `NT AUTHORITY\Local account`,
	MakeSID(5, 114):        `NT AUTHORITY\Local account and member of Administrators group`,
	MakeSID(5, 64, 10):     `NT AUTHORITY\NTLM Authentication`,
	MakeSID(5, 64, 14):     `NT AUTHORITY\SChannel Authentication`,
	MakeSID(5, 64, 21):     `NT AUTHORITY\Digest Authentication`,
	MakeSID(5, 1000):       `NT AUTHORITY\Other Organization`,
	MakeSID(5, 65, 1):      `NT AUTHORITY\This Organization Certificate`,
	MakeSID(5, 93, 2, 1):   `User Manager\ContainerAdministrator`,
	MakeSID(5, 93, 2, 2):   `User Manager\ContainerUser`,
	MakeSID(19, 512, 1024): "Protected process light (authenticode)",
}

var (
	sidByAlias  = map[string]int{} // index into aliases
	aliasBySID  = map[SID]int{}
	aliasByRID  = map[uint32]string{}
	domainFirst = MakeSID(5, 21) // prefix of every domain SID
)

func init() {
	for i, a := range aliases {
		sidByAlias[a.alias] = i
		if a.sid.IsValid() {
			aliasBySID[a.sid] = i
		} else {
			aliasByRID[a.rid] = a.alias
		}
	}
}

// ofMachine reports whether an alias is that of an account of the machine.
func ofMachine(alias string) bool { return alias == "LA" || alias == "LG" }

// ParseSIDAlias resolves a two-letter alias of SDDL, in upper case. Seventeen of them, such
// as DA for domain administrators, are relative to a domain (LA and LG to the machine):
// without a valid domain SID the error is an [AliasError]. An unknown alias is [ErrBadSID].
func ParseSIDAlias(alias string, domain SID) (SID, error) {
	i, ok := sidByAlias[alias]
	if !ok {
		return SID{}, fmt.Errorf("%w: unknown alias %.20q", ErrBadSID, alias)
	}
	if a := &aliases[i]; a.sid.IsValid() {
		return a.sid, nil
	}
	if s := domain.Child(aliases[i].rid); s.IsValid() {
		return s, nil
	}
	return SID{}, &AliasError{alias, ofMachine(alias)}
}

// Alias returns the two-letter alias of a SID, or "". If domain is valid, the accounts of
// that domain have aliases too.
func (s SID) Alias(domain SID) string {
	if i, ok := aliasBySID[s]; ok {
		return aliases[i].alias
	}
	if domain.IsValid() {
		if d, rid, ok := s.Domain(); ok && d == domain {
			return aliasByRID[rid]
		}
	}
	return ""
}

// Name returns the English account name of a well-known SID, or "". For accounts of domains
// the name follows from the relative identifier: "Domain Admins".
func (s SID) Name() string {
	if i, ok := aliasBySID[s]; ok {
		return aliases[i].name
	}
	if n, ok := otherNames[s]; ok {
		return n
	}
	if s.count == 5 && s.authority == domainFirst.authority && s.sub[0] == domainFirst.sub[0] {
		if a, ok := aliasByRID[s.sub[4]]; ok {
			return aliases[sidByAlias[a]].name
		}
	}
	return ""
}
