#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Every file operation, as programs use it, in each cache mode.
. "${0%/*}/lib.sh"
need python3

for cache in through none writeback; do
	start --memory=32M --cache=$cache
	check "cache=$cache: file operations" \
		python3 "${0%/*}/posix.py" "$MNT" "$BACK" "$cache"
	sed 's/^/  /' "$T/out"
	stop
	rm -rf "${BACK:?}"/*
done

# More small files than there is memory to know them all: the kernel has to be
# asked to forget some in time. Each takes a page, a node and an inode.
start --memory=16M
check "12,000 small files are made with 16M by four threads" \
	python3 - "$MNT" <<'PY'
import os, sys, threading
def make(k):
    for i in range(k, 12000, 4):
        fd = os.open("%s/d%d/f%d" % (sys.argv[1], i % 60, i), os.O_CREAT | os.O_WRONLY)
        os.write(fd, b"%d\n" % i)
        os.close(fd)
        done[k] += 1
done = [0] * 4
for d in range(60):
    os.mkdir("%s/d%d" % (sys.argv[1], d))
threads = [threading.Thread(target=make, args=(k,)) for k in range(4)]
for t in threads: t.start()
for t in threads: t.join()
assert sum(done) == 12000, done
PY
stop
check "all of them are in the backing files" \
	[ "$(cat "$BACK"/d*/f* | sort -n | md5sum)" = "$(seq 0 11999 | md5sum)" ]
