#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tests/integration/pagefsctl_complete.sh - what bash completes, for pagefsctl.sh
#
#   pagefsctl_complete.sh COMPLETION SCRATCH
#
# MNT is a mount. The first that is not as it should be ends it.
set -u
. "${0%/*}/completion.sh"
completion=$1 scratch=$2
# shellcheck source=/dev/null
. "$completion" || exit
PATH=$(dirname "$PAGEFSCTL"):$PATH

expect() {
	completes _pagefsctl "$@" || exit 1
}

complete -p pagefsctl >/dev/null || exit
expect pagefsctl st -- status stat
expect pagefsctl dr -- drop-caches
expect pagefsctl -m "$MNT" wr -- writeback
expect pagefsctl --mount = "$MNT" wr -- writeback
expect pagefsctl nope '' --
expect pagefsctl --mo -- --mount=
expect pagefsctl files --s -- --sort=
expect pagefsctl files --sort = ca -- cached
expect pagefsctl files --sort = -- cached dirty writeback mapped age path ino
expect pagefsctl files -s pa -- path
expect pagefsctl trace -e writeback_p -- writeback_pages
expect pagefsctl trace --event = mm_f -- mm_fault
expect pagefsctl -m "$MNT" sysctl dirty_ba -- dirty_background_bytes= dirty_background_ratio=
expect pagefsctl -m "$MNT" sysctl drop -- drop_caches=
expect pagefsctl -m "$MNT" sysctl dirty_ratio = --
expect pagefsctl drop-caches '' -- 1 2 3
expect pagefsctl drop-caches 1 '' --
expect pagefsctl advise "$MNT/d/th" -- "$MNT/d/three"
expect pagefsctl advise "$MNT/d/three" no -- normal noreuse
expect pagefsctl -m "$MNT" advise "$MNT/d/three" r -- random
expect pagefsctl sync "$MNT/d/th" -- "$MNT/d/three"
expect pagefsctl swapo -- swapon swapoff
expect pagefsctl swapoff --a -- --all
expect pagefsctl mkswap "$MNT/d/th" -- "$MNT/d/three"
expect pagefsctl help wr -- writeback
expect pagefsctl -m "$MNT" -- "$MNT"

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
