#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Programs that know nothing of pagefs map its files, four times its memory:
# LMDB, SQLite, fio and Python under pagefs-run. Their own checks decide; what
# they make must be what they make beside the mount; and the daemon's counters
# tell whose faults they were.
. "${0%/*}/lib.sh" || exit
: "${PAGEFS_RUN:?names the pagefs-run program}"
need mdb_load mdb_dump mdb_copy mdb_stat sqlite3 fio python3
MB=${MB:-64}			# of data of each program
MEMORY=${MEMORY:-16M}
REF=$T/ref
tests=${0%/*}

mapped() {
	timeout "${LIMIT:-300}" "$PAGEFS_RUN" "$@"
}

# check_mapped FAULTS NAME COMMAND...: as check; and it takes so many faults
check_mapped() {
	local least=$1 was is
	shift

	was=$(stat_of pgfault)
	check "$@"
	is=$(stat_of pgfault)
	[ $((is - was)) -ge "$least" ] ||
		fail "$1: only $((is - was)) faults were the daemon's"
	# A private mapping that may be written to is the kernel's, rightly.
	sed -i '/^pagefs-run: .* is private and may be written to$/d' "$T/out"
	if grep '^pagefs-run: ' "$T/out" >&2; then
		fail "$1: it was mapped without the daemon"
	fi
	echo "  $((is - was)) faults"
}

# on_both FAULTS NAME COMMAND...: @D@ in its words is the mount, under
# pagefs-run; then the directory beside. What they print must be the same.
on_both() {
	local least=$1 name=$2
	shift 2

	check_mapped "$least" "$name" mapped "${@//@D@/$MNT}"
	mv "$T/out" "$T/mapped"
	check "$name, beside the mount" timeout "${LIMIT:-300}" "${@//@D@/$REF}"
	mv "$T/out" "$T/beside"
	check "$name: the same result" cmp "$T/mapped" "$T/beside"
}

# ---- LMDB: maps to read, writes with pwrite(2); WRITEMAP writes there too ----

lmdb_input() {
	python3 - "$MB" <<'PY'
import random, sys
random.seed(1)
print("VERSION=3\nformat=bytevalue\ntype=btree\nmapsize=1073741824\nHEADER=END")
for i in range(int(sys.argv[1]) << 10):
    # the order is not that of the keys: pages far apart are written
    print(" %016x\n %s" % (i * 0x9e3779b97f4a7c15 % (1 << 64),
                           random.randbytes(700).hex()))
print("DATA=END")
PY
}

dump() {
	mdb_dump "$1" | grep -v '^mapaddr'
}

lmdb() {
	mkdir "$MNT/lmdb" "$MNT/copy" "$REF/lmdb" "$REF/copy"
	lmdb_input >"$T/input"
	on_both 1000 "mdb_load" mdb_load -N -f "$T/input" @D@/lmdb
	on_both 1000 "mdb_dump" sh -c 'mdb_dump "$1" | grep -v ^mapaddr | cksum' \
		sh @D@/lmdb
	on_both 100 "mdb_copy -c" mdb_copy -c @D@/lmdb @D@/copy
	on_both 1 "mdb_stat" mdb_stat -ef @D@/copy
	rm "$T/input"
}

lmdb_writemap() {
	python3 -c 'import ctypes; ctypes.CDLL("liblmdb.so.0")' 2>/dev/null ||
		{ echo "# no liblmdb.so.0: without MDB_WRITEMAP"; return; }
	mkdir "$MNT/wmap" "$REF/wmap"
	on_both 1000 "LMDB with MDB_WRITEMAP" \
		python3 "$tests/lmdb_writemap.py" @D@/wmap "$MB"
	check_mapped 1000 "its data, dumped" mapped \
		sh -c 'mdb_dump "$1" | grep -v ^mapaddr >"$2"' sh "$MNT/wmap" "$T/d1"
	dump "$REF/wmap" >"$T/d2"
	check "its data are the same" cmp "$T/d1" "$T/d2"
}

# ---- SQLite ----

sqlite_sql() {
	cat <<SQL
PRAGMA journal_mode=$1;
PRAGMA mmap_size=1073741824;
PRAGMA cache_size=-1000;
PRAGMA synchronous=NORMAL;
CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT, n INTEGER);
CREATE INDEX tn ON t(n);
BEGIN;
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < $MB*1024)
	INSERT INTO t SELECT x, printf('%0900d', x*7919), x*7919%10007 FROM c;
COMMIT;
UPDATE t SET v=printf('%0950d', k) WHERE n%5=0;
DELETE FROM t WHERE n%7=1;
BEGIN; UPDATE t SET v='gone' WHERE n%2=0; ROLLBACK;
SELECT sum(length(v)), sum(n), count(*), max(v) FROM t;
SELECT count(*) FROM t WHERE n BETWEEN 100 AND 200;
PRAGMA integrity_check;
SQL
}

sqlite() {
	local mode

	for mode in truncate wal; do
		sqlite_sql $mode >"$T/sql"
		on_both 1000 "sqlite, mmap_size, journal_mode=$mode" \
			sh -c 'sqlite3 "$1" <"$2"' sh "@D@/$mode.db" "$T/sql"
		check "sqlite says it is ok" grep -qx ok "$T/mapped"
		check "its files are equal" cmp "$MNT/$mode.db" "$REF/$mode.db"
	done
}

# ---- fio ----

fio_mmap() {
	local rw

	for rw in randwrite randrw write; do
		check_mapped 1000 "fio --ioengine=mmap --rw=$rw" mapped \
			fio --name=v --directory="$MNT" --ioengine=mmap --bs=4k \
			--rw=$rw --size=$((MB / 2))M --numjobs=2 --thread=0 \
			--verify=crc32c --verify_fatal=1 --verify_state_save=0 \
			--group_reporting --fallocate=none --randrepeat=0 \
			--do_verify=1 --end_fsync=1 --output="$T/fio.out"
		rm -f "$MNT"/v.*
	done
}

# ---- Python ----

python_mmap() {
	on_both 1000 "Python's mmap" python3 "$tests/mmap_user.py" @D@/py "$MB"
	check "its files are equal" cmp "$MNT/py" "$REF/py"
	on_both 100 "python3 -c 'import mmap'" python3 -c "
import mmap, sys, zlib
with open(sys.argv[1], 'r+b') as f, mmap.mmap(f.fileno(), 0) as m:
    print(zlib.crc32(m), len(m), m.find(b'needle'))
" @D@/py
}

mkdir "$REF"
start --memory="$MEMORY"
# clients are accepted a moment after the mount is there
wait_until 20 grep -q . "$MNT/.pagefs/socket" || fail "no socket"
for app in ${APPS:-lmdb lmdb_writemap sqlite fio_mmap python_mmap}; do
	$app
done
check "no page was planted behind the daemon's back" \
	[ "$(stat_of window_foreign)" = 0 ]
check "more was demoted than fits" [ "$(stat_of pgdemote)" -gt 4096 ]
stop
# what is stored is what was seen
case " ${APPS:-lmdb} " in *" lmdb "*)
	check "the stored LMDB" sh -c 'mdb_dump "$1" | grep -v ^mapaddr >"$2"' sh \
		"$BACK/lmdb" "$T/d1"
	dump "$REF/lmdb" >"$T/d2"
	check "is the same" cmp "$T/d1" "$T/d2"
esac
for file in truncate.db wal.db py; do
	[ ! -e "$REF/$file" ] ||
		check "the stored $file is the same" cmp "$BACK/$file" "$REF/$file"
done
