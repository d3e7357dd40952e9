#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Mapped files against a model, and stores counted: in little memory, so that
# pages come and go all the time. `make stress-map' makes it longer.
. "${0%/*}/lib.sh" || exit
: "${MAPTWINS:?names the maptwins program}"
: "${MAPCOUNT:?names the mapcount program}"
# Children start threads, and find locks that TSan has seen their parents take.
export TSAN_OPTIONS="${TSAN_OPTIONS:-} die_after_fork=0 report_mutex_bugs=0"
SEED=${PAGEFS_SEED:-$RANDOM$RANDOM}
TWINS_ROUNDS=${TWINS_ROUNDS:-1}
TWINS_SECONDS=${TWINS_SECONDS:-2}		# of each of them
COUNT_SECONDS=${COUNT_SECONDS:-2}		# of each of its two parts
COUNT_OPTIONS=${COUNT_OPTIONS:---size=128 --procs=2 --threads=2}
COUNT_MEMORY=${COUNT_MEMORY:-32M}

# start_serving OPTION...: clients are accepted a moment after the mount is there
start_serving() {
	start "$@"
	wait_until 20 grep -q . "$MNT/.pagefs/socket" || fail "no socket"
}

# rises COUNTER BY: since the last time, by so much at least
declare -A last
rises() {
	local is was=${last[$1]:-0}

	is=$(stat_of "$1")
	last[$1]=$is
	[ $((is - was)) -ge "$2" ] || fail "$1 has risen by $((is - was)) only"
	echo "ok - $1 has risen by $((is - was))"
}

# Whatever maptwins has mapped and touched, it was the daemon that brought it.
ours() {
	rises pgfault 1000
	rises pgdemote 100
	check "no page was planted behind the daemon's back" \
		[ "$(stat_of window_foreign)" = 0 ]
}

# twins CACHE OPTION...
twins() {
	local cache=$1 how
	shift

	for how in --no-mmap '' --apart; do
		SEED=$((SEED + 1))
		# a control, so short
		[ "$how" = --no-mmap ] && [ $((SEED % 8)) != 0 ] && continue
		check "cache=$cache, maptwins --seed=$SEED $how $*" \
			timeout $((TWINS_SECONDS + 200)) "$MAPTWINS" $how "$@" \
			--seed=$SEED --seconds="$TWINS_SECONDS" \
			--backing="$BACK" "$MNT"
	done
}

for ((round = 0; round < TWINS_ROUNDS; round++)); do
	for cache in ${CACHES:-through none}; do
		last=()
		start_serving --memory=16M --cache="$cache"
		# more than memory; and little, so that they meet more often
		twins "$cache" --len=16384 --procs=4
		ours
		[ "$cache" = none ] || twins "$cache" --len=512 --files=4
		stop
	done
done

# count MEMORY OPTION...
count() {
	last=()
	start_serving --memory="$1"
	shift
	check "mapcount --seed=$SEED $*" \
		timeout $((COUNT_SECONDS * 2 + 900)) "$MAPCOUNT" "$@" \
		--seed=$SEED --seconds="$COUNT_SECONDS" \
		--backing="$BACK/count" "$MNT/count"
	sed 's/^/  /' "$T/out"
	ours
	stop
}

# shellcheck disable=SC2086
count "$COUNT_MEMORY" $COUNT_OPTIONS
count 64M --size=96 --procs=200 --threads=1
