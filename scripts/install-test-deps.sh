#!/usr/bin/env bash
# Installs what the tests need beyond Rust: nats-server and libfaketime (the Debian packages suffice).
set -euo pipefail

if ! command -v nats-server > /dev/null || ! ls /usr/lib/*/faketime/libfaketimeMT.so.1 > /dev/null 2>&1; then
  "$(dirname "$0")/install-packages.sh" nats-server libfaketime
  command -v nats-server > /dev/null
fi
