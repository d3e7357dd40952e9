#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# fio with verification, a file many times the budget, in every engine; the
# daemon's memory stays within it. SIZE and TIME make it longer: make stress.
. "${0%/*}/lib.sh"
need fio
SIZE=${SIZE:-96M}
ENGINES=${ENGINES:-psync io_uring libaio mmap}
PATTERNS=${PATTERNS:-randwrite randread randrw}
CACHES=${CACHES:-through none writeback}

# pss: the daemon's memory in KiB, shared with nobody, so all of it.
pss() {
	awk '/^Pss:/ { print $2 }' "/proc/$DAEMON/smaps_rollup"
}

watch_memory() {
	local now most=0
	while kill -0 "$DAEMON" 2>/dev/null; do
		now=$(pss 2>/dev/null) || break
		if [ "${now:-0}" -gt $most ]; then
			most=$now
			echo $most >"$T/pss"
		fi
		sleep 0.2
	done
}

# run_fio CACHE ENGINE PATTERN BLOCKSIZE. Every block carries a checksum; reads
# of randread check what a pass of writes has left.
run_fio() {
	local bs=$4
	# A reader finds the blocks of the layout only if all have one size.
	[ "$3" = randread ] && bs=${bs#*-}
	local common=(
		--name=v --directory="$MNT" --ioengine="$2" --bs="$bs"
		--size=$((${SIZE%M} / 4))M --numjobs=4 --iodepth=8 --verify=crc32c
		--verify_fatal=1 --verify_state_save=0 --group_reporting
		--fallocate=none --randrepeat=0 --output="$T/fio.out"
	)
	local rest=(--rw="$3" --verify_backlog=512 --do_verify=1 --end_fsync=1)

	if [ "$3" = randread ]; then
		check "fio $2 layout $bs, cache=$1" timeout "${LIMIT:-120}" \
			fio "${common[@]}" --rw=randwrite --do_verify=0 --end_fsync=1
		rest=(--rw=randread)
	fi
	check "fio $2 $3 $bs, cache=$1" timeout "${LIMIT:-120}" \
		fio "${common[@]}" "${rest[@]}"
	[ "${KEEP_FILES:-}" ] || rm -f "$MNT"/v.*
}

for cache in $CACHES; do
	start --memory=64M --cache=$cache
	watch_memory &
	watcher=$!
	for engine in $ENGINES; do
		for rw in $PATTERNS; do
			for bs in 4k 4k-1M; do
				run_fio $cache "$engine" "$rw" "$bs"
			done
		done
	done
	stop
	wait $watcher
	# the arena's 64 MiB and the program's 32, or what configure has set
	check "memory stayed within the budget ($(cat "$T/pss") kB)" \
		[ "$(cat "$T/pss")" -le $(((64 + ${PROGRAM_MB:-32}) * 1024)) ]
done
