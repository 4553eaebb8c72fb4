#!/bin/sh
# Runs in the guest, as the one task of its life.  The console gets what pytest
# prints; the second serial line gets what tests/vm/tally.py reads.
cd /srv/checkout || exit 1
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/root
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export CLANG=/srv/checkout/tests/vm/inside/clang.sh LLVM_STRIP=true
stty -F /dev/ttyS1 -opost
while IFS= read -r word; do
	set -- "$@" "$word"
done </srv/selection
exec /usr/bin/python3 -m pytest -vv -s --tb=short -p no:cacheprovider -p tests.vm.inside.telling \
	-o python_files='check_*.py' -o 'python_functions=check_*' tests/vm/inside "$@" >/dev/console 2>&1
