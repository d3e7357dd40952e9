#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# pagefs-kv: what it keeps, and all mixes, on a directory, through the mount, and
# with its mapping served by pagefs; four times as much data as memory.
# RECORDS and SECONDS_EACH make it longer.
. "${0%/*}/lib.sh"
need python3
KV=$TOP_BUILDDIR/pagefs-kv
RECORDS=${RECORDS:-30000}
SECONDS_EACH=${SECONDS_EACH:-0.3}
: "${PAGEFS_RUN:?names the pagefs-run program}"
run=

# field NAME: of the JSON object that was printed.
field() {
	python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' \
		"$T/out" "$1"
}

is() {
	[ "$("${@:2}")" = "$1" ]
}

exits() {
	local want=$1 got=0

	"${@:2}" || got=$?
	[ $got = "$want" ] || { echo "exit $got, not $want"; return 1; }
}

# keeps DIRECTORY: single records; under $run, as mixes is.
keeps() {
	local dir=$1

	check "put" $run "$KV" put "$dir" a 1
	check "put of standard input" sh -c "printf '%s\n' 'two' 'lines' | $run $KV put '$dir' b"
	check "put over it" $run "$KV" put "$dir" a "the first"
	check "get" is "the first" $run "$KV" get "$dir" a
	check "get of lines" is "$(printf 'two\nlines\n')" $run "$KV" get "$dir" b
	check "scan" is "$(printf 'a\tthe first\nb\ttwo\\012lines\\012')" \
		$run "$KV" scan "$dir"
	check "scan from a key" is "$(printf 'b\ttwo\\012lines\\012')" \
		$run "$KV" scan --limit=1 "$dir" aa
	check "del" $run "$KV" del "$dir" a
	check "what is deleted is gone" exits 3 $run "$KV" get "$dir" a
	check "and cannot be deleted again" exits 3 $run "$KV" del "$dir" a
}

# mixes DIRECTORY [OPTION...]
mixes() {
	local dir=$1 mix

	shift
	for mix in A B C D E F; do
		check "workload $mix $*" $run "$KV" bench --workload=$mix --json \
			--seconds="$SECONDS_EACH" --threads=4 "$@" "$dir"
		check "it did something, and nothing was wrong" test \
			"$(field operations)" -gt 0 -a "$(field wrong)" = 0
	done
}

keeps "$T/plain"
refuse "no store" "no store of pagefs-kv" "$KV" get "$T/none" a
refuse "no records" "load some first" "$KV" bench "$T/plain"
refuse "no such command" "no command of that name" "$KV" fetch "$T/plain" a
refuse "no such mix" "not one of A to F" "$KV" bench --workload=G "$T/plain"
refuse "a number that is none" "not a number" "$KV" load --records=many "$T/plain"
check "wrong usage is 2" exits 2 "$KV" get "$T/plain"
check "output that cannot be written is an error" sh -c \
	"! $KV scan '$T/plain' >/dev/full"

check "load, and the map grows" "$KV" load --map-size=4M --records=20000 \
	--value-size=500 "$T/plain"
check "load more, as JSON" "$KV" load --records=100 --json --value-size=4000 \
	"$T/plain"
check "there are all" test "$(field records)" = 20100
mixes "$T/plain" --distribution=uniform
check "stat, as JSON" "$KV" stat --json "$T/plain"
check "it has counted them" test "$(field keys)" -ge 20101

# A bit of a value that is another: read, it is noticed.
corrupt() {
	python3 - "$1/data.mdb" <<'PY'
import sys
with open(sys.argv[1], "r+b") as f:
    data = bytearray(f.read())
    # in the middle of each page, but for the first ones
    for page in range(40, len(data) // 4096):
        data[page * 4096 + 3000] ^= 1
    f.seek(0)
    f.write(data)
PY
}
cp -r "$T/plain" "$T/bad"
check "a store is spoilt" corrupt "$T/bad"
check "which is noticed" exits 1 "$KV" bench --workload=C --distribution=uniform \
	--operations=5000 "$T/bad"

start --memory=16M
keeps "$MNT/kv"
check "load through the mount" "$KV" load --records="$RECORDS" "$MNT/kv"
mixes "$MNT/kv"
stop

start --memory=16M
run=$PAGEFS_RUN
keeps "$MNT/kv2"
mixes "$MNT/kv"
check "its faults were ours" test "$(stat_of pgfault)" -gt 1000
check "load, mapped by pagefs" $run "$KV" load \
	--records="$RECORDS" --writemap "$MNT/kv2"
mixes "$MNT/kv2" --writemap
stop
# What is there is what the mapping has shown.
run=
check "the directory behind it has the same" "$KV" bench --workload=C \
	--distribution=uniform --operations=20000 "$BACK/kv"
check "and of the other store" "$KV" bench --workload=C \
	--distribution=uniform --operations=20000 "$BACK/kv2"
