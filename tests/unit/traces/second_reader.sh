#!/bin/sh
# SPDX-License-Identifier: MIT
# The library and the reader written from FORMAT.md must agree on every byte of the text form.
# usage: second_reader.sh GENERATE PYTHON READ_TRACE.PY FORMAT.MD
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for seed in 1 2 3; do
	"$1" "$dir/t.mmt.zst" "$dir/library.txt" "$seed"
	zstd -qt "$dir/t.mmt.zst"
	"$2" "$3" "$dir/t.mmt.zst" "$4" > "$dir/second.txt"
	cmp "$dir/library.txt" "$dir/second.txt"
done
