// Package dockerfile builds Windows images from Dockerfiles, without Windows.
//
// # What a Dockerfile for Windows needs
//
// A builder for Linux images starts a container for each RUN and keeps what it has changed.
// For a Windows image that takes Windows: its registry, its descriptors, its kernel. But most
// of what the Dockerfiles of Windows programs say is no work for a kernel: files are copied,
// directories made, variables and registry values set. This package carries out that part on
// the layers themselves. A new file has the security descriptor that it would inherit, a
// changed registry value becomes a delta hive, and ${PATH} is what the registry of the base
// image makes of it. What really needs a running Windows is refused with its line; nothing is
// skipped.
//
// # Layers
//
// Each instruction that changes files or the registry makes one layer, as BuildKit's does, and
// each instruction an entry in the history of the configuration. Nothing is made before the
// whole Dockerfile was carried out: until then there are only trees that know where their
// content is. Only then are the layers of the target stage written, into temporary files, and
// only when all of them are complete does the destination get any of them. Stages that the
// target does not need are not looked at.
//
// Equal Dockerfiles, contexts and base images give equal images. Times come from the files of
// the context, from Options.Epoch and from the base image, never from a clock.
//
// # Proven, inferred, unknown
//
//	syntax, expansion, stages                      BuildKit's own packages, and its rules where they are not a package
//	members of the configuration                   those that Docker and BuildKit write for Windows
//	working directories with a drive, C:\app       as Docker on Windows writes them; BuildKit writes \app, which means the same
//	inherited descriptors                          MS-DTYP 2.5.3.4; see package winsec
//	what a RUN does                                documented by Microsoft for each command; see package offline
//	hives of a base layer from scratch             inferred; see package hives
//	a directory made by WORKDIR                    its owner is Administrators, whatever USER says: inferred
package dockerfile
