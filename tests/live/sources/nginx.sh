#!/bin/sh
# SPDX-License-Identifier: MIT
#
# An nginx with two workers in this directory, under load, told to read its configuration anew, and under load again.
#
#	nginx.sh
set -eu
cat >conf <<END
worker_processes 2;
pid $PWD/pid;
error_log $PWD/log;
user root;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path $PWD/1;
	proxy_temp_path $PWD/2;
	fastcgi_temp_path $PWD/3;
	uwsgi_temp_path $PWD/4;
	scgi_temp_path $PWD/5;
	gzip on;
	gzip_types *;
	server {
		listen 127.0.0.1:18088;
		root $PWD;
	}
}
END
seq 1 20000 >page.txt
load() { ab -q -n 800 -c 8 "$@" http://127.0.0.1:18088/page.txt >/dev/null 2>&1; }

nginx -c "$PWD/conf"
tries=0
until load; do
	tries=$((tries + 1))
	[ $tries -lt 50 ] || exit 1
	sleep 0.1
done
kill -HUP "$(cat pid)"
load -H 'Accept-Encoding: gzip'
kill -QUIT "$(cat pid)"
