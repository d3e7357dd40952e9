#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The .pagefs directory on a real mount: who may, formats, settings, crowds.
. "${0%/*}/lib.sh" || exit
: "${PAGEFS_RUN:?names the pagefs-run program}"
: "${TOP_BUILDDIR:?is where the libraries are}"
need_root
need python3 setpriv
export MNT BACK
C=$MNT/.pagefs
SECONDS_OF_CROWD=${SECONDS_OF_CROWD:-5}
user() {
	timeout 300 python3 "${0%/*}/ctl.py" "$@"
}
client() {
	timeout 300 "$PAGEFS_RUN" --quiet python3 "${0%/*}/ctl.py" "$@"
}
# The user's own copies: he may not be let into the build directory.
as_user() {
	timeout 60 setpriv --reuid=12345 --regid=12345 --clear-groups -- \
		env LD_LIBRARY_PATH="$T/user" PAGEFS_PRELOAD="$T/user/libpagefs-preload.so" "$@"
}
no_clients() {
	[ -z "$(find "$C/maps" "$C/smaps" -type f)" ]
}
holds() {
	[ "$(cat "$C/vm/$1")" = "$2" ]
}

chmod 755 "$T"
start --memory=64M --allow-other

# ---- setting ----

check "echo sets a number" sh -c "echo 5 >'$C/vm/dirty_ratio'"
check "and it is set" holds dirty_ratio 5
check "printf without an end of line" sh -c "printf 7 >'$C/vm/dirty_ratio'"
check "and it is set" holds dirty_ratio 7
check "echo >> does, again and again" sh -c "{ echo 9; echo 10; } >>'$C/vm/dirty_ratio'"
check "and it is set" holds dirty_ratio 10
refuse "but with > a number is at the beginning" "Invalid argument" \
	bash -c "{ echo 11; echo 12; } >'$C/vm/dirty_ratio'"
check "the first one was" holds dirty_ratio 11
check "tee does" sh -c "echo 0x14 | tee '$C/vm/dirty_ratio'"
check "and it is set" holds dirty_ratio 20
refuse "101 percent" "Invalid argument" bash -c "echo 101 >'$C/vm/dirty_ratio'"
refuse "a word" "Invalid argument" bash -c "echo many >'$C/vm/dirty_ratio'"
refuse "a digit at a time" "Invalid argument" \
	sh -c "printf 33 | dd bs=1 of='$C/vm/dirty_background_ratio'"
check "its first digit was a number" holds dirty_background_ratio 3
check "back to what it was" sh -c "echo 10 >'$C/vm/dirty_background_ratio'"
refuse "chmod" "not permitted" chmod 666 "$C/vm/dirty_ratio"
refuse "rm" "not permitted" rm -f "$C/vm/dirty_ratio"
refuse "a new file" "denied\|not permitted" touch "$C/vm/new"
refuse "a read of drop_caches" "denied" cat "$C/vm/drop_caches"
check "garbage changes nothing" user garbage

# ---- effect ----

check "periodic writeback can be turned off" sh -c "echo 0 >'$C/vm/dirty_writeback_centisecs'"
head -c 400000 /dev/urandom >"$MNT/late"
dirty() {
	awk '$7 == "/late" { print $3 }' "$C/files"
}
clean() {
	[ "$(dirty)" = 0 ]
}
sleep 1
check "what was written stays dirty" [ "$(dirty)" -ge 390 ]
echo 50 >"$C/vm/dirty_expire_centisecs"
echo 20 >"$C/vm/dirty_writeback_centisecs"
wait_until 3 clean || fail "set to half a second, it is written back"
echo "ok - set to half a second, it is written back"
check "the store has it" cmp "$MNT/late" "$BACK/late"
check "drop_caches" sh -c "echo 1 >'$C/vm/drop_caches'"
check "has dropped it" [ -z "$(dirty)" ]
# Past the copy that the kernel has.
dd if="$MNT/late" of=/dev/null bs=64k iflag=direct status=none
check "a read brings it back" [ "$(awk '$7 == "/late" { print $2 }' "$C/files")" = 392 ]
echo 3000 >"$C/vm/dirty_expire_centisecs"
echo 500 >"$C/vm/dirty_writeback_centisecs"

# ---- formats ----

check "formats are those of /proc" user formats

