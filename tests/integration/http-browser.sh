#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The live page in a real browser, while fio works on the mount: what is drawn,
# with mouse and keyboard, in light and dark, large and small, stopped and gone.
#
# Screenshots stay in $SCREENSHOTS, by default tests/ where it is built.
. "${0%/*}/lib.sh" || exit
need python3 fio chromium chromedriver
SCREENSHOTS=${SCREENSHOTS:-${TOP_BUILDDIR:-$T}/tests}
export MNT

browse() {
	timeout 300 python3 -B "${0%/*}/http_browser.py" "$@"
}

start --memory=64M --http=127.0.0.1:0
URL=$(cat "$MNT/.pagefs/http")
port=${URL##*:}
port=${port%/}
echo 300 >"$MNT/.pagefs/vm/dirty_expire_centisecs"
echo 100 >"$MNT/.pagefs/vm/dirty_writeback_centisecs"

echo 4000000 >"$MNT/.pagefs/vm/dirty_background_bytes"

if dd if="$MNT/.pagefs/trace" iflag=nonblock of=/dev/null 2>&1 | grep -q "not supported"; then
	skip "built without trace points"
fi

# Three jobs, whose pages are written for different reasons.
mkdir "$MNT/bulk" "$MNT/log" "$MNT/base" || fail "mkdir"
load() {
	fio --output="$T/fio.out" --fallocate=none --time_based --runtime="$1" \
		--name=bulk --directory="$MNT/bulk" --rw=write --bs=256k --size=96M \
			--thinktime=1500ms --thinktime_blocks=24 \
		--name=log --directory="$MNT/log" --rw=write --bs=4k --size=8M --rate=200k \
		--name=base --directory="$MNT/base" --rw=randwrite --bs=8k --size=16M \
			--fsync=16 --rate=200k
}

began=$SECONDS
browse "$URL" work "$SCREENSHOTS" "$T" "$DAEMON" >"$T/browser.log" 2>&1 &
browser=$!
wait_until 60 [ -e "$T/ready" ] || fail "the browser: $(cat "$T/browser.log")"
load 20 || fail "fio: $(cat "$T/fio.out")"
sync -f "$MNT"
: >"$T/loaded"
wait $browser || fail "$(cat "$T/browser.log")"
cat "$T/browser.log"

# The daemon goes, and another one comes to the same port.
browse "$URL" return "$SCREENSHOTS" "$T" "$DAEMON" >"$T/browser.log" 2>&1 &
browser=$!
wait_until 60 [ -e "$T/watching" ] || fail "the browser: $(cat "$T/browser.log")"
echo "the last" >"$MNT/last"
stop
wait_until 30 [ -e "$T/ended" ] || fail "the browser: $(cat "$T/browser.log")"
start --memory=64M --http="127.0.0.1:$port"
wait $browser || fail "$(cat "$T/browser.log")"
cat "$T/browser.log"
stop
echo "# $((SECONDS - began)) s; screenshots: $SCREENSHOTS/http-*.png"
