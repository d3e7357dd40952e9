#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The live page's server: options, who is let in, /metrics, /events, the end.
. "${0%/*}/lib.sh" || exit
need python3
export MNT BACK

status() {
	local want=$1
	shift
	"$@" >/dev/null 2>&1
	[ $? = "$want" ]
}
http() {
	timeout 120 python3 "${0%/*}/http_client.py" "$URL" "$@"
}
# serve OPTION...: a daemon whose page is at $URL
serve() {
	start --memory=64M "$@"
	wait_until 10 grep -q . "$MNT/.pagefs/http" || fail "no address in .pagefs/http"
	URL=$(cat "$MNT/.pagefs/http")
}
# Others come and go with threads and files.
nr_sockets() {
	find "/proc/$DAEMON/fd" -mindepth 1 -lname 'socket:*' | wc -l
}

# ---- options ----

for bad in 8080 :8080 127.0.0.1 127.0.0.1: 127.0.0.1:x 127.0.0.1:65536 127.0.0.1:-1 \
		localhost:8080 ::1:8080 '[127.0.0.1]:8080' '[::1]' '[::1]8080' '[::1:8080'; do
	refuse "--http=$bad" "not an address and a port" "$PAGEFSD" --http="$bad" "$BACK" "$MNT"
done
for bad in 0.0.0.0:0 '[::]:0' 192.0.2.1:0 '[2001:db8::1]:0' '[::ffff:192.0.2.1]:0'; do
	refuse "--http=$bad" "others can reach" "$PAGEFSD" --http="$bad" "$BACK" "$MNT"
done
check "which is a usage error" status 2 "$PAGEFSD" --http=0.0.0.0:0 "$BACK" "$MNT"
refuse "-o http=0.0.0.0:0" "others can reach" "$PAGEFSD" -o http=0.0.0.0:0 "$BACK" "$MNT"
refuse "an address that is not this machine's" "192.0.2.1.*assign" \
	"$PAGEFSD" --http=192.0.2.1:0 --http-allow-remote "$BACK" "$MNT"
python3 -c '
import socket, time
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
time.sleep(60)' >"$T/port" &
holder=$!
wait_until 10 [ -s "$T/port" ]
refuse "a port in use" "Address already in use" \
	"$PAGEFSD" --http="127.0.0.1:$(cat "$T/port")" "$BACK" "$MNT"
check "is an error" status 1 "$PAGEFSD" --http="127.0.0.1:$(cat "$T/port")" "$BACK" "$MNT"
kill $holder
wait $holder 2>/dev/null
check "nothing is mounted after all this" sh -c "! grep -q '$T' /proc/self/mounts"

start --memory=16M
check "without --http there is none" sh -c "! grep -q . '$MNT/.pagefs/http'"
stop

serve --http=127.0.0.1:0
check "the log says which port it is" grep -qF "$URL" "$T/daemon.log"

# ---- the page ----

check "the page, its files, and what they say of themselves" http page
check "HEAD says the same, without the body" http head

# ---- who and what is let in ----

check "other names in Host are refused" http host
check "other methods are refused" http methods
check "what other sites embed is refused" http embedded
check "paths that climb are not there" http traversal
check "requests that are too long, or none at all" http garbage

# ---- numbers ----

for i in 1 2 3; do
	head -c $((i * 1000000)) /dev/urandom >"$MNT/f$i"
done
sync "$MNT/f1"
# Reads that go to the store.
echo 1 >"$MNT/.pagefs/vm/drop_caches"
dd if="$MNT/f1" of=/dev/null bs=64k iflag=direct status=none
check "metrics follow the format" http metrics
check "and say what .pagefs says" http values
if command -v promtool >/dev/null; then
	http get metrics >"$T/metrics" || fail "cannot get metrics"
	check "promtool finds nothing to complain about" \
		promtool check metrics <"$T/metrics"
	[ -s "$T/out" ] && fail "promtool: $(cat "$T/out")"
else
	echo "ok - # SKIP no promtool (Debian: prometheus)"
	skipped=promtool
fi

# ---- events ----

# dd opens it, and would have to wait; without trace points it cannot be opened.
if dd if="$MNT/.pagefs/trace" iflag=nonblock of=/dev/null 2>&1 | grep -q "not supported"; then
	skip "built without trace points; the rest of it passed"
fi
check "events are those of .pagefs/trace" http events
check "filters let through what they name" http filter
check "two clients get the same" http two
check "samples come four a second, and are right" http samples
check "a slow client loses events, is told, and slows nobody" http slow
check "names that are no UTF-8" http names

# ---- limits ----

check "16 streams, and 503 for the next" http streams
check "64 connections, and 503 for the next" http connections
sockets=$(nr_sockets)
check "clients that come and go" http come_and_go
wait_until 25 eval '[ "$(nr_sockets)" -le "$sockets" ]' ||
	fail "$(nr_sockets) sockets are open, there were $sockets"
echo "ok - no socket is left of them"
check "a client that takes nothing is let go of after a while" http dead

# ---- the end ----

# ends HOW: clients are attached; the daemon ends, with 0 and soon
ends() {
	local began

	rm -f "$T/up"
	echo "dirty at the end" >"$MNT/last"
	http end "$T/up" >"$T/end.log" 2>&1 &
	local client=$!
	wait_until 20 [ -e "$T/up" ] || fail "clients: $(cat "$T/end.log")"
	began=$SECONDS
	"$@" || fail "cannot $*"
	wait "$DAEMON" || fail "pagefsd exited with $? after $*"
	DAEMON=
	[ $((SECONDS - began)) -le 10 ] || fail "the end took $((SECONDS - began)) s after $*"
	wait $client || fail "after $*: $(cat "$T/end.log")"
	echo "ok - $1 ends it with clients attached, who see what is written last"
}
ends unmount
serve --http=127.0.0.1:0
ends kill "$DAEMON"

# ---- other addresses ----

if [ -e /proc/net/if_inet6 ] && grep -q ' lo$' /proc/net/if_inet6; then
	serve --http='[::1]:0'
	check "[::1]" sh -c "echo '$URL' | grep -qF 'http://[::1]:'"
	check "serves" http head
	stop
else
	echo "ok - # SKIP no IPv6 here"
fi
serve --http=0.0.0.0:0 --http-allow-remote
URL=${URL/0.0.0.0/127.0.0.1}
check "0.0.0.0, if it is meant" http head
check "names are refused there as well" http host
stop
serve -o http=127.0.0.1:0
check "as a mount option" http head
stop
[ -z "${skipped:-}" ] || skip "all passed, but without $skipped"
