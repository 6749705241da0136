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
//	Microsoft\Windows NT\CurrentVersion\ProfileList\SID           one key a user: the profile, whose NTUSER.DAT has such
//	                                                               keys below Software for the programs of that user
//	Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\NAME
//	                                                               one key a servicing package: updates, features, languages
//	Microsoft\Windows NT\CurrentVersion\HotFix\KB…                 updates of Windows before Vista
//
// The SYSTEM hive has the services and drivers:
//
//	CurrentControlSet\Services\NAME           one key each, if it has a value Type; the control set is that of Select\Current
//
// In an image these are in the base layer's hive and in the delta hives of the layers
// above it, so the list is read from the merged hive. A program that was only copied into
// the image, without an installer, is in none of these places and not in the list.
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
// [Read] lists from an open hive, [Of] from an image. [WriteCycloneDX], [WriteSPDX] and
// [WriteSyft] write the result as a document. Equal images of one name make equal
// documents: the time in a document is that of the image.
//
// # Proven, inferred, unknown
//
//	values of Uninstall keys                  documented by Microsoft (Uninstall Registry Key)
//	keys of Windows Installer                 how codes are packed, and states of patches, as Wine's tests of msi.dll, which
//	                                          pass on Windows, write them; the words of the states from msi.h
//	programs of a user                        proven (a genuine NTUSER.DAT has six)
//	directories of profiles                   documented by Microsoft (User Profiles); C: is the only drive of an image
//	values of services                        documented by Microsoft (winsvc.h, Services registry tree); which keys are services
//	                                          is inferred: those with a Type, 416, 682 and 134 in three genuine hives
//	names of servicing packages               the assembly identity NAME~TOKEN~ARCH~LANGUAGE~VERSION, as DISM prints it
//	CurrentState of a servicing package       112 is installed: from the state that DISM reports for it, not from Microsoft's documents
//	CPE of Windows                            names of the National Vulnerability Database, for the builds listed in cpe.go
package inventory
