// Package inventory lists the software that is installed in a Windows image, and writes
// the list as a software bill of materials.
//
// # Where Windows keeps the list
//
// There is no package database as on Linux. The SOFTWARE hive registers installed
// software in these places:
//
//	Microsoft\Windows NT\CurrentVersion                            the Windows itself: product, build, update
//	Microsoft\Windows\CurrentVersion\Uninstall\KEY                 one key a program, made by its installer
//	WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall\KEY     the same for 32-bit programs
//	Microsoft\Windows\CurrentVersion\Installer\UserData\SID\Products\CODE
//	                                                               one key a product of Windows Installer: InstallProperties,
//	                                                               and Patches with one key a patch; S-1-5-18 is for all users
//	Microsoft\Windows NT\CurrentVersion\ProfileList\SID            one key a user: the profile, whose NTUSER.DAT has such
//	                                                               keys below Software for the programs of that user
//	Microsoft\NET Framework Setup\NDP                               the .NET Framework: v4\Full, v3.5, v3.0\Setup, v2.0.50727, v1.1.4322
//	Microsoft\PowerShell\3\PowerShellEngine                        Windows PowerShell; 1 is that of version 2
//	Microsoft\PowerShellCore\InstalledVersions\GUID                PowerShell 6 and later, where Windows Installer installed it
//	Microsoft\InetStp                                              Internet Information Services
//	Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\NAME
//	                                                               one key a servicing package: updates, features, languages
//	Microsoft\Windows NT\CurrentVersion\HotFix\KB…                 updates of Windows before Vista
//
// The KB number of an update is in the name of its package; otherwise in the manifest of the
// package, Files\Windows\servicing\Packages\NAME.mum, as package/@identifier; otherwise in
// the value InstallLocation of the package's key; otherwise, for a cumulative update, in the
// list of [Releases], by build and revision. The property kbSource says which one it was:
// name, manifest, install-location, build. Without any package of a cumulative update, the
// revision of Windows Server shows the one that it has.
//
// The SYSTEM hive has the services and drivers:
//
//	CurrentControlSet\Services\NAME           one key each, if it has a value Type; the control set is that of Select\Current
//
// .NET is a set of directories, Files\Program Files\dotnet and Files\Program Files (x86)\dotnet:
//
//	shared\NAME\VERSION\NAME.deps.json        a runtime, by the name that dotnet --list-runtimes prints
//	sdk\VERSION\dotnet.dll                    an SDK
//	host\fxr\VERSION\hostfxr.dll              the host that selects a runtime
//
// PowerShell from an archive and OpenSSH are known by a file, pwsh.dll and sshd.exe, whose version resource has
// their version. In Files\Windows only System32\OpenSSH counts.
//
// In an image these are in the base layer's hive and in the delta hives of the layers
// above it, so the list is read from the merged hive. A program that was only copied into
// the image, without an installer, is in none of these places; its executable files are in
// the list.
//
// # Executable files
//
// Files .exe, .com, .scr, .cpl, .efi, .dll, .ocx, .ax, .node, .pyd, .sys and .drv that are PE
// files are components of kind [Executable]. [WithExecutables] says which are listed. Their facts:
//
//	name                                  of the file
//	version                               the number of the file in VS_FIXEDFILEINFO, else the text FileVersion
//	publisher, language                   CompanyName of the version resource, and the language of its texts
//	architecture                          the machine in the header; empty for managed code that runs on any
//	properties product, productVersion, description, originalName
//	                                      of the version resource
//	property machine                      the number of a machine that has no name in Go; "any" for managed code
//	property signature                    "embedded"; "catalog": a catalog in CatRoot has the digest of the file; "none"
//	property signatureCatalog             file name of the catalog
//	properties signer, signerIssuer       common names in the certificate that signs
//	property signatureCheck               "matches": the signature is that of the certificate's key and signs this
//	                                      content; else what is wrong
//	property signatureTime                as a countersignature or time stamp states it; not verified
//
// That a certificate is trusted, valid at a time or not revoked is never checked: a signer is a
// name, not a proof. Signatures nested in another, and page hashes, are not read.
//
// # Properties
//
// Facts of few components are properties (Component.Properties):
//
//	program, update   installLocation    the directory, as the installer wrote it
//	                  parent             the Uninstall key or product code of the program that this one updates
//	                  patchCode          the GUID of a patch of Windows Installer
//	                  systemComponent    "true": Windows does not show the program
//	                  user               the SID of the only user who has it; S-1-5-18 is Windows itself
//	runtime           fullVersion        where Version is shorter: the number of the .NET Framework, "4.8.04161", or that of the
//	                                     file of PowerShell or OpenSSH, "8.1.0.1"
//	                  installLocation    the directory, as setup wrote it
//	                  release            of the .NET Framework from 4.5 on: the number that Microsoft documents
//	                  servicePack        of the .NET Framework before 4
//	service, driver   account            the account that a service runs as, or the name of a driver object
//	                  displayName        as it stands; @FILE,-NUMBER is a text in a resource
//	                  imagePath          as it stands, with variables and arguments
//	                  serviceDll         the library that a shared process loads for it
//	                  start              boot, system, automatic, automatic-delayed, manual or disabled
//	                  type               kernel-driver, file-system-driver, recognizer-driver, adapter, own-process,
//	                                     share-process; before the last two: interactive-, user-, user-instance-
//
// # Use
//
// [Of] lists from an image, [Run] from any [System]. [Inventory.Select] chooses kinds.
// [WriteCycloneDX], [WriteSPDX] and [WriteSyft] write the result as a document. Equal images
// of one name make equal documents: the time in a document is that of the image. The
// packages of programming languages need catalogers that another module registers, see
// [RegisterLanguages].
//
// # Documents
//
// What the formats have for a fact of a component:
//
//	                CycloneDX 1.6                  SPDX 2.3                   Syft 16
//	name, version   name, version                  name, versionInfo          name, version
//	publisher       publisher                      supplier                   none
//	CPEs            cpe, properties syft:cpe23     externalRefs, SECURITY     cpes
//	package URL     purl                           externalRefs               purl
//	KB              externalReferences, advisories externalRefs, advisory     an artifact msrc-kb
//	SHA-256         hashes                         checksums                  digests of files
//	licenses        licenses                       licenseDeclared            licenses
//	evidence        evidence.occurrences           sourceInfo                 locations
//	layer           a component that depends on    a package that CONTAINS it layerID of the location
//	                the components it brings
//	skipped items   metadata.properties            annotations of the image   unknowns of files
//	other facts     properties mullion:…           comment                    none
//
// Grype matches Windows by a CPE, in a package: in CycloneDX that is a component inside the
// operating system, which readers of packages pass over. It matches updates by packages of
// the type msrc-kb: the name is the number of a product in Microsoft's security guide, the
// version the number of an article without "KB", or "base" for a product without a known
// update. In CycloneDX they are inside the component of the update.
//
// # Proven, inferred, unknown
//
//	digest that Authenticode signs            documented by Microsoft; compared with osslsigncode. That a file is filled up to 8 bytes
//	                                          before a catalog has its digest is inferred from osslsigncode
//	members of catalogs                       structure documented by Microsoft (CTL_INFO, SpcIndirectDataContent); identifiers without
//	                                          attributes are inferred: a digest, or its digits in UTF-16
//	values of Uninstall keys                  documented by Microsoft (Uninstall Registry Key)
//	keys of Windows Installer                 how codes are packed, and states of patches, as Wine's tests of msi.dll, which
//	                                          pass on Windows, write them; the words of the states from msi.h
//	keys of the .NET Framework                documented by Microsoft, with the release of each version
//	keys of PowerShell 6 and later            documented by Microsoft (Installing PowerShell on Windows)
//	keys of Windows PowerShell and of IIS     as programs of many read them; not from Microsoft's documents
//	directories of .NET                       documented by Microsoft (How to check that .NET is already installed); that a version
//	                                          without its main file is not installed is inferred
//	CPE and package URL of .NET               CPE as Syft writes it: .net, .net_core below 5, asp.net_core; previews have none
//	CPE of the .NET Framework, PowerShell     names of the National Vulnerability Database
//	product version of OpenSSH                "OpenSSH_8.1p1 for Windows", from published version resources of System32\OpenSSH; its
//	                                          CPE, openbsd:openssh, is left out there, since Windows corrects it with its updates
//	product version of PowerShell             the semantic version, a space and a commit: inferred; else the number is the version
//	programs of a user                        proven (a genuine NTUSER.DAT has six)
//	directories of profiles                   documented by Microsoft (User Profiles); C: is the only drive of an image
//	values of services                        documented by Microsoft (winsvc.h, Services registry tree); which keys are services
//	                                          is inferred: those with a Type, 416, 682 and 134 in three genuine hives
//	names of servicing packages               the assembly identity NAME~TOKEN~ARCH~LANGUAGE~VERSION, as DISM prints it
//	CurrentState of a servicing package       proven: Microsoft's chart of servicing states (TechNet, Tip of the Day, 2015-10-12)
//	CPE of Windows                            proven: the names of the National Vulnerability Database; windows_server_23h2, the second one of
//	                                          that release, is Microsoft's in its CVE records (CVE-2024-43582)
//	CPE of Windows Server 1709 and 1803       unknown, left out
//	number in the security guide              proven for Server 2016, 2019, 2022, 2025 and 23H2 in Server Core; inferred for Nano Server, as the
//	                                          full installation; unknown for the semi-annual channel and for clients, left out
//	package URL of Windows                    proven: the names that OSV-SCALIBR gives; inferred for releases that it does not know
//	package/@identifier of a manifest         proven for updates in public samples; features have KB777778 there, which is no article
//	KB in InstallLocation                     inferred from the names of the files that updates come in
//	InstallTimeHigh, InstallTimeLow           inferred: the halves of a FILETIME
//	parts of updates, Package_N_for_X         inferred: not listed where Package_for_X is
//	list of releases                          proven as far as public lists repeat the titles of Microsoft's articles: some rows
//	                                          rest on one list only; see builds.txt
//	product of updates of .NET Framework      unknown: the security guide has own numbers for them, so they have none here
//	optional features and capabilities        unknown: the values Updates and the key CapabilityIndex are not documented; left out
package inventory
