#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Random operations on the mount and on the backing file system's own kind,
# compared at every step; then once more after a remount.
. "${0%/*}/lib.sh"
: "${TWINS:?names the twins program}"
OPS=${OPS:-12000}
SEED=${PAGEFS_SEED:-$RANDOM}

for cache in ${CACHES:-through none writeback}; do
	mkdir "$T/ref.$cache"
	start --memory=16M --cache="$cache"
	mkdir "$MNT/$cache"
	opts=
	# -B: blocks differ. tmpfs allocates some when a hole is mapped and read.
	if [ $cache = writeback ] || [ "$(stat -f -c %T "$T")" = tmpfs ]; then
		opts=-B
	fi
	for round in ${ROUNDS:-1 2}; do
		check "cache=$cache, seed $((SEED + round)), $OPS operations" \
			"$TWINS" -s $((SEED + round)) -n "$OPS" -f 8 -l 3000000 $opts \
			"$MNT/$cache" "$T/ref.$cache"
	done
	stop
	check "cache=$cache: the backing files are equal after umount" \
		diff -r "$BACK/$cache" "$T/ref.$cache"
done
