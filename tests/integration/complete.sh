#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What bash completes for pagefsd and pagefs-run; pagefsctl.sh has its own.
#
# The functions are called as readline does it. Each long option that the
# program's help has is offered, and no other.
. "${0%/*}/lib.sh"
. "${0%/*}/completion.sh"
mkdir "$T/dirs" && cd "$T/dirs" || exit
# offers FUNCTION PROGRAM: the options its help has
offers() {
	COMP_WORDS=("$2" --) COMP_CWORD=1 COMPREPLY=()
	"$1"
	diff <(printf '%s\n' "${COMPREPLY[@]%=}" | sort -u) \
		<("$2" --help | sed -n 's/^  \(-., \)\?\(--[a-z-]*\).*/\2/p' |
			{ cat; [ "$1" != _pagefsd ] || echo --options; } | sort -u)
}

. "$TOP_SRCDIR/daemon/pagefsd.bash" || fail "pagefsd.bash"
mkdir dir1 other
check "pagefsd has a function" complete -p pagefsd
check "all options of pagefsd" offers _pagefsd "$PAGEFSD"
check "an option" completes _pagefsd pagefsd --mem -- --memory=
check "modes, in one word" completes _pagefsd pagefsd --cache=w -- writeback
check "modes, in three words" completes _pagefsd pagefsd --cache = w -- writeback
check "all modes" completes _pagefsd pagefsd --latency = -- low normal
check "mount options" completes _pagefsd pagefsd -o tr -- track_stores=
check "directories" completes _pagefsd pagefsd --foreground di -- dir1

. "$TOP_SRCDIR/client/pagefs-run.bash" || fail "pagefs-run.bash"
touch file1
check "pagefs-run has a function" complete -p pagefs-run
check "all options of pagefs-run" offers _pagefs_run "$PAGEFS_RUN"
check "an option of pagefs-run" completes _pagefs_run pagefs-run --ve -- --verbose --version
check "its mount" completes _pagefs_run pagefs-run -m di -- dir1
check "its mount, in three words" completes _pagefs_run pagefs-run --mount = di -- dir1
check "its mount, nothing typed" completes _pagefs_run pagefs-run --mount = -- dir1 other
check "a program" completes _pagefs_run pagefs-run -d printe -- printenv
check "a program, after a mount" \
	completes _pagefs_run pagefs-run --mount = dir1 printe -- printenv
check "a program, after --anon" completes _pagefs_run pagefs-run --anon printe -- printenv
check "a program, after --anon=2M" \
	completes _pagefs_run pagefs-run --anon = 2M printe -- printenv
check "arguments" completes _pagefs_run pagefs-run --direct cat fi -- file1
