#!/bin/sh
# A package that goes, and is not replaced by another version, takes its service with it.
# dpkg passes a word, rpm the number of versions that remain.
set -e
case "$1" in
remove | 0)
	if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
		systemctl disable --now mullion.service || true
	fi
	;;
esac
