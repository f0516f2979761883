#!/bin/sh
# Each header compiles alone. usage: tests/headers.sh CC
set -eu
cd "$(dirname "$0")/.."
bad=0
for h in $(find base kernels engine models tasks results reports harness -name '*.h' | sort); do
    case $h in kernels/plain/*|kernels/avx2/*) continue ;; esac
    echo "#include \"$h\"" | "${1:-cc}" -std=gnu17 -D_GNU_SOURCE -I. -Ibuild -fsyntax-only -x c - || { echo "headers: $h does not compile alone"; bad=1; }
done
exit $bad
