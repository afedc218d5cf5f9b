#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A Redis server in the directory DIR: fill it, BGSAVE (fork) while writes go
# on, delete, shut down. The server is found under two names: Debian's
# redis-tools has it as redis-check-rdb, the same binary.
#
#	redis_bgsave.sh DIR [SETS]
set -eu
dir=$1
sets=${2:-20000}
cd "$dir"
rm -f dump.rdb
ln -sf "$(command -v redis-server || command -v redis-check-rdb)" redis-server
socket=$dir/redis.sock
./redis-server --port 0 --unixsocket "$socket" --save "" --daemonize no --dir "$dir" --logfile "$dir/log" \
	--io-threads 1 --disable-thp no &
server=$!

# Until the server answers as it should, but no longer than ten seconds.
wait_for() {
	what=$1
	shift
	tries=0
	until redis-cli -s "$socket" "$@" 2>/dev/null | grep -q "$what"; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || { echo "redis-server: no $what:" >&2; cat "$dir/log" >&2; exit 1; }
		sleep 0.1
	done
}

wait_for PONG ping
redis-benchmark -q -s "$socket" -t set -n "$sets" -r "$sets" -d 200 -c 4 >/dev/null
redis-cli -s "$socket" bgsave >/dev/null
redis-benchmark -q -s "$socket" -t set -n $((sets / 4)) -r "$sets" -d 200 -c 4 >/dev/null
wait_for rdb_bgsave_in_progress:0 info persistence
# shellcheck disable=SC2046 # a list of keys
redis-cli -s "$socket" del $(redis-cli -s "$socket" --raw keys '*1*' | head -500) >/dev/null
redis-cli -s "$socket" shutdown nosave
wait $server
