#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# pagefsctl on a real mount: every command, every way to be wrong, the screen.
. "${0%/*}/lib.sh" || exit
: "${PAGEFSCTL:?names the pagefsctl program}"
: "${PAGEFS_RUN:?names the pagefs-run program}"
: "${TOP_SRCDIR:?is where the sources are}"
: "${TOP_BUILDDIR:?is where the libraries are}"
need_root
need python3 setpriv unshare tmux
unset PAGEFS_MOUNT
export MNT BACK PAGEFSCTL
# The sanitizers' own leak check wants ptrace, which tmux's children may lack.
C=$MNT/.pagefs
COMMANDS="status stat top files maps sysctl sync drop-caches trace writeback swaps swapon swapoff mkswap advise help"

ctl() {
	timeout 60 "$PAGEFSCTL" -m "$MNT" "$@"
}
here() {
	timeout 60 "$PAGEFSCTL" "$@"
}
py() {
	timeout 120 python3 "${0%/*}/pagefsctl.py" "$@"
}
as_user() {
	timeout 60 setpriv --reuid=12345 --regid=12345 --clear-groups -- "$@"
}
# ends STATUS NAME PATTERN COMMAND...: with that status, and a message like that.
ends() {
	local want=$1 name=$2 pattern=$3 rc=0
	shift 3
	"$@" >"$T/out" 2>"$T/err" </dev/null || rc=$?
	[ $rc = "$want" ] || fail "$name: exit $rc, not $want: $(cat "$T/err")"
	grep -q -- "$pattern" "$T/err" || fail "$name: says $(cat "$T/err")"
	echo "ok - $name"
}
second=
writer=
extra_cleanup() {
	tm kill-server 2>/dev/null
	[ -z "$writer" ] || kill "$writer" 2>/dev/null
	[ -z "$second" ] || { umount "$T/mnt 2"; wait "$second"; } 2>/dev/null
}
# In a mount namespace in which no other pagefs mount is; $MNT is.
alone() {
	unshare -m --propagation private bash -c '
		mnt=$1; shift
		while read -r _ _ _ _ dir _; do
			dir=$(printf %b "${dir//\\/\\0}")
			[ "$dir" = "$mnt" ] || umount -l "$dir"
		done < <(grep -- " - fuse.pagefs " /proc/self/mountinfo)
		eval "$@"' bash "$MNT" "$@"
}

chmod 755 "$T"
# A user's own copy: he may not be let into the build directory.
cp "$PAGEFSCTL" "$T/pagefsctl"
chmod 755 "$T/pagefsctl"
start --memory=64M --allow-other --cache=none
mkdir "$MNT/d" "$MNT/his"
chown 12345 "$MNT/his"
head -c 3M /dev/urandom >"$MNT/d/three"

# ---- the command line ----

