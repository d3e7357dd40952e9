#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# libpagefs and pagefs-run on a real mount: as root and as an ordinary user,
# children, files larger than memory, and daemons that die under their clients.
. "${0%/*}/lib.sh" || exit
: "${PAGEFS_RUN:?names the pagefs-run program}"
: "${TOP_BUILDDIR:?is where the test programs are}"
need_root
need python3 setpriv sha256sum
export MNT BACK
CLIENT=$TOP_BUILDDIR/tests/client
MB=${MB:-160}		# of the large file; memory is 64
# Sanitizers slow everything down: seconds are taken as so many.
[ "${PROGRAM_MB:-32}" -le 32 ] || SLOWNESS=${SLOWNESS:-10}
export SLOWNESS=${SLOWNESS:-1}
# A child starts threads there, which ThreadSanitizer calls unsupported; it works.
export TSAN_OPTIONS="${TSAN_OPTIONS:-} die_after_fork=0"

# run NAME COMMAND...: a test program; what it says is shown
run() {
	local name=$1
	shift
	check "$name" "$@"
	sed 's/^/  /' "$T/out"
}

# test_death kills $DAEMON. Then either could be stuck where SIGKILL does not
# reach: a process that ends closes its files of the mount, and waits for the
# daemon's answer, for ever if it is the daemon. Aborting the connection is the
# only way out of that.
dies() {
	local how=$1 client

	DAEMON=$DAEMON "$CLIENT/test_death" "$how" >"$T/out" 2>&1 &
	client=$!
	wait_until $((60 * SLOWNESS)) gone $client && wait_until 10 gone "$DAEMON" || {
		umount -f "$MNT"
		sed 's/^/  /' "$T/out" >&2
		fail "a daemon $how: it, or its client, does not end"
	}
	wait $client || {
		sed 's/^/  /' "$T/out" >&2
		fail "a daemon $how"
	}
	echo "ok - a daemon $how"
	sed 's/^/  /' "$T/out"
	wait "$DAEMON" 2>/dev/null
	DAEMON=
	is_mounted && umount -l "$MNT"
	return 0
}

# The user's own copies: he may not be let into the build directory.
as_user() {
	timeout 300 setpriv --reuid=12345 --regid=12345 --clear-groups -- \
		env LD_LIBRARY_PATH="$T/user" PAGEFS_PRELOAD="$T/user/libpagefs-preload.so" "$@"
}

takes_clients() {
	[ -n "$(cat "$MNT/.pagefs/socket")" ]
}

# serve OPTION...: the mount is there a moment before the socket is
serve() {
	start "$@"
	wait_until 5 takes_clients || skip "no userfaultfd for the daemon here"
}

serve --memory=64M --allow-other

# ---- the library ----

run "libpagefs maps, changes and unmaps" timeout 300 "$CLIENT/test_map"
# 2: it runs there, and misses its argument. ASan does not: it wants terabytes.
(ulimit -v 4000000 && "$TOP_BUILDDIR/examples/counter") >/dev/null 2>&1
if [ $? = 2 ]; then
	run "the same where addresses are limited, so that no region is reserved" \
		timeout 300 bash -c "ulimit -v 4000000 && exec '$CLIENT/test_map'"
fi
run "memory without a file, and copies of files" timeout 300 "$CLIENT/test_anon"
if [ -x "$CLIENT/test_arena" ]; then
	run "heaps in the daemon's memory" timeout 300 "$CLIENT/test_arena"
fi
run "children have what their parent has" timeout 300 "$CLIENT/test_fork"
run "so have those of a program with libpagefs.a in it" \
	timeout 300 "$CLIENT/test_fork_static"

for n in 1 3 5; do
	check "the library's example counts to $n" \
		[ "$("$TOP_BUILDDIR/examples/counter" "$MNT/number")" = $n ]
	check "and the other one goes on, under pagefs-run" \
		[ "$("$PAGEFS_RUN" "$TOP_BUILDDIR/examples/counter-mmap" "$MNT/number")" = $((n + 1)) ]
done

# ---- pagefs-run ----

mkdir "$MNT/run"
run "mmap(2) and its kind under pagefs-run" \
	timeout 300 "$PAGEFS_RUN" "$CLIENT/test_preload" "$MNT/run"
mv "$T/out" "$T/explained"
check "says once why the kernel maps a file" \
	[ "$(grep -c 'private: mapped by the kernel instead: ' "$T/explained")" = 1 ]
check "and once why from now on" \
	[ "$(grep -c 'later: mapped by the kernel instead: a private' "$T/explained")" = 1 ]
run "quietly" timeout 300 "$PAGEFS_RUN" --quiet "$CLIENT/test_preload" "$MNT/run"
check "it says nothing then" [ ! -s "$T/out" ]
run "malloc(3), mmap(2) and fork(2) under pagefs-run --anon" timeout 300 \
	"$PAGEFS_RUN" --anon=1M --mount="$MNT" "$CLIENT/test_malloc" "$MNT/run"
check "all of it was the daemon's" [ ! -s "$T/out" ]
jemalloc=$(ldconfig -p | awk '/libjemalloc.so.2/ { print $NF; exit }')
if [ -n "$jemalloc" ]; then
	run "children of a program with a malloc of its own" timeout 300 \
		env LD_PRELOAD="$jemalloc" "$PAGEFS_RUN" --anon=1M --mount="$MNT" \
		"$CLIENT/test_malloc" "$MNT/run" files
else
	echo "# skipped: no libjemalloc.so.2"
