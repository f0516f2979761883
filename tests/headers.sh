#!/bin/sh
# Each header compiles alone. usage: tests/headers.sh [CC [BUILD]]
set -eu
cd "$(dirname "$0")/.."
find base kernels engine models tasks results reports harness -name '*.h' ! -path 'kernels/plain/*' ! -path 'kernels/avx2/*' ! -path 'kernels/simd/*' |
    sort | xargs -n 8 -P 2 sh -c '
    cc=$1 build=$2
    shift 2
    bad=0
    for h in "$@"; do
        echo "#include \"$h\"" | "$cc" -std=c17 -D_GNU_SOURCE -I. -I"$build" -fsyntax-only -x c - ||
            { echo "headers: $h does not compile alone"; bad=1; }
    done
    exit $bad' - "${1:-cc}" "${2:-build}"
