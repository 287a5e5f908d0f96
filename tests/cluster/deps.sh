#!/bin/bash
# deps.sh PGRX_VERSION [browser | valgrind | peers]: installs what demo and tests need and this machine lacks, by apt and cargo; quick
# where nothing is missing. The browser is for tests of aliaport_report's page, which are skipped without it; valgrind counts
# instructions; peers are the tools that `make compare` and `make bench PEERS=yes` run.
#
# apt is used as root or through sudo. Rust is not installed: Debian 12's is too old, and how it comes to a machine is its owner's choice.
set -euo pipefail
pgrx_version=$1
rust_version=1.95

die() { printf 'deps.sh: %s\n' "$@" >&2; exit 1; }

if ! command -v cargo > /dev/null || ! command -v rustc > /dev/null; then
    die "cargo and rustc are missing." "Install Rust $rust_version or newer with rustup (https://rustup.rs); Debian 12's rustc is too old."
fi
found=$(rustc --version | cut -d ' ' -f 2)
if [ "$(printf '%s\n' "$rust_version" "${found%%-*}" | sort -V | head -n 1)" != "$rust_version" ]; then
    die "rustc $found is too old, $rust_version is needed." "With rustup: rustup toolchain install stable"
fi

missing=()
lacks() { missing+=("$@"); }
command -v cc > /dev/null && [ -e /usr/include/stdio.h ] || lacks gcc libc6-dev
command -v patchelf > /dev/null || lacks patchelf
python3 -c 'import ensurepip, venv' 2> /dev/null || lacks python3 python3-venv
[ -e /etc/ssl/certs/ca-certificates.crt ] || lacks ca-certificates
# cargo pgrx test runs its server through sudo when it runs as root itself.
[ "$(id -u)" != 0 ] || command -v sudo > /dev/null || lacks sudo
# A server and its headers; clang, which bindgen needs to read them, comes along.
[ -x /usr/lib/postgresql/15/bin/postgres ] || lacks postgresql-15
[ -e /usr/include/postgresql/15/server/postgres.h ] || lacks postgresql-server-dev-15
compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' > /dev/null || lacks postgresql-server-dev-15
if [ "${2:-}" = browser ]; then
    command -v chromium > /dev/null || lacks chromium fonts-dejavu-core
elif [ "${2:-}" = valgrind ]; then
    # Its own libc must have symbols.
    command -v valgrind > /dev/null || lacks valgrind libc6-dbg
elif [ "${2:-}" = peers ]; then
    command -v pgloader > /dev/null || lacks pgloader
    command -v sqlite3 > /dev/null || lacks sqlite3
fi

if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get > /dev/null || die "this is not a Debian system. Install what these packages hold: ${missing[*]}"
    if [ "$(id -u)" = 0 ]; then sudo=(); elif command -v sudo > /dev/null; then sudo=(sudo); else
        die "these packages are missing, and there is no sudo. As root: apt-get install --no-install-recommends ${missing[*]}"
    fi
    echo "installing with apt: ${missing[*]}"
    "${sudo[@]}" apt-get -qq update
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends install "${missing[@]}" > /dev/null
fi

if ! cargo pgrx --version 2> /dev/null | grep -qxE "cargo-pgrx(-pgrx)? $pgrx_version"; then
    echo "installing cargo-pgrx $pgrx_version (a debug build: it takes half the time and is as quick in use)"
    CARGO_PROFILE_DEV_DEBUG=0 cargo install --locked --quiet --debug --no-default-features "cargo-pgrx@$pgrx_version"
fi
