#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The arm64 page-table code of a kernel tree as a backend of Refold. Run by refold, from the folder that has shim.c:
#
#   build.sh -k TREE -p 12|14|16 -c CACHE -P "6.9=6.9 6.12=6.12.117 ..." [-b POLICY] [-o FILE.so] [-d DIR]
#
# -P: policies of releases, and what they model; -b: the policy whose core mm goes with it (default: the newest that is
# not newer than the tree, but one of the same X.Y rather than an older one); -d: leave what the compiler was given
# there. What was built is kept in CACHE under a hash of the files used, the compiler and these arguments. Prints
# "key value" lines. Nothing of the tree is changed.
set -eu
export LC_ALL=C
here=$(cd "${0%/*}" && pwd)
k='' page=12 cache='' base='' out='' keep='' releases=''
while getopts k:p:c:b:o:d:P: option; do
	case $option in
	k) k=$OPTARG ;;
	p) page=$OPTARG ;;
	c) cache=$OPTARG ;;
	b) base=$OPTARG ;;
	o) out=$OPTARG ;;
	d) keep=$OPTARG ;;
	P) releases=$OPTARG ;;
	*) exit 2 ;;
	esac
done

refuse() { echo "reason $*"; exit 1; }

# What is below is done for every replay, so few programs are run.

# 6.12.107: number=6012107
number() {
	b=${1#*.}.0.0
	c=${b#*.}
	number=$((${1%%.*} * 1000000 + ${b%%.*} * 1000 + ${c%%.*}))
}

# ---- the tree, and what is looked at in it ----

[ -e "$k" ] || refuse "no such directory"
[ -d "$k" ] || refuse "not a directory: a kernel tree is one"
k=$(cd "$k" && pwd)
asm=$k/arch/arm64/include/asm
[ -f "$k/Makefile" ] && [ -d "$k/arch" ] && [ -d "$k/mm" ] || refuse "not a kernel tree: it has no Makefile, arch and mm"
version='' patchlevel='' sublevel='' extra=''
while read -r name _ value; do
	case $name in
	VERSION) version=$value ;;
	PATCHLEVEL) patchlevel=$value ;;
	SUBLEVEL) sublevel=$value ;;
	EXTRAVERSION) extra=$value && break ;;
	esac
done <"$k/Makefile"
case $version/$patchlevel in
/* | */ | *[!0-9/]*) refuse "not a kernel tree: its Makefile has no VERSION and PATCHLEVEL" ;;
esac
release=$version.$patchlevel${sublevel:+.$sublevel}$extra
[ -f "$k/arch/arm64/mm/contpte.c" ] ||
	refuse "Linux $release has no arch/arm64/mm/contpte.c: contiguous PTEs came with 6.9"
for file in pgtable.h tlbflush.h tlb.h; do
	[ -f "$asm/$file" ] || refuse "Linux $release has no arch/arm64/include/asm/$file"
done
if [ -z "$base" ]; then
	number "$version.$patchlevel.${sublevel:-0}" && tree=$number older=0 newer=0
	for p in $releases; do
		number "${p#*=}"
		if [ "$number" -le "$tree" ] && [ "$number" -gt "$older" ]; then
			older=$number base=linux-${p%=*}
		elif [ $((number / 1000)) = $((tree / 1000)) ] && [ $((newer && number > newer)) = 0 ]; then
			newer=$number next=linux-${p%=*}
		fi
	done
	[ $newer = 0 ] || [ $((older / 1000)) = $((tree / 1000)) ] || base=$next
	[ -n "$base" ] || refuse "Linux $release is older than every policy: name one, as in -p linux-6.9+kernel=TREE"
fi
files=
for file in Makefile arch/arm64/mm/contpte.c arch/arm64/mm/fault.c arch/arm64/mm/mmu.c mm/pgtable-generic.c \
	    include/linux/pgtable.h include/asm-generic/pgtable-nop4d.h include/asm-generic/pgtable-nopud.h \
	    include/asm-generic/pgtable-nopmd.h include/asm-generic/pgtable_uffd.h \
	    arch/arm64/include/asm/pgtable.h arch/arm64/include/asm/pgtable-types.h \
	    arch/arm64/include/asm/pgtable-hwdef.h arch/arm64/include/asm/pgtable-prot.h \
	    arch/arm64/include/asm/tlbflush.h arch/arm64/include/asm/tlb.h; do
	[ -f "$k/$file" ] && files="$files $file"
done

# ---- the compiler ----

if [ -z "${CC:-}" ]; then
	for CC in gcc clang none; do
		command -v "$CC" >/dev/null 2>&1 && break
	done
fi
command -v "${CC%% *}" >/dev/null 2>&1 || refuse "no compiler: install gcc or clang, or set CC"
compiler=$($CC --version)
compiler=${compiler%%
*}
flags='-std=gnu11 -O2 -g -fPIC -fno-strict-aliasing -w'

# ---- built before? ----

files_hash=$(cd "$k" && sha256sum $files | sha256sum)
files_hash=${files_hash%"${files_hash#????????????????}"}
revision=
if [ -e "$k/.git" ] && command -v git >/dev/null 2>&1; then
	revision=$(git -C "$k" describe --always --dirty 2>/dev/null || :)
