#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# redis-server, its memory in pagefs and most of that in swap, forks to save a
# snapshot while it is written to. The snapshot loads, is of one moment, and has
# everything.
. "${0%/*}/lib.sh" || exit
. "${0%/*}/anonlib.sh"
: "${PAGEFS_RUN:?names the pagefs-run program}"
need redis-server redis-cli
MB=${MB:-72}
VALUE=${VALUE:-960}	# bytes each has
MEMORY=${MEMORY:-48M}
SWAP=${SWAP:-$((MB * 4))M}

# The writer ends by itself when there is no file left to look for, or no redis.
extra_cleanup() {
	: >"$T/enough"
	[ -n "${REDIS:-}" ] && kill -9 "$REDIS" 2>/dev/null
}

cli() {
	redis-cli -s "$T/redis.sock" "$@"
}

answers() {
	[ "$(cli ping 2>/dev/null)" = PONG ]
}

# run_redis WRAPPER...: $REDIS is its pid
run_redis() {
	"$@" redis-server --port 0 --unixsocket "$T/redis.sock" --dir "$T" \
		--save "" --appendonly no --enable-debug-command yes \
		--dbfilename dump.rdb --daemonize no >>"$T/redis.log" 2>&1 &
	REDIS=$!
	wait_until 60 answers || fail "redis does not answer: $(tail -3 "$T/redis.log")"
}

end_redis() {
	cli shutdown nosave >/dev/null 2>&1
	wait "$REDIS"
	REDIS=
}

# Two counters that are only ever equal, but in the middle of a transaction.
write_on() {
	local i=0

	while [ ! -e "$T/enough" ]; do
		printf 'MULTI\nINCR a\nINCR b\nEXEC\nSET w:%d %0512d\n' \
			$((i % 5000)) $i
		i=$((i + 1))
	done | cli >/dev/null 2>&1
}

saved() {
	[ "$(cli info persistence | tr -d '\r' | awk -F: '
		$1 == "rdb_bgsave_in_progress" { busy = $2 }
		$1 == "rdb_last_bgsave_status" { status = $2 }
		END { print busy status }')" = "0ok" ]
}

start --memory="$MEMORY" --swap="$T/swap:$SWAP"
watch_budget
run_redis "$PAGEFS_RUN" --anon --mount="$MNT" --

NR=$((MB * 1048576 / (VALUE + 64)))

echo "== $MB MiB of values"
check "values are stored" cli debug populate $NR key "$VALUE"
digest=$(cli debug digest)
[ "$(stat_of pswpout)" -ge $((MB * 256 / 8)) ] ||
	fail "only $(stat_of pswpout) pages went to swap"
echo "  $(stat_of pswpout) pages to swap"

echo "== BGSAVE beside a writer"
write_on &
WRITER=$!
sleep 1
check "BGSAVE begins" cli bgsave
check "it ends well" wait_until "${LIMIT:-300}" saved
: >"$T/enough"
wait "$WRITER"
WRITER=
budget_held "redis"
after=$(cli get a)
check "it has all it had" test "$(cli dbsize)" -gt $NR
end_redis

echo "== the snapshot, in a redis of its own"
run_redis
a=$(cli get a) b=$(cli get b)
check "it is of one moment: $a, $b" test "${a:-none}" = "${b:-none}"
check "and from before the end: $a of $after" test "$a" -le "$after"
cli eval 'for _, k in ipairs(redis.call("keys", "w:*")) do redis.call("del", k) end' 0 >/dev/null
cli del a b >/dev/null
check "all values are there" test "$(cli debug digest)" = "$digest"
end_redis

check "all of it is free again" wait_until 20 nothing_left
stop