fi
cp "$MNT/.pagefs/vm/overcommit_memory" "$MNT/.pagefs/vm/overcommit_ratio" "$T"
echo 2 >"$MNT/.pagefs/vm/overcommit_memory"
echo 50 >"$MNT/.pagefs/vm/overcommit_ratio"
run "fork() is refused what may not be promised" timeout 300 \
	"$PAGEFS_RUN" --anon=1M --mount="$MNT" "$CLIENT/test_malloc" "$MNT/run" refused
for name in overcommit_memory overcommit_ratio; do
	cat "$T/$name" >"$MNT/.pagefs/vm/$name"
done
status() {
	local want=$1 is=0
	shift
	"$@" >"$T/out" 2>&1 || is=$?
	[ $is = "$want" ]
}
check "127: no such program" status 127 "$PAGEFS_RUN" /nonexistent
check "126: not a program" status 126 "$PAGEFS_RUN" -- /etc/passwd
check "125: no program named" status 125 "$PAGEFS_RUN"
check "the program's own status" status 3 "$PAGEFS_RUN" sh -c 'exit 3'
check "--version" "$PAGEFS_RUN" --version
for args in --anon --mount=/ "--anon=x --mount=$MNT" "--anon=0 --mount=$MNT" \
	    "--anon=1T --mount=$MNT" "--anon --mount=/nonexistent"; do
	# shellcheck disable=SC2086
	check "125: $args" status 125 "$PAGEFS_RUN" $args true
done
check "no mount is no reason to go without memory" \
	"$PAGEFS_RUN" --anon --mount=/ python3 -c 'len(bytearray(4 << 20))'
mv "$T/out" "$T/said"
check "which is said" grep -q 'memory is had from the kernel' "$T/said"
check "no library is no reason to go without" \
	status 125 env PAGEFS_PRELOAD=/nonexistent.so "$PAGEFS_RUN" true

# ---- more than fits into memory ----

python3 - "$MNT/large" "$MB" <<'PY'
import random, sys
r = random.Random(5)
with open(sys.argv[1], "wb") as f:
    for i in range(int(sys.argv[2])):
        f.write(r.randbytes(1 << 20))
PY
sync "$MNT/large"
sum=$(sha256sum <"$BACK/large")
check "$MB MiB through a mapping are what the backing file has" \
	timeout 300 "$PAGEFS_RUN" python3 - "$MNT/large" "${sum%% *}" <<'PY'
import hashlib, mmap, sys
f = open(sys.argv[1], "rb")
m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
assert hashlib.sha256(m).hexdigest() == sys.argv[2]
PY
check "every page of it is stored to, in any order" \
	timeout 300 "$PAGEFS_RUN" python3 - "$MNT/large" <<'PY'
import mmap, random, struct, sys
f = open(sys.argv[1], "r+b")
m = mmap.mmap(f.fileno(), 0)
pages = list(range(len(m) // 4096))
random.shuffle(pages)
for i in pages:
    struct.pack_into("Q", m, i * 4096 + 64, i * 2654435761)
m.flush()
PY
check "and the backing file has it all" python3 - "$BACK/large" <<'PY'
import struct, sys
f = open(sys.argv[1], "rb")
i = 0
while page := f.read(4096):
    assert struct.unpack_from("Q", page, 64)[0] == i * 2654435761, i
    i += 1
PY
rm "$MNT/large"

# ---- an ordinary user ----

chmod 755 "$T"
mkdir "$T/user" "$MNT/mine"
cp "$CLIENT/test_rights" "$CLIENT/test_preload" "$PAGEFS_RUN" "$T/user"
cp "$TOP_BUILDDIR"/.libs/libpagefs*.so* "$T/user"
chmod -R a+rX "$T/user"
chown 12345:12345 "$MNT/mine"
head -c 8192 /dev/urandom >"$MNT/readable"
head -c 8192 /dev/urandom >"$MNT/secret"
chmod 644 "$MNT/readable"
chmod 600 "$MNT/secret"
was=$(sha256sum "$BACK/readable")
run "an ordinary user maps what he may open, as he may" \
	as_user "$T/user/test_rights"
check "and has changed nothing else" [ "$was" = "$(sha256sum "$BACK/readable")" ]
check "others' files he may read are the kernel's to map" \
	as_user "$T/user/pagefs-run" python3 -c \
	'import mmap, sys; f = open(sys.argv[1], "rb"); mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)' \
	"$MNT/readable"
mv "$T/out" "$T/explained"
check "which is explained" \
	grep -q 'readable: mapped by the kernel instead: you may read' "$T/explained"
run "and runs programs under pagefs-run" \
	as_user "$T/user/pagefs-run" "$T/user/test_preload" "$MNT/mine"
stop

# ---- the daemon dies ----

for how in "killed under readers" "killed under writers" \
	   "killed with ten thousand mappings" "killed under requests" \
	   "killed with children" "killed when all descriptors are closed" \
	   "terminated under readers"; do
	serve --memory=32M
	dies "$how"
done
# Where their stores are scanned for, by another userfaultfd.
export PAGEFS_TEST_DIRECT=1
for how in "killed under writers" "killed with children" \
	   "terminated under readers"; do
	serve --memory=32M
	dies "$how"
done
unset PAGEFS_TEST_DIRECT

serve --memory=32M
DAEMON=$DAEMON RESTART=$T/restart timeout 120 \
	"$CLIENT/test_death" "followed by another" >"$T/restart.out" 2>&1 &
client=$!
wait_until 60 [ -e "$T/restart" ] || fail "the client does not get on: $(cat "$T/restart.out")"
wait "$DAEMON" || fail "terminated with a client attached, it exits with $?"
DAEMON=
serve --memory=32M
touch "$T/restart.done"
wait $client || { sed 's/^/  /' "$T/restart.out" >&2; fail "a daemon followed by another"; }
echo "ok - a daemon followed by another"
stop
