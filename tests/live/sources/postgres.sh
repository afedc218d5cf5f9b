#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A PostgreSQL server in the directory data, which "init" makes; "load" runs pgbench on it. It does not run as root, so
# it runs as nobody, who gets this directory.
#
#	postgres.sh init|load
set -eu
PATH=$(ls -d /usr/lib/postgresql/*/bin | tail -1):$PATH
run() { setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"; }

case $1 in
init)
	mkdir data
	chown nobody data .
	run initdb -D data -A trust -U nobody --no-sync >/dev/null
	;;
load)
	run pg_ctl -D data -s -w -o "-k $PWD -h ''" start
	run createdb -h "$PWD" bench
	run pgbench -h "$PWD" -i -q -s 1 bench 2>/dev/null
	run pgbench -h "$PWD" -c 4 -j 2 -t 100 bench >/dev/null
	run psql -h "$PWD" -c 'select sum(abalance) from pgbench_accounts join pgbench_branches using (bid)' bench
	run pg_ctl -D data -s -m fast stop
	;;
esac
