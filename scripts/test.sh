#!/usr/bin/env bash
# Runs every test; installs nats-server first where it is missing. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install-test-deps.sh
cargo test --workspace --locked "$@"