fi
hash=$( (cat "$here"/*; echo "$files_hash $compiler $flags $page $base $k $revision") | sha256sum)
[ -d "$cache" ] || mkdir -p "$cache"
so=$cache/${hash%% *}.so
echo "release $release"
echo "base $base"
if [ -f "$so" ] && [ -z "$keep" ]; then
	[ -z "$out" ] || cp "$so" "$out" || refuse "cannot write $out"
	echo "so ${out:-$so}"
	echo "state cached"
	exit 0
fi

# ---- the folder that the compiler is given ----

b=$keep
if [ -n "$keep" ]; then
	mkdir -p "$keep"
else
	b=$(mktemp -d)
	trap 'rm -rf "$b"' EXIT
fi
mkdir -p "$b/inc/asm" "$b/inc/linux" "$b/inc/asm-generic"
# By their own names, which errors and warnings give.
for file in $files; do
	case $file in
	*/asm/pgtable*.h) echo "#include \"$k/$file\"" >"$b/inc/asm/${file##*/}" ;;
	include/*) echo "#include \"$k/$file\"" >"$b/inc/${file#include/}" ;;
	esac
done
# Only the macros that emit the instruction are replaced.
awk -v name="$asm/tlbflush.h" '
	BEGIN { print "#line 1 \"" name "\"" }
	/^#define __TLBI_[01]\(op, arg\)/ {
		n = substr($2, 8, 1)
		print "#define __TLBI_" n "(op, arg) shim_tlbi(#op, " (n == "1" ? "(arg)" : "0") ")"
		skip = 1
		next
	}
	skip && /^$/ { skip = 0; print "#line " FNR " \"" name "\"" }
	!skip { print }' "$asm/tlbflush.h" >"$b/inc/asm/tlbflush.h"
grep -q shim_tlbi "$b/inc/asm/tlbflush.h" || refuse "arch/arm64/include/asm/tlbflush.h has no __TLBI_0() and __TLBI_1()"
for h in asm/bug asm/cmpxchg asm/cpufeature asm/cputype asm/fixmap asm/memory asm/mmu asm/mte asm/por asm/proc-fns \
	 asm/rsi linux/bitfield linux/bug linux/efi linux/export linux/mm linux/mm_types linux/mmdebug \
	 linux/mmu_notifier linux/page_table_check linux/pfn linux/sched; do
	echo '#include <kenv.h>' >"$b/inc/$h.h"
done
# The definition that starts at a line that matches.
cut_definition() {
	awk -v re="$2" '
		!on && $0 ~ re { on = 1; print "#line " FNR " \"" FILENAME "\"" }
		on { print }
		on && /^}/ { exit }' "$1"
}
{
	cut_definition "$k/arch/arm64/mm/fault.c" '^int __ptep_set_access_flags(_anysz)?[(]'
	cut_definition "$k/mm/pgtable-generic.c" '^pte_t ptep_clear_flush[(]'
	for f in modify_prot_start_ptes modify_prot_commit_ptes ptep_modify_prot_start ptep_modify_prot_commit; do
		cut_definition "$k/arch/arm64/mm/mmu.c" "^(pte_t|void) $f[(]"
	done
	cut_definition "$asm/tlb.h" '^static inline int tlb_get_level[(]'
	cut_definition "$asm/tlb.h" '^static inline void tlb_flush[(]'
} >"$b/extracted.h"

# ---- what this tree has ----

text() { printf '%s' "$1" | sed 's/["\\]/\\&/g'; }
has() { grep -q "$1" "$2"; }
shim_flags=REFOLD_BACKEND_REPEAT_OLD
has '^static .*__tlbi_sync_s1ish' "$asm/tlbflush.h" && shim_flags=REFOLD_BACKEND_REPEAT_NEW
has system_supports_bbml "$k/arch/arm64/mm/contpte.c" || shim_flags="$shim_flags|REFOLD_BACKEND_NO_BBML3"
set -- "-DSHIM_FLAGS=$shim_flags"
has '^#define test_and_clear_young_ptes' "$asm/pgtable.h" && set -- "$@" -DSHIM_YOUNG_PTES
has '^#define modify_prot_start_ptes' "$asm/pgtable.h" && set -- "$@" -DSHIM_MODIFY_PROT_PTES
has arch_flush_tlb_batched_pending "$asm/tlbflush.h" && set -- "$@" -DSHIM_BATCHED_PENDING
sed -n '/arch_tlbbatch_add_pending/,/{/p' "$asm/tlbflush.h" | grep -q 'long end' && set -- "$@" -DSHIM_TLBBATCH_RANGE
sed -n '/void __flush_tlb_range_nosync/,/{/p' "$asm/tlbflush.h" | grep -q vm_area_struct && nosync=vma || nosync=MM
has 'pgattr_change_is_safe(pteval_t' "$asm/pgtable.h" && pgattr=pteval_t || pgattr=u64

revision_text=NULL
[ -z "$revision" ] || revision_text="\"$(text "$revision")\""
started=$(date +%s%N)
# shellcheck disable=SC2086
$CC $flags -shared -fvisibility=hidden "-fmacro-prefix-map=$k/=" "$@" \
	-DSHIM_RELEASE="\"$(text "$release")\"" -DSHIM_BASE="\"$(text "$base")\"" -DSHIM_TREE="\"$(text "$k")\"" \
	-DSHIM_REVISION="$revision_text" -DSHIM_FILES="\"$files_hash\"" \
	-DSHIM_COMPILER="\"$(text "$compiler")\"" -DSHIM_COMPILER_FLAGS="\"$flags\"" \
	-DSHIM_PAGE_SHIFT="$page" -DSHIM_NOSYNC_ARG="$nosync" -DSHIM_PGATTR_T="$pgattr" \
	-DCONTPTE_C="\"$k/arch/arm64/mm/contpte.c\"" -I"$here" -I"$b/inc" -I"$b" "$here/shim.c" -o "$so.$$" >&2 ||
	refuse "its code does not compile for user space: see above ($compiler)"
mv "$so.$$" "$so"
[ -z "$out" ] || cp "$so" "$out" || refuse "cannot write $out"
echo "so ${out:-$so}"
echo "state built"
echo "milliseconds $((($(date +%s%N) - started) / 1000000))"