ends 2 "no command" "a command is missing" here
ends 2 "an unknown command" "nope: no such command" here nope
ends 2 "an unknown option" "unrecognized option" here files --nope
ends 2 "an unknown common option" "unrecognized option" here --nope files
ends 2 "stat and a word" "x: not a number of seconds" ctl stat x
ends 2 "stat and nan" "nan: not a number of seconds" ctl stat nan
ends 2 "stat and 0" "0: not a number of seconds" ctl stat 0
ends 2 "stat and 1.5 lines" "1.5: not a number of lines" ctl stat 1 1.5
ends 2 "stat and too much" "one argument too many" ctl stat 1 1 1
ends 2 "files by what" "size: cannot sort by that" ctl files --sort=size
ends 2 "files and 0 lines" "0: not a number of lines" ctl files -n 0
ends 2 "files and a name" "many arguments" ctl files name
ends 2 "maps and a name" "x: not a process number" ctl maps x
ends 2 "maps and 0" "0: not a process number" ctl maps 0
ends 2 "maps and two" "one process at a time" ctl maps 1 2
ends 2 "sysctl and a path" "not the name of a tunable" ctl sysctl ../meminfo
ends 2 "sysctl and no name" "not the name of a tunable" ctl sysctl =5
ends 2 "sysctl and no value" "dirty_ratio: no value" ctl sysctl dirty_ratio=
ends 2 "sysctl of all and one" "exclude each other" ctl sysctl -a dirty_ratio
ends 2 "drop-caches 4" "4: not a number from 1 to 3" ctl drop-caches 4
ends 2 "drop-caches twice" "one argument too many" ctl drop-caches 1 2
ends 2 "trace of 0 lines" "0: not a number of lines" ctl trace -n 0
ends 2 "trace of an empty event" "no such event" ctl trace -e ''
ends 2 "writeback every 0 seconds" "0: not a number of seconds" ctl writeback -i 0
ends 2 "advise and no file" "a file is missing" ctl advise
ends 2 "advise and no policy" "soon: no such policy" ctl advise "$MNT/d/three" soon
ends 2 "advise and too much" "one argument too many" ctl advise a random b
ends 2 "top as JSON" "top has no JSON" ctl --json top
ends 1 "top without a terminal" "top needs a terminal" ctl top
ends 2 "help of nothing" "no such command" here help nope
for c in $COMMANDS; do
	check "help of $c" here "$c" --help
	cp "$T/out" "$T/help"
	[ -s "$T/help" ] || fail "$c --help says nothing"
	grep -q "^.It Cm ${c//-/\\\\-}" "$TOP_SRCDIR/client/ctl/pagefsctl.8" ||
		fail "$c is not in the man page"
	[ $c = help ] || { check "and so" here help $c; cmp -s "$T/out" "$T/help"; } ||
		fail "help $c is not $c --help"
	here "$c" --help | grep -oE -- '--[a-z-]+' | sort -u |
		grep -vE -- '--(json|mount|help|usage|version)' | while read -r o; do
		o=${o#-}
		grep -q -- "Fl ${o//-/\\\\-}" "$TOP_SRCDIR/client/ctl/pagefsctl.8" ||
			{ echo "$c -$o is not in the man page" >&2; exit 1; }
	done || exit
done
check "the list of commands is whole" \
	[ "$(here --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p' | xargs)" = "$COMMANDS" ]
check "the version" here --version

# ---- which mount ----

check "by --mount=" here --mount="$MNT" status
check "by -m, behind" here status -m "$MNT"
check "by something in it" here -m "$MNT/d/three" status
check "by PAGEFS_MOUNT" env PAGEFS_MOUNT="$MNT" timeout 60 "$PAGEFSCTL" status
check "by the directory we are in" bash -c "cd '$MNT/d' && '$PAGEFSCTL' -m . status"
ends 1 "another file system" "/proc: not on a pagefs mount" here -m /proc status
ends 1 "nothing at all" "$T/no: No such file" here -m "$T/no" status
ends 1 "an empty name" "name is empty" here -m '' status
ends 1 "PAGEFS_MOUNT of something else" "/proc: not on a pagefs" \
	env PAGEFS_MOUNT=/proc "$PAGEFSCTL" status
if unshare -m --propagation private true 2>/dev/null; then
	check "the only one there is" alone '"$PAGEFSCTL" status'
	grep -q "^mount *$MNT from $BACK" "$T/out" || fail "it found $(head -1 "$T/out")"
	check "mounted twice, it is still one" alone \
		'mkdir "$BACK/../again" && mount --bind "$mnt" "$BACK/../again" && "$PAGEFSCTL" status'
	check "a part that is bound elsewhere leads to the whole" alone \
		'mount --bind "$mnt/d" "$BACK/../again" && "$PAGEFSCTL" -m "$BACK/../again" status'
	grep -q "^mount *$MNT from" "$T/out" || fail "it found $(head -1 "$T/out")"
	ends 1 "none" "nothing is mounted by pagefs" alone 'umount -l "$mnt"; "$PAGEFSCTL" status'
	mkdir "$T/back2" "$T/mnt 2"
	"$PAGEFSD" -f --memory=16M "$T/back2" "$T/mnt 2" >>"$T/daemon.log" 2>&1 &
	second=$!
	wait_until 20 grep -q 'mnt\\0402 fuse' /proc/self/mounts || fail "no second mount"
	ends 1 "several" "$T/mnt 2 from $T/back2" here status
	grep -q "  $MNT from" "$T/err" || fail "not all are listed: $(cat "$T/err")"
	check "one of several" here -m "$T/mnt 2" status
	ends 1 "one that is another user's own" "mnt 2: mounted by another user, for himself" \
		as_user "$T/pagefsctl" -m "$T/mnt 2" status
	umount "$T/mnt 2"
	wait $second || fail "the second daemon: $?"
	second=
else
	echo "ok - # SKIP no mount namespaces here"
fi

# ---- status, files, maps, stat: values and JSON ----

check "status, and its JSON" py status
printf x >"$MNT/"$'new\nline \\ \t\e[31m'
printf x >"$MNT/ünï"
printf x >"$MNT/"$'bad\xff\xc3'
check "files, their names, and their JSON" py files
check "stat, and its JSON" py stat
check "stat stops when nobody reads on" bash -c \
	'timeout 10 "$PAGEFSCTL" -m "$MNT" stat 0.1 | head -2; [ ${PIPESTATUS[0]} = 141 ]'
for c in status stat files sysctl "--json status" "stat 0.1 3" "--json files"; do
	# shellcheck disable=SC2086
	ends 1 "$c on a full device" "No space left" bash -c \
		'exec timeout 10 "$PAGEFSCTL" -m "$MNT" "$@" >/dev/full' bash $c
done

# ---- sysctl, drop-caches, sync ----

check "sysctl shows and sets" py sysctl
ends 1 "a name that is not there" "nope: no such tunable" ctl sysctl dirty_ratio=33 nope=1
check "has kept the others" [ "$(cat "$C/vm/dirty_ratio")" = 20 ]
ends 1 "a value that cannot be" "dirty_ratio: cannot be set to .101" ctl sysctl dirty_ratio=101
ends 1 "a value for reading" "drop_caches: can be set, not read" ctl sysctl drop_caches
check "sysctl -n" ctl sysctl -n dirty_ratio
check "is the value alone" [ "$(cat "$T/out")" = 20 ]
check "nothing is written by itself" ctl sysctl dirty_writeback_centisecs=0
check "sync of a file" py sync_file
check "sync of everything" py sync_all
check "by many at once" py sync_crowd
ends 1 "sync of what is not ours" "/proc/version: not a file or directory on a pagefs" \
	ctl sync /proc/version
ends 1 "sync of nothing" "$MNT/no: No such file" ctl sync "$MNT/no"
mkfifo "$MNT/pipe"
ends 1 "sync of a pipe does not hang" "pipe: not a file or directory" ctl sync "$MNT/pipe"
check "sync of a directory" ctl sync "$MNT/d"
check "drop-caches" py drop_caches

# ---- advise ----

check "advice has its effect" py advise
ends 1 "advice of a directory" "d: not a regular file on a pagefs" ctl advise "$MNT/d" random
ends 1 "of another file system's file" "not a regular file on a pagefs" \
	ctl advise /proc/version random
ends 1 "of no file" "no: No such file" ctl advise "$MNT/no" random
ends 1 "of a pipe" "pipe: not a regular file" ctl advise "$MNT/pipe" random

# ---- clients ----

if wait_until 5 grep -q . "$C/socket"; then
	check "maps, and its JSON" timeout 60 "$PAGEFS_RUN" --quiet \
		python3 "${0%/*}/pagefsctl.py" maps
else
	echo "ok - # SKIP no userfaultfd here"
fi
ends 1 "a process that maps nothing" "process 1 maps nothing" ctl maps 1
check "no clients" ctl maps
check "is a list with its head alone" [ "$(wc -l <"$T/out")" = 1 ]

# ---- trace, writeback ----

check "trace, its filters, and its JSON" py trace
ends 1 "an event that is not there" "nope: no such event" ctl trace -e writeback_start,nope
ends 1 "a file of another file system" "not below $MNT" ctl trace -f /proc/version
ends 1 "a file in no directory" "no/no: No such file" ctl trace -f "$MNT/no/no"
check "as many readers as there may be, and one more" py readers
check "writeback, and its JSON" py writeback

# ---- an ordinary user ----

printf mine >"$MNT/his/own"
chown 12345 "$MNT/his/own"
user() {
	as_user "$T/pagefsctl" -m "$MNT" "$@"
}
for c in status "status -j" stat sync maps sysctl "advise $MNT/his/own random" \
	"advise $MNT/d/three willneed"; do
	# shellcheck disable=SC2086
	check "a user's $c" user $c
done
for c in files trace writeback drop-caches "sysctl dirty_ratio=10"; do
	# shellcheck disable=SC2086
	ends 1 "but not $c" "permission denied: for root" user $c
done
ends 1 "nor another's policy" "only its owner and root" user advise "$MNT/d/three" random
check "nothing has changed" [ "$(cat "$C/vm/dirty_ratio")" = 20 ]

# ---- completion ----

check "completion" env MNT="$MNT" bash "${0%/*}/pagefsctl_complete.sh" \
	"$TOP_SRCDIR/client/ctl/pagefsctl.bash" "$T"

# ---- the screen ----

# Each has a server of its own: one that is being killed is in the next one's way.
terminals=0
tm() {
	LC_ALL=C.UTF-8 TMUX_TMPDIR=$T timeout 20 tmux -L top$terminals -f /dev/null "$@"
}
screen() {
	tm capture-pane -p -t top
}
shows() {
	screen | grep -q -- "$1"
}
lacks() {
	! shows "$1"
}
see() {
	wait_until 10 shows "$2" || { screen >&2; fail "$1: no $2"; }
	echo "ok - $1"
}
# top_in COLUMNSxROWS ENVIRONMENT ARGUMENT...
top_in() {
	local size=$1 environment=$2
	shift 2
	tm kill-server 2>/dev/null
	terminals=$((terminals + 1))
	rm -f "$T/top.rc"
	tm new-session -d -s top -x "${size%x*}" -y "${size#*x}" "env $environment \
		$PAGEFSCTL -m $MNT top $* 2>$T/top.err; echo \$? >$T/top.rc; sleep 100" ||
		fail "tmux"
}
# top_ended STATUS NAME
top_ended() {
	wait_until 10 [ -s "$T/top.rc" ] || { screen >&2; fail "$2: it goes on"; }
	[ "$(cat "$T/top.rc")" = "$1" ] || fail "$2: exit $(cat "$T/top.rc"), $(cat "$T/top.err")"
	echo "ok - $2"
}
writer() {
	while :; do
		head -c 2M /dev/zero >"$MNT/busy file"
		sync "$MNT/busy file"
		sleep 0.1
	done
}

printf y >"$MNT/"$'new\nline \\ \t\e[31m'
printf y >"$MNT/"$'bad\xff\xc3'
top_in 100x30 A=b 0.2
see "top shows the mount" "pagefs $MNT from $BACK"
writer &
writer=$!
see "and memory" "^memory  *\[.*\] 64.0M"
see "and its colours' names" "clean .* free"
see "and limits" "background from .* flushers"
see "and rates" "^rates .*dirtied [1-9]"
see "and the busiest file first" "[0-9][KM]  .*normal  */busy file"
screen | grep -A1 'BUSY/s' | tail -1 | grep -q 'busy file' || { screen; fail "not first"; }
see "its writes" "^ *[0-9.]*[KM]  *[0-9.]*[KM] .*/busy file"
see "and graphs" "^dirty  *[▁▂▃▄▅▆▇█]"
see "and names that do no harm" '/new\\012line \\134 \\011\\033'
tm send-keys -t top n
see "sorted by name" "by name"
screen | grep -A1 'by name' | tail -1 | grep -q '/bad.377' || { screen; fail "not by name"; }
tm send-keys -t top Down Down
wait_until 5 lacks /bad ||
	fail "it does not scroll"
tm send-keys -t top h
see "help" "this, and back"
tm send-keys -t top q
see "and back" "BUSY/s"
tm send-keys -t top p
see "pause" PAUSED
tm send-keys -t top p
wait_until 5 lacks PAUSED ||
	fail "it stays paused"
for size in 40x10 20x4 3x2 1x1 200x60; do
	tm resize-window -t top -x ${size%x*} -y ${size#*x}
	sleep 0.3
	[ ! -s "$T/top.rc" ] || fail "$size: it ends: $(cat "$T/top.err")"
done
see "made large again it is all there" "BUSY/s"
tm send-keys -t top q
top_ended 0 "q ends it"
top_in 80x24 LC_ALL=C 0.2
see "without UTF-8" "^dirty  *[.:=+*#-]"
tm send-keys -t top C-c
top_ended 0 "so does ^C"
top_in 80x24 TERM=nonsense
top_ended 1 "an unknown terminal"
grep -q "type is not known: TERM=nonsense" "$T/top.err" || fail "$(cat "$T/top.err")"
top_in 80x24 A=b 0.2
see "it runs" BUSY/s
tm kill-session -t top
kill $writer
wait $writer 2>/dev/null
writer=
PAGEFSCTL="setpriv --reuid=12345 --regid=12345 --clear-groups -- $T/pagefsctl" top_in 80x24 A=b 0.2
see "a user has top without files" "permission denied: for root"
tm send-keys -t top q
top_ended 0 "and it ends"

# ---- the mount goes ----

# As stop; but whoever looks on has a file open now and then.
let_go() {
	local status=0
	wait_until 10 unmount || fail "it is busy"
	wait "$DAEMON" || status=$?
	DAEMON=
	[ $status = 0 ] || fail "pagefsd exited with $status"
}

top_in 80x24 A=b --no-trace 0.2
see "without the trace what is written is not known" " ?  .*normal"
"$PAGEFSCTL" -m "$MNT" stat 0.1 >/dev/null 2>"$T/stat.err" &
stat=$!
sleep 0.5
let_go
echo "ok - stat and top --no-trace let the mount go"
wait $stat && fail "stat: 0"
grep -q "$MNT: it is mounted no more" "$T/stat.err" || fail "stat: $(cat "$T/stat.err")"
top_ended 1 "and top ends"
grep -q "$MNT: it is mounted no more" "$T/top.err" || fail "top: $(cat "$T/top.err")"

# Another mount in its place often has its device number, too.
start --memory=16M
"$PAGEFSCTL" -m "$MNT" stat 3 2 >/dev/null 2>"$T/stat.err" &
stat=$!
sleep 1
let_go
start --memory=64M --allow-other
wait $stat && fail "stat goes on with another mount"
grep -q "$MNT: it is mounted no more" "$T/stat.err" || fail "stat: $(cat "$T/stat.err")"
echo "ok - another mount in its place is another"
check "what the kernel has is not needed either" py kernel_copies
top_in 80x24 A=b 0.2
see "top again" BUSY/s
"$PAGEFSCTL" -m "$MNT" trace >/dev/null 2>"$T/trace.err" &
trace=$!
"$PAGEFSCTL" -m "$MNT" writeback -j >"$T/wb.out" 2>"$T/wb.err" &
wb=$!
sleep 0.5
kill -TERM "$DAEMON"
wait "$DAEMON" || fail "the daemon: $?"
DAEMON=
wait $trace && fail "trace: 0"
wait $wb && fail "writeback: 0"
for f in trace wb top; do
	wait_until 5 grep -q "$MNT: \(it is mounted no more\|the daemon has gone\)" "$T/$f.err" ||
		fail "$f: $(cat "$T/$f.err")"
done
grep -q '"reasons"' "$T/wb.out" || fail "writeback has not shown what there was"
top_ended 1 "taken down by SIGTERM, trace, writeback and top say so"

start --memory=64M --allow-other
top_in 80x24 A=b 0.2
see "top again" BUSY/s
"$PAGEFSCTL" -m "$MNT" trace >/dev/null 2>"$T/trace.err" &
trace=$!
sleep 0.5
kill -KILL "$DAEMON"
wait "$DAEMON" 2>/dev/null
DAEMON=
wait $trace && fail "trace: 0"
grep -q "$MNT: the daemon has gone" "$T/trace.err" || fail "trace: $(cat "$T/trace.err")"
top_ended 1 "killed, trace and top say so"
grep -q "$MNT: the daemon has gone" "$T/top.err" || fail "top: $(cat "$T/top.err")"
for c in status files "sysctl dirty_ratio=5" sync top; do
	# shellcheck disable=SC2086
	[ "$c" = top ] || ends 1 "$c of a dead mount" "the daemon has gone" ctl $c
done
umount "$MNT"
