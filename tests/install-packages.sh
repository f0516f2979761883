#!/bin/sh
# Installs the Debian packages that are missing, and says what each is for (the table of the Makefile, in $PACKAGES).
# usage: PACKAGES='NAME purpose...' tests/install-packages.sh [--all]     (--all: says it of those that are there too)
set -eu
all=${1:-}
names=$(echo "$PACKAGES" | cut -d' ' -f1)
[ -n "$names" ] || { echo "deps: no packages named; run it as make deps" >&2; exit 2; }
purpose() { echo "$PACKAGES" | grep "^$1 "; }
missing=
for p in $names; do
    if dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed'; then
        [ -z "$all" ] || echo "  there    $(purpose "$p")"
    else
        [ -z "$all" ] || echo "  missing  $(purpose "$p")"
        missing="$missing $p"
    fi
done
if [ -z "$missing" ]; then
    [ -z "$all" ] || echo "deps: all packages are there"
    exit 0
fi
echo "deps: to be installed:"
for p in $missing; do
    echo "  $(purpose "$p")"
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
