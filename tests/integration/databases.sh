#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# SQLite in both journal modes and LMDB write heavily on a small budget; their
# own checks decide.
. "${0%/*}/lib.sh"
need sqlite3 mdb_load mdb_stat mdb_copy python3
ROWS=${ROWS:-20000}

sqlite_run() {
	sqlite3 "$MNT/$1.db" >/dev/null <<SQL
PRAGMA journal_mode=$1;
PRAGMA mmap_size=$2;
PRAGMA cache_size=-1000;
CREATE TABLE t(k INTEGER PRIMARY KEY, v BLOB, n INTEGER);
CREATE INDEX tn ON t(n);
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x<$ROWS)
	INSERT INTO t SELECT x, randomblob(500), x*7919%10007 FROM c;
UPDATE t SET v=randomblob(900) WHERE n%3=0;
DELETE FROM t WHERE n%5=1;
BEGIN; UPDATE t SET v=zeroblob(1200) WHERE n%2=0; ROLLBACK;
VACUUM;
UPDATE t SET v=randomblob(300) WHERE n%7=0;
SQL
}

sqlite_ok() {
	[ "$(sqlite3 "$1" 'PRAGMA integrity_check')" = ok ]
}

lmdb_input() {
	python3 - "$ROWS" "$1" <<'PY'
import random, sys
rows, seed = int(sys.argv[1]), int(sys.argv[2])
random.seed(seed)
print("VERSION=3\nformat=bytevalue\ntype=btree\nmapsize=1073741824\nHEADER=END")
for i in sorted(random.sample(range(rows * 4), rows)):
    print(" %016x\n %s" % (i, random.randbytes(random.randint(10, 1500)).hex()))
print("DATA=END")
PY
}

start --memory=32M
for mode in delete wal truncate; do
	check "sqlite, journal_mode=$mode" sqlite_run $mode 0
	check "its integrity check" sqlite_ok "$MNT/$mode.db"
done
check "a rerun with another connection reading" sh -c "
	sqlite3 '$MNT/wal.db' 'SELECT sum(length(v)) FROM t' &
	sqlite3 '$MNT/wal.db' 'UPDATE t SET n=n+1'; wait"
check "its integrity check" sqlite_ok "$MNT/wal.db"

mkdir "$MNT/lmdb"
for seed in 1 2 3; do
	lmdb_input $seed >"$T/input"
	check "lmdb load $seed" mdb_load -f "$T/input" "$MNT/lmdb"
done
check "lmdb compaction" sh -c "mkdir '$MNT/copy' && mdb_copy -c '$MNT/lmdb' '$MNT/copy'"
check "lmdb's own statistics" mdb_stat -ef "$MNT/lmdb"
mdb_dump "$MNT/lmdb" | grep -v '^mapaddr' >"$T/dump1"
mdb_dump "$MNT/copy" | grep -v '^mapaddr' >"$T/dump2"
check "the copy has the same contents" cmp "$T/dump1" "$T/dump2"
stop
for mode in delete wal truncate; do
	check "sqlite $mode in the backing directory" sqlite_ok "$BACK/$mode.db"
done
mdb_dump "$BACK/lmdb" | grep -v '^mapaddr' >"$T/dump2"
check "lmdb in the backing directory" cmp "$T/dump1" "$T/dump2"
