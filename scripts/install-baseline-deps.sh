#!/usr/bin/env bash
# Installs what the feature `baselines` needs to be built: HiGHS is made with cmake, and read with libclang.
set -euo pipefail

if ! command -v cmake > /dev/null; then
  "$(dirname "$0")/install-packages.sh" cmake
fi
if ! compgen -G '/usr/lib/llvm-*/lib/libclang[.-][s0-9]*' > /dev/null &&
  ! compgen -G '/usr/lib/*/libclang-[0-9]*.so*' > /dev/null; then
  "$(dirname "$0")/install-packages.sh" libclang-dev
fi
