#!/usr/bin/env bash
# Installs what the tests need beyond Rust: nats-server (the Debian package suffices).
set -euo pipefail

if ! command -v nats-server > /dev/null; then
  "$(dirname "$0")/install-packages.sh" nats-server
  command -v nats-server > /dev/null
fi
