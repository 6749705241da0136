// Package inventory lists what is installed in a Windows image, and writes the list as
// a software bill of materials.
//
// # Where Windows keeps the list
//
// There is no package database as on Linux. What is installed is told by three places in
// the SOFTWARE hive:
//
//	Microsoft\Windows NT\CurrentVersion                            the Windows itself: product, build, update
//	Microsoft\Windows\CurrentVersion\Uninstall\KEY                 one key a program, made by its installer
//	WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall\KEY     the same for 32-bit programs
//	Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\NAME
//	                                                               one key a servicing package: updates, features, languages
//	Microsoft\Windows NT\CurrentVersion\HotFix\KB…                 updates of Windows before Vista
//
// In an image these stand in the base layer's hive and in the delta hives of the layers
// above it, so the list is read from the merged hive. A program that was only copied into
// the image, without an installer, is in none of these places and not in the list.
//
// # Use
//
// [Read] lists from an open hive, [Of] from an image. [WriteCycloneDX], [WriteSPDX] and
// [WriteSyft] write what was read; equal images of one name give equal bytes: the time in
// a document is that of the image.
//
// # Proven, inferred, unknown
//
//	values of Uninstall keys                  documented by Microsoft (Uninstall Registry Key)
//	names of servicing packages               the assembly identity NAME~TOKEN~ARCH~LANGUAGE~VERSION, as DISM prints it
//	CurrentState of a servicing package       112 is installed: documented by what DISM reports for it, not by Microsoft's text
//	CPE of Windows                            names of the National Vulnerability Database, for the builds listed in cpe.go
package inventory
