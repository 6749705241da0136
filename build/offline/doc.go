// Package offline carries out the commands of cmd and PowerShell that change only files, the
// registry and the environment of a Windows image, without Windows.
package offline