# tool NAME FILE... -- COMMAND...: with /proc/FILE being .pagefs/FILE
tool() {
	local name=$1 file binds=
	shift
	while [ "$1" != -- ]; do
		file=$1
		binds+="mount --bind '$C/$file' /proc/${2:-$file} && "
		shift 2
	done
	shift
	command -v "$1" >/dev/null || return 0
	check "$name" unshare -m --propagation private bash -c "$binds exec \"\$@\"" bash "$@"
}
says() {
	grep -q -- "$1" "$T/out" || {
		sed 's/^/  /' "$T/out" >&2
		fail "it does not say $1"
	}
}
if unshare -m --propagation private mount --bind "$C/meminfo" /proc/meminfo 2>/dev/null; then
	tool "free(1) reads meminfo" meminfo meminfo -- free -k
	says '^Mem: *65536 '
	tool "vmstat(8) reads vmstat" meminfo meminfo vmstat vmstat -- vmstat -s
	says ' 65536 K total memory'
	says ' 0 .*[Ss]wap'
	tool "and diskstats" diskstats diskstats -- vmstat -d
	tool "and slabinfo" slabinfo slabinfo -- vmstat -m
	says pagefs_inode
	tool "slabtop(1) reads slabinfo" slabinfo slabinfo -- slabtop -o
	says pagefs_inode
	tool "swapon(8) reads swaps" swaps swaps -- swapon -s
	tool "sysctl(8) sets vm/" vm sys/vm -- sysctl vm.dirty_ratio=35
	check "and it is set" holds dirty_ratio 35
	tool "and shows it" vm sys/vm -- sysctl vm.dirty_ratio
	says 'vm.dirty_ratio = 35'
	check "back" sh -c "echo 20 >'$C/vm/dirty_ratio'"
else
	echo "ok - # SKIP no mount namespaces for /proc here"
fi

# ---- clients ----

if wait_until 5 grep -q . "$C/socket"; then
	check "maps and smaps have the format of /proc" client maps
	check "ten thousand mappings" client many 10000
	check "no client is left" no_clients
	check "readers, writers, garbage and clients at once" \
		client crowd "$SECONDS_OF_CROWD"
else
	check "readers, writers and garbage at once" user crowd "$SECONDS_OF_CROWD"
fi
check "nothing of it has changed a number" holds dirty_ratio 20

# ---- an ordinary user ----

for f in meminfo vmstat zoneinfo buddyinfo slabinfo swaps diskstats vm/dirty_ratio; do
	check "a user reads $f" as_user cat "$C/$f"
done
check "and lists all" as_user ls -lR "$C"
for f in vm/dirty_ratio vm/drop_caches; do
	refuse "he may not write $f" "denied" as_user bash -c "echo 1 >'$C/$f'"
	refuse "nor truncate it" "denied" as_user truncate -s 0 "$C/$f"
done
refuse "nor read names of files" "denied" as_user cat "$C/files"
check "nothing has changed" holds dirty_ratio 20
if grep -q . "$C/socket"; then
	mkdir "$T/user" "$MNT/mine"
	cp "$PAGEFS_RUN" "$TOP_BUILDDIR"/.libs/libpagefs*.so* "$T/user"
	cp "${0%/*}/ctl.py" "$T/user"
	chmod -R a+rX "$T/user"
	chown 12345:12345 "$MNT/mine"
	cat >"$T/user/hold.py" <<'PY'
import mmap, os, sys, time
f = open(sys.argv[1] + "/mine/f", "w+b")
f.truncate(8192)
m = mmap.mmap(f.fileno(), 8192)
m[0] = 1
own = open("%s/.pagefs/maps/%d" % (sys.argv[1], os.getpid())).read()
assert "/mine/f" in own, own
assert os.stat("%s/.pagefs/smaps/%d" % (sys.argv[1], os.getpid())).st_uid == 12345
open(sys.argv[2], "w").close()
time.sleep(60)
PY
	mkdir -m 777 "$T/flag"
	as_user "$T/user/pagefs-run" python3 "$T/user/hold.py" "$MNT" "$T/flag/up" \
		>"$T/hold.out" 2>&1 &
	holder=$!
	wait_until 20 [ -e "$T/flag/up" ] || fail "his client: $(cat "$T/hold.out")"
	echo "ok - a user's client reads its own maps"
	pid=$(ls "$C/maps")
	check "root reads them" grep -q /mine/f "$C/maps/$pid"
	check "they are his" [ "$(stat -c %a:%u "$C/maps/$pid" "$C/smaps/$pid" | uniq)" = 400:12345 ]
	refuse "another user does not" "denied" setpriv --reuid=999 --regid=999 \
		--clear-groups -- cat "$C/maps/$pid"
	kill "$pid"
	wait $holder 2>/dev/null
	wait_until 5 no_clients || fail "his maps do not go with him"
	refuse "they go with him" "No such file" cat "$C/maps/$pid"
	# What the kernel has only been told of, and has not asked for since.
	check "and so do their names" [ ! -e "$C/maps/$pid" -a ! -e "$C/smaps/$pid" ]
fi
stop
