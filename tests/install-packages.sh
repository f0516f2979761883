#!/bin/sh
# Installs the Debian packages that are missing, and says what each is for (the table of the Makefile, in $PACKAGES).
# usage: tests/install-packages.sh NAME...
set -eu
missing=
for p in "$@"; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
if [ -z "$missing" ]; then
    [ "${MAKELEVEL:-0}" -gt 0 ] && [ -z "${VERBOSE_DEPS:-}" ] || echo "deps: all packages are there"
    exit 0
fi
echo "deps: to be installed:"
for p in $missing; do
    echo "${PACKAGES:-}" | grep "^$p " | sed 's/^/  /' || echo "  $p"
done
sudo=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "deps: not root and no sudo; run as root: apt-get install$missing" >&2; exit 4; }
    sudo=sudo
fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq || echo "deps: apt-get update failed; trying with the lists that are there" >&2
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
    { echo "deps: apt-get could not install$missing; see the messages above" >&2; exit 4; }
echo "deps: installed$missing"
