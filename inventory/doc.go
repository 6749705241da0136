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
// the image, without an installer, is in none of these places and not in the list.
//
// # Use
//
// [Read] lists from an open hive, [Of] from an image. [WriteCycloneDX], [WriteSPDX] and
// [WriteSyft] write the result as a document. Equal images of one name make equal
// documents: the time in a document is that of the image.
//
// # Proven, inferred, unknown
//
//	values of Uninstall keys                  documented by Microsoft (Uninstall Registry Key)
//	names of servicing packages               the assembly identity NAME~TOKEN~ARCH~LANGUAGE~VERSION, as DISM prints it
//	CurrentState of a servicing package       112 is installed: from the state that DISM reports for it, not from Microsoft's documents
//	CPE of Windows                            names of the National Vulnerability Database, for the builds listed in cpe.go
package inventory
