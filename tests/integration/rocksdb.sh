#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# RocksDB reads its tables by mmap; python's lmdb maps its file: both under
# pagefs-run, four times the memory. Their own checksums decide.
# KEYS makes it longer.
. "${0%/*}/lib.sh"
need db_bench sst_dump ldb python3
[ "$(id -u)" = 0 ] || skip "needs root"
KEYS=${KEYS:-50000}

# bench NAME...: db_bench on the mount, its tables mapped.
bench() {
	local names=$1

	shift
	"$PAGEFS_RUN" --quiet db_bench --benchmarks="$names" --db="$MNT/rocks" \
		--num="$KEYS" --value_size=1000 --threads=4 --mmap_read=1 \
		--compression_type=none --verify_checksum=1 --seed=7 \
		--cache_size=1048576 "$@" >"$T/bench" 2>&1 || {
		cat "$T/bench"
		return 1
	}
}

found_all() {
	grep -Eq '^readrandom .*\(([0-9]+) of \1 found\)' "$T/bench"
}

tables_ok() {
	sst_dump --file="$1" --command=verify --verify_checksum >"$T/sst" 2>&1 &&
		! grep -qi corrupt "$T/sst"
}

start --memory=16M
check "rocksdb: fill in sequence" bench fillseq --threads=1
check "overwrite at random" bench overwrite --use_existing_db=1 \
	--num=$((KEYS / 8))
check "read at random, mapped" bench readrandom --use_existing_db=1 \
	--reads=$((KEYS / 4))
check "every key is found" found_all
check "read in sequence, and seek" bench readseq,seekrandom \
	--use_existing_db=1 --reads=$((KEYS / 8))
check "read while writing" bench readwhilewriting --use_existing_db=1 \
	--reads=$((KEYS / 8))
check "the faults were ours" test "$(stat_of pgfault)" -gt 1000
check "its tables, by the mount" tables_ok "$MNT/rocks"
check "what ldb says" ldb --db="$MNT/rocks" checkconsistency

if python3 -c 'import lmdb' 2>/dev/null; then
	PYTHON=python3
elif /usr/bin/python3 -c 'import lmdb' 2>/dev/null; then
	PYTHON=/usr/bin/python3
else
	PYTHON=
	echo "# no python3-lmdb here"
fi
if [ "$PYTHON" ]; then
	cat >"$T/store.py" <<'PY'
import hashlib, lmdb, random, sys
env = lmdb.open(sys.argv[1], map_size=1 << 30, writemap=sys.argv[2] == "writemap")
random.seed(5)
keys = [b"%08d" % i for i in range(20000)]
random.shuffle(keys)
value = lambda k: hashlib.sha256(k).digest() * 80
for at in range(0, len(keys), 2000):
    with env.begin(write=True) as txn:
        for k in keys[at:at + 2000]:
            txn.put(k, value(k))
with env.begin() as txn:
    n = 0
    for k, v in txn.cursor():
        assert v == value(k), k
        n += 1
    assert n == len(keys), n
    for k in random.sample(keys, 5000):
        assert txn.get(k) == value(k), k
PY
	for mode in plain writemap; do
		mkdir "$MNT/py-$mode"
		check "python's lmdb, $mode" "$PAGEFS_RUN" --quiet "$PYTHON" \
			"$T/store.py" "$MNT/py-$mode" $mode
	done
fi
stop
check "the tables behind the mount" tables_ok "$BACK/rocks"
