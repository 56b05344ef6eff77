#!/usr/bin/env bash
# Install axe-core, which checks pages for accessibility, and run a command:
#
#   axe.sh go test .
#
# It is installed in BROWSER_E2E_HOME (default: ~/.cache/tether-browser-e2e), again when its version changes. The command has this variable
# in its environment. This script needs npm.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export BROWSER_E2E_HOME=${BROWSER_E2E_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/tether-browser-e2e}

if ! cmp -s "$here/package.json" "$BROWSER_E2E_HOME/installed"; then
  echo "browser: installing axe-core into $BROWSER_E2E_HOME" >&2
  rm -rf "$BROWSER_E2E_HOME"
  mkdir -p "$BROWSER_E2E_HOME"
  cp "$here/package.json" "$BROWSER_E2E_HOME"
  npm install --prefix "$BROWSER_E2E_HOME" --silent --no-package-lock --no-audit --no-fund
  cp "$here/package.json" "$BROWSER_E2E_HOME/installed"
fi
exec "$@"
