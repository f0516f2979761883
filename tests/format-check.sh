#!/bin/sh
# clang-format decides the layout. usage: tests/format-check.sh FILE...
set -u
command -v clang-format >/dev/null || { echo "clang-format is not installed (apt-get install clang-format)"; exit 4; }
bad=$(printf '%s\n' "$@" | xargs -P 2 -n 40 clang-format --dry-run -Werror 2>&1 |
    sed -n 's/^\([^: ]*\.[ch]\):[0-9]*:[0-9]*: error:.*/\1/p' | sort -u)
[ -n "$bad" ] || { echo "format-check: all files are formatted" && exit 0; }
echo "$bad" | sed 's/.*/format-check: &; run make format/'
exit 1
