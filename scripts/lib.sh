# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# scripts/lib.sh - what scripts/test and scripts/demo share; sourced, not run
#
# $top is the source tree. Building happens in a directory of its own, so a
# source tree is used only for the files autoreconf makes in it.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
jobs=$(nproc 2>/dev/null || echo 2)

say() {
	printf '\n== %s\n' "$*"
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# missing_packages LIST
missing_packages() {
	local package

	while read -r package; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" \
			2>/dev/null)" = installed ] || echo "$package"
	done < <(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$top/scripts/$1")
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo -n "$@"
	fi
}

apt_install() {
	say "installing $*"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update \
		</dev/null &&
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		--no-install-recommends install "$@" </dev/null
}

# Leaves the machine alone when everything is there already.
install_packages() {
	local missing

	command -v dpkg-query >/dev/null ||
		die "this is not Debian: install what scripts/packages.txt names"
	mapfile -t missing < <(missing_packages packages.txt)
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
		die "as root: apt-get install ${missing[*]}"
	apt_install "${missing[@]}" ||
		die "apt-get install failed: ${missing[*]}"
}

# What some tests want and nothing else does. They are skipped without.
install_test_packages() {
	local missing

	mapfile -t missing < <(missing_packages packages-test.txt)
	[ ${#missing[@]} -gt 0 ] || return 0
	apt_install "${missing[@]}" ||
		say "not installed: ${missing[*]}; what needs them is skipped"
}

# configure_in DIRECTORY [CONFIGURE OPTIONS]
configure_in() {
	local dir=$1

	shift
	[ ! -e "$top/config.status" ] ||
		die "$top is configured: run \`make distclean' there first"
	(cd "$top" && ./autogen.sh) || return
	mkdir -p "$dir" && cd "$dir" && "$top/configure" -q "$@"
}
