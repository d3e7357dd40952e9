#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Programs that know nothing of pagefs keep their memory in it, more than it has:
# sort, Python with numpy. What they print is what they print without; the
# daemon's memory stays what it may be; and its counters tell the story.
#
#   MEMORY, SWAP, MB	the daemon's budget, its swap, each program's memory
#   LINE		bytes of a line that is sorted
#   GATHER		elements that numpy picks at random
#
# With eight times the memory what is in random order costs a fault each, whoever
# serves them: then there are fewer of those.
. "${0%/*}/lib.sh" || exit
. "${0%/*}/anonlib.sh"
: "${PAGEFS_RUN:?names the pagefs-run program}"
need sort python3
MB=${MB:-72}
MEMORY=${MEMORY:-64M}
SWAP=${SWAP:-$((MB * 3))M}
LINE=${LINE:-31}
GATHER=${GATHER:-$((MB << 20))}

start --memory="$MEMORY" --swap="$T/swap:$SWAP"

# on_both NAME MB COMMAND...: the same output, and so much memory of it in swap
on_both() {
	local name=$1 out_mb=$2
	shift 2

	watch_budget
	swapped_more "$out_mb" "$name" check "$name" timeout "${LIMIT:-600}" \
		"$PAGEFS_RUN" --anon --mount="$MNT" -- "$@"
	budget_held "$name"
	mv "$T/out" "$T/anon"
	check "$name, without pagefs" timeout "${LIMIT:-600}" "$@"
	mv "$T/out" "$T/plain"
	check "$name: the same result" cmp "$T/anon" "$T/plain"
}

# ---- sort ----

python3 - "$((MB * 5 / 8))" "$LINE" >"$T/lines" <<'PY'
import random, sys
random.seed(1)
line = int(sys.argv[2])
for i in range((int(sys.argv[1]) << 20) // (line + 1)):
    print(("%031x" % random.getrandbits(124)).ljust(line, "-")[:line])
PY
on_both "sort" $((MB / 8)) sh -c 'sort -S "$1"M --parallel=2 "$2" | cksum' sh \
	"$MB" "$T/lines"
rm "$T/lines"

# ---- numpy ----

# Debian's python3-numpy is for Debian's python3, whatever comes first in PATH.
for python in python3 /usr/bin/python3 none; do
	"$python" -c 'import numpy' 2>/dev/null && break
done
if [ $python != none ]; then
	cat >"$T/job.py" <<'PY'
import numpy, sys
n = (int(sys.argv[1]) << 20) // 24
a = numpy.arange(n, dtype=numpy.float64)
b = numpy.random.default_rng(1).random(n)
m = min(n, int(sys.argv[2]))
c = a + b * 0.5
c[:m] += a[(b[:m] * n).astype(numpy.int64)]
print(c.sum(), c[::7919].tolist()[:20], numpy.sort(c)[-5:].tolist())
PY
	on_both "numpy" $((MB / 8)) $python "$T/job.py" "$MB" "$GATHER"
else
	echo "# skipped: no numpy"
fi

# ---- nothing stays behind ----

check "all of it is free again" wait_until 20 nothing_left
echo "  $(stat_of pgmajfault) major faults, $(stat_of pswpin) pages in," \
	"$(stat_of pswpout) out"
stop
