#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# scripts/writeback-story says what it shall say, and in less than a minute.
. "${0%/*}/lib.sh" || exit
: "${TOP_SRCDIR:?is where the sources are}"
need python3

start --memory=16M
(exec 3<"$MNT/.pagefs/trace") 2>"$T/err" ||
	skip "built without trace points"
stop
check "when data reaches the disk, and why just then" \
	env TMPDIR="$T" timeout 60 "$TOP_SRCDIR/scripts/writeback-story"
check "it leaves nothing behind" test -z "$(ls -d "$T"/pagefs-story.* 2>/dev/null)"
