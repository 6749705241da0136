#!/bin/sh
# The unit is known to systemd after this. It is not enabled: containerd has to be
# configured first, see docs/containerd.md.
set -e
if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
