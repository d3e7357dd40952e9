#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tests/integration/pagefsctl_complete.sh - what bash completes, for pagefsctl.sh
#
#   pagefsctl_complete.sh COMPLETION SCRATCH
#
# MNT is a mount. The function is called as readline does it.
set -u
completion=$1 scratch=$2
# shellcheck source=/dev/null
. "$completion" || exit
PATH=$(dirname "$PAGEFSCTL"):$PATH
declare -F compopt >/dev/null || compopt() { :; }

# completes WORDS... -- EXPECTED...: the last of WORDS is the one that is typed
completes() {
	local words=() got
	while [ "$1" != -- ]; do
		words+=("$1")
		shift
	done
	shift
	COMP_WORDS=("${words[@]}") COMP_CWORD=$((${#words[@]} - 1)) COMPREPLY=()
	_pagefsctl
	got=$(printf '%s|' "${COMPREPLY[@]}")
	[ "$got" = "$(printf '%s|' "$@")" ] || {
		echo "${words[*]}: completed to $got instead of $*" >&2
		exit 1
	}
}

complete -p pagefsctl >/dev/null || exit
completes pagefsctl st -- status stat
completes pagefsctl dr -- drop-caches
completes pagefsctl -m "$MNT" wr -- writeback
completes pagefsctl --mount = "$MNT" wr -- writeback
completes pagefsctl nope '' --
completes pagefsctl --mo -- --mount=
completes pagefsctl files --s -- --sort=
completes pagefsctl files --sort = ca -- cached
completes pagefsctl files --sort = -- cached dirty writeback mapped age path ino
completes pagefsctl files -s pa -- path
completes pagefsctl trace -e writeback_p -- writeback_pages
completes pagefsctl trace --event = mm_f -- mm_fault
completes pagefsctl -m "$MNT" sysctl dirty_ba -- dirty_background_bytes= dirty_background_ratio=
completes pagefsctl -m "$MNT" sysctl drop -- drop_caches=
completes pagefsctl -m "$MNT" sysctl dirty_ratio = --
completes pagefsctl drop-caches '' -- 1 2 3
completes pagefsctl drop-caches 1 '' --
completes pagefsctl advise "$MNT/d/th" -- "$MNT/d/three"
completes pagefsctl advise "$MNT/d/three" no -- normal noreuse
completes pagefsctl -m "$MNT" advise "$MNT/d/three" r -- random
completes pagefsctl sync "$MNT/d/th" -- "$MNT/d/three"
completes pagefsctl swapo -- swapon swapoff
completes pagefsctl swapoff --a -- --all
completes pagefsctl mkswap "$MNT/d/th" -- "$MNT/d/three"
completes pagefsctl help wr -- writeback
completes pagefsctl -m "$MNT" -- "$MNT"

# The commands and options that there are.
words=$(pagefsctl --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p')
[ "$(COMP_WORDS=(pagefsctl '') COMP_CWORD=1; _pagefsctl; printf '%s\n' "${COMPREPLY[@]}")" = \
	"$words" ] || { echo "not all commands are completed" >&2; exit 1; }
for c in $words; do
	COMP_WORDS=(pagefsctl "$c" --) COMP_CWORD=2
	_pagefsctl
	printf '%s\n' "${COMPREPLY[@]%=}" | sort >"$scratch/completed"
	pagefsctl "$c" --help | grep -oE '^ .{1,6}--[a-z-]+' | grep -oE -- '--.*' | sort |
		diff "$scratch/completed" - || { echo "options of $c" >&2; exit 1; }
done

# Installed it is found by name.
loader=/usr/share/bash-completion/bash_completion
if [ -e $loader ]; then
	mkdir -p "$scratch/share/bash-completion/completions"
	cp "$completion" "$scratch/share/bash-completion/completions"
	XDG_DATA_DIRS=$scratch/share BASH_COMPLETION_USER_DIR=$scratch/none bash -c "
		. $loader; _completion_loader pagefsctl; complete -p pagefsctl" >/dev/null ||
		{ echo "bash-completion does not find it" >&2; exit 1; }
fi
