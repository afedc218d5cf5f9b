#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Twelve sources and a Makefile for them.
#
#	make.sh
set -eu
objects=
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	python3 "$WORKLOADS/generate_source.py" 15 | sed "s/main/main_$i/" >part$i.c
	objects="$objects part$i.o"
done
printf 'all:%s\n%%.o: %%.c\n\tcc -O1 -c $< -o $@\n' "$objects" >Makefile
