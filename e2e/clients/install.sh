#!/usr/bin/env bash
# Install the official clients for Node and Python, and run a command:
#
#   install.sh go test .
#
# The clients are installed in CLIENTS_E2E_HOME (default: ~/.cache/tether-clients-e2e), again when a version changes. The command has
# this variable in its environment. This script needs npm, and python3 with venv.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export CLIENTS_E2E_HOME=${CLIENTS_E2E_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/tether-clients-e2e}
versions=$(cat "$here/package.json" "$here/requirements.txt")

if [ "$(cat "$CLIENTS_E2E_HOME/installed" 2> /dev/null)" != "$versions" ]; then
  echo "clients: installing them into $CLIENTS_E2E_HOME" >&2
  rm -rf "$CLIENTS_E2E_HOME"
  mkdir -p "$CLIENTS_E2E_HOME"
  cp "$here/package.json" "$CLIENTS_E2E_HOME"
  npm install --prefix "$CLIENTS_E2E_HOME" --silent --no-package-lock --no-audit --no-fund
  python3 -m venv "$CLIENTS_E2E_HOME/venv"
  "$CLIENTS_E2E_HOME/venv/bin/pip" --quiet --disable-pip-version-check install -r "$here/requirements.txt"
  echo "$versions" > "$CLIENTS_E2E_HOME/installed"
fi
exec "$@"
