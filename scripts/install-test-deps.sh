#!/usr/bin/env bash
# Installs what the tests need beyond Rust: nats-server (the Debian package suffices).
set -euo pipefail

if command -v nats-server > /dev/null; then
  exit 0
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  as_root=(sudo)
fi
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -q --no-install-recommends nats-server
command -v nats-server > /dev/null
