// Package scan finds the packages of programming languages in a Windows image, with the
// extractors of OSV-SCALIBR. It is a module of its own, since these link many modules.
//
// A program that imports it has the catalogers behind [inventory.Languages] and
// inventory.WithLanguages; cmd/mullion-scan is the command line of mullion with them.
// [Cataloger] makes a cataloger of any other extractor of file systems.
//
// # What is found
//
//	go/binary                  modules in the build information of .exe and .dll files, and the Go release
//	javascript/packagejson     npm packages that are unpacked, by package.json
//	javascript/packagelockjson npm packages of an application, by package-lock.json or npm-shrinkwrap.json
//	python/wheelegg            PyPI packages: .dist-info, .egg-info, wheels and eggs
//	dotnet/depsjson            NuGet packages of an application, by NAME.deps.json
//	dotnet/packagesconfig      NuGet packages of an application, by packages.config
//	dotnet/packageslockjson    NuGet packages of an application, by packages.lock.json
//	java/archive               Maven packages in .jar, .war and other archives, and in archives in them
//	php/composerlock           Composer packages of an application, by composer.lock
//	ruby/gemspec               gems, by NAME.gemspec
//	os/chocolatey              Chocolatey packages, by chocolatey\lib\NAME\NAME.nuspec
//
// Each package is a component of kind [inventory.Library], one of Chocolatey of kind
// [inventory.Program]. Its package URL is SCALIBR's. The property "archivePath" is the place
// of a Java package inside the file of the evidence, with "/" between directories and archives.
//
// SCALIBR's extractor dotnet/pe is left out: it opens files of the disk by their path, and the
// files of an image have none.
//
// # Limits
//
// A file that an extractor reads as a whole has at most 10 MiB, another one at most 1 GiB; a
// larger one is skipped. An archive in an archive is unpacked into a temporary file. An
// extractor has one minute for each file. One that panics skips the file.
//
// The extractors write remarks to SCALIBR's log, which goes to standard error unless a program
// calls log.SetLogger of SCALIBR. They are not needed: what is skipped is in the inventory.
package scan
