#!/bin/sh
# clang-format decides the layout. usage: tests/format-check.sh FILE...
command -v clang-format >/dev/null || { echo "format-check: clang-format is not installed (apt-get install clang-format)"; exit 4; }
bad=0
for f in "$@"; do
    clang-format --dry-run -Werror "$f" >/dev/null 2>&1 || { echo "format-check: $f; run make format"; bad=1; }
done
[ $bad = 0 ] && echo "format-check: all files are formatted"
exit $bad
