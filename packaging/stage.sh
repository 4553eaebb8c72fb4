#!/bin/sh
# Copies what is packaged into a new directory: stage.sh DIRECTORY
# So nothing is left in the checkout, and the copies' modes and times are everybody's: those of git
# and of the changelog's last entry, which is printed in seconds.
set -eu
umask 022
top=$(cd "$(dirname "$0")/.." && pwd)
tree=${1:?usage: stage.sh DIRECTORY}

mkdir "$tree"
(cd "$top" && cp -R watchdog probes packaging LICENSE CHANGELOG.md README.md "$tree")
find "$tree" -name __pycache__ -prune -exec rm -rf {} +
chmod -R u+rwX,go+rX,go-w "$tree"

entry=$(sed -n 's/^ -- .*>  //p' "$top/packaging/debian/changelog" | head -n 1)
epoch=$(date -d "$entry" +%s)
find "$tree" -exec touch -h -d "@$epoch" {} +
echo "$epoch"
