#!/bin/sh
# The service is not started: the configuration has no servers yet. An upgrade restarts it if it runs.
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart tether.service
fi
