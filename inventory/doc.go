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
//	Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\NAME
//	                                                               one key a servicing package: updates, features, languages
//	Microsoft\Windows NT\CurrentVersion\HotFix\KB…                 updates of Windows before Vista
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
// # Use
//
// [Read] lists from an open hive, [Of] from an image. [WriteCycloneDX], [WriteSPDX] and
// [WriteSyft] write the result as a document. Equal images of one name make equal
// documents: the time in a document is that of the image.
//
// # Proven, inferred, unknown
//
//	digest that Authenticode signs            documented by Microsoft; compared with osslsigncode. That a file is filled up to 8 bytes
//	                                          before a catalog has its digest is inferred from osslsigncode
//	members of catalogs                       structure documented by Microsoft (CTL_INFO, SpcIndirectDataContent); identifiers without
//	                                          attributes are inferred: a digest, or its digits in UTF-16
//	values of Uninstall keys                  documented by Microsoft (Uninstall Registry Key)
//	names of servicing packages               the assembly identity NAME~TOKEN~ARCH~LANGUAGE~VERSION, as DISM prints it
//	CurrentState of a servicing package       112 is installed: from the state that DISM reports for it, not from Microsoft's documents
//	CPE of Windows                            names of the National Vulnerability Database, for the builds listed in cpe.go
package inventory
