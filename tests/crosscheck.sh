#!/bin/sh
# Runs tests/crosscheck.py with a Python that has NumPy; exit status 4 when there is none. usage: tests/crosscheck.sh PROGRAM
for python in python3 /usr/bin/python3; do
    command -v "$python" >/dev/null && "$python" -c 'import numpy' 2>/dev/null && exec "$python" "$(dirname "$0")/crosscheck.py" "$1"
done
echo "no Python with NumPy (apt-get install python3-numpy)"
exit 4
