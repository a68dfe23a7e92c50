#!/usr/bin/env bash
# Simulates runs whose source, sink, disk and process fail at any step:
#
#   scripts/simulate.sh                 a few seeds, as the tests do
#   scripts/simulate.sh --cases 10000   that many
#   scripts/simulate.sh --seed 4711     this one once more
set -euo pipefail
cd "$(dirname "$0")/.."

while [ $# -gt 0 ]; do
    case "$1" in
    --seed) export ICESHOP_SEED="${2:?--seed needs a number}" ;;
    --cases) export ICESHOP_CASES="${2:?--cases needs a number}" ;;
    *)
        echo "unknown argument $1: --seed N or --cases N" >&2
        exit 2
        ;;
    esac
    shift 2
done
exec cargo test --locked --test it whatever_dies
