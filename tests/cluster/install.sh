#!/bin/bash
# install.sh PG_CONFIG STAGE DESTDIR: puts what `cargo pgrx package` made in STAGE to where this PostgreSQL looks for extensions.
# install.sh --remove PG_CONFIG DESTDIR: removes it from there.
# install(1) replaces a file rather than writing into it, so a server that has the old library loaded keeps running.
set -euo pipefail
if [ "$1" = --remove ]; then config=$2 stage='' destdir=$3; else config=$1 stage=$2 destdir=$3; fi
lib=$("$config" --pkglibdir) share=$("$config" --sharedir)/extension

sudo=()
for folder in "$destdir$lib" "$destdir$share"; do
    [ -n "$destdir" ] && [ -n "$stage" ] && mkdir -p "$folder"
    [ -d "$folder" ] || { echo "install.sh: there is no folder $folder" >&2; exit 1; }
    [ -w "$folder" ] || sudo=(sudo)
done
if [ -z "$stage" ]; then
    "${sudo[@]}" rm -f "$destdir$lib/aliaport_import.so" "$destdir$share/aliaport_import.control" "$destdir$share"/aliaport_import--*.sql
    echo "removed from $destdir$lib and $destdir$share"
    exit
fi
"${sudo[@]}" install -m 755 "$stage$lib/aliaport_import.so" "$destdir$lib/"
"${sudo[@]}" install -m 644 "$stage$share"/aliaport_import.control "$stage$share"/aliaport_import--*.sql "$destdir$share/"
echo "installed into $destdir$lib and $destdir$share"
