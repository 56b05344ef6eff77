#!/bin/sh
# An upgrade keeps the service running until the new version is there.
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
	systemctl disable --now tether.service
fi
