#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# kill -9: what was synced is in the backing files, and nothing is in the way
# of the next start.
. "${0%/*}/lib.sh"
need python3

start --memory=32M
# One file fsynced as it grows, with a tail that is no multiple of anything;
# others never synced. The parent kills the daemon while they are written.
python3 - "$MNT" "$T/synced" <<'PY' &
import os, sys
mnt, log = sys.argv[1:]
f = os.open(mnt + "/synced", os.O_CREAT | os.O_RDWR, 0o644)
g = os.open(mnt + "/unsynced", os.O_CREAT | os.O_RDWR, 0o644)
lg = open(log, "w")
size = i = 0
try:
    while True:
        data = bytes([i % 251]) * (1000 + 37 * (i % 100))
        os.pwrite(f, data, size)
        os.pwrite(g, data * 20, 20 * size)
        os.fsync(f)
        size += len(data)
        i += 1
        lg.write("%d\n" % size)
        lg.flush()
except OSError:
    pass
PY
writer=$!
wait_until 20 sh -c "[ \$(wc -l < '$T/synced') -gt 100 ]" || fail "the writer does not get on"
for i in 1 2 3 4 5 6 7 8 9; do
	echo "old $i" >"$MNT/replaced.$i" && sync "$MNT/replaced.$i"
	echo "new $i" >"$MNT/tmp" && mv "$MNT/tmp" "$MNT/replaced.$i"
done
kill -9 "$DAEMON"
wait "$DAEMON" 2>/dev/null
DAEMON=
wait $writer
check "every fsynced byte is in the backing file, and no byte more than was written" \
	python3 - "$BACK/synced" "$T/synced" <<'PY'
import os, sys
size = int(open(sys.argv[2]).read().split()[-1])
data = open(sys.argv[1], "rb").read()
assert len(data) >= size, (len(data), size)
pos = i = 0
while pos < len(data):
    n = 1000 + 37 * (i % 100)
    want = bytes([i % 251]) * n
    have = data[pos:pos + n]
    if pos + n <= size:
        assert have == want, pos
    else:
        # the record in flight: what is there of it is right, or not there yet
        assert all(b in (0, i % 251) for b in have), pos
    pos += n
    i += 1
# at most the one record that was in flight lies past the synced size
assert len(data) <= size + 1000 + 37 * 99, (len(data), size)
PY
check "a file renamed over another was never lost, though nobody fsynced it" \
	sh -c "for i in 1 2 3 4 5 6 7 8 9; do
		[ \"\$(cat '$BACK'/replaced.\$i)\" = \"new \$i\" ] || exit 1; done"
refuse "a stale mountpoint is named" "$MNT" "$PAGEFSD" --memory=16M "$BACK" "$MNT"
if [ "$(id -u)" = 0 ]; then umount -l "$MNT"; else fusermount3 -u "$MNT"; fi
start --memory=32M
check "a restart serves the same data" cmp "$MNT/synced" "$BACK/synced"
check "and takes new data" sh -c "echo again > '$MNT/new' && sync '$MNT/new' && grep -q again '$BACK/new'"
stop
