#!/bin/sh
# SPDX-License-Identifier: MIT
# refold assemble, dump and info as a user meets them: results, exit codes, one-line errors.
# usage: commands.sh REFOLD SAMPLES
set -eu
refold=$1 samples=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

# expect CODE WORD COMMAND...: exit code, and one line of error that has the word.
expect() {
	code=$1 word=$2 got=0
	shift 2
	"$@" > out 2> err < /dev/null || got=$?
	if [ "$got" -ne "$code" ] || ! grep -qF -- "$word" err || [ "$(wc -l < err)" -ne 1 ]; then
		echo "expected $code \"$word\", got $got from: $*"
		cat err
		exit 1
	fi
}

printf '5 tid=1 fault addr=0x1000\nframe lost=3\n+5 brk\n' > t.txt
"$refold" assemble t.txt -o t.mmt.zst
"$refold" dump t.mmt.zst > a.txt
"$refold" dump t.mmt.zst -o b.txt
cmp a.txt b.txt
"$refold" assemble - -o - < a.txt > u.mmt.zst
cmp t.mmt.zst u.mmt.zst
"$refold" dump --sorted t.mmt.zst > sorted.txt
printf '5 tid=1 fault addr=0x1000 flags=0x0\n10 tid=0 lost events=3\n10 tid=0 brk addr=0x0\n' | cmp - sorted.txt
"$refold" info t.mmt.zst | grep -q '^2 records, 2 frames'
"$refold" info -j t.mmt.zst | grep -q '"lost_events": 3'

# By the index and by every frame: the same, whatever is in it, and of whatever has no index or an old one.
same() {
	for form in '' -j; do
		"$refold" info $form "$1" > by_index
		"$refold" info $form --check "$1" > by_frames
		cmp by_index by_frames
	done
}
same t.mmt.zst
printf '5 tid=1 no_stacks why=2 calls=7\nframe lost=4\n6 tid=1 fault\n7 tid=1 no_stacks why=0 calls=9\n' |
	"$refold" assemble - -o calls.mmt.zst
same calls.mmt.zst
grep -q '"no_stacks": 2' by_index
"$refold" info calls.mmt.zst | grep -q '^calls without a stack: 9: '
for sample in "$samples"/*.mmt.zst; do
	"$refold" dump "$sample" > sample.txt
	"$refold" assemble sample.txt -o sample.mmt.zst
	same sample.mmt.zst
	same "$sample"
	index=$(od -An -tu8 -j$(($(wc -c < sample.mmt.zst) - 16)) -N8 --endian=little sample.mmt.zst)
	head -c $index sample.mmt.zst > without.mmt.zst
	same without.mmt.zst
	grep -v '_bytes\|centibytes' by_index > without
	"$refold" info -j sample.mmt.zst | grep -v '_bytes\|centibytes' | cmp - without
done
# Damage inside is found by who reads it.
cp sample.mmt.zst hit.mmt.zst
printf 'damage' | dd of=hit.mmt.zst bs=1 seek=$((index / 2)) conv=notrunc status=none
"$refold" info hit.mmt.zst > by_index
"$refold" info sample.mmt.zst | cmp - by_index
expect 3 'hit.mmt.zst: byte ' "$refold" info --check hit.mmt.zst
grep -q '^INCOMPLETE' out
# In the one frame that the index sends to, too.
frame=$(LC_ALL=C grep -abo -P '\x28\xb5\x2f\xfd' calls.mmt.zst | LC_ALL=C sed -n '2s/:.*//p')
printf 'damage' | dd of=calls.mmt.zst bs=1 seek=$((frame + 60)) conv=notrunc status=none
expect 3 'calls.mmt.zst: byte ' "$refold" info calls.mmt.zst
mv out by_index
expect 3 'calls.mmt.zst: byte ' "$refold" info --check calls.mmt.zst
cmp out by_index

expect 1 'not a Refold trace' "$refold" info t.txt
expect 1 'No such file' "$refold" dump absent
expect 1 'is a directory' "$refold" info .
: > empty
expect 1 'empty' "$refold" info empty
printf '\n5 fualt\n' > bad.txt
expect 1 'bad.txt:2: no record kind "fualt"' "$refold" assemble bad.txt -o x
[ ! -e x ]
expect 1 '/dev/full' "$refold" assemble t.txt -o /dev/full
expect 1 '/dev/full' "$refold" dump t.mmt.zst -o /dev/full
expect 2 'needs one trace' "$refold" dump
expect 2 'needs -o' "$refold" assemble t.txt
expect 2 'unknown option' "$refold" info --wrong t.mmt.zst

size=$(wc -c < t.mmt.zst)
head -c $((size / 2)) t.mmt.zst > cut.mmt.zst
expect 3 'cut.mmt.zst: byte ' "$refold" info cut.mmt.zst
grep -q '^INCOMPLETE' out
expect 3 'cut.mmt.zst: byte ' "$refold" dump cut.mmt.zst
grep -q '^end none' out
# The text of a cut trace makes a trace that is marked as incomplete, too.
"$refold" assemble out -o again.mmt.zst
got=0
"$refold" info -j again.mmt.zst > out || got=$?
[ "$got" -eq 3 ]
grep -q '"complete": false' out
head -c 20 t.mmt.zst > cut.mmt.zst
expect 3 'damaged header' "$refold" info cut.mmt.zst
