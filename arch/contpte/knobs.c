// SPDX-License-Identifier: MIT
/* The knobs of folding, and what they take for granted. */
#include "arch/contpte/contpte.h"

bool contpte_splits_refault(const struct arch_knobs *knobs)
{
	return knobs->unfold_free_split != SPLIT_UNFOLDS;
}

const struct knob contpte_knobs[] = {
	{ "access_compare", KNOB_WORDS(ARCH_ACCESS_COMPARE),
	  "how ptep_set_access_flags() sees that a folded block needs no change (raw: 7.0, 6.12.107)",
	  ARCH_KNOB(access_compare), KNOB_NEEDS("cont=true") },
	{ "batch_helpers", KNOB_BOOL, "wrprotect and clear take a run at once; false: entry by entry",
	  ARCH_KNOB(batch_helpers) },
	{ "bbml3", KNOB_BOOL, "folding and unfolding need no flush (6.17, on CPUs that allow it)",
	  ARCH_KNOB(bbml3), KNOB_SINCE(6, 17), KNOB_NEEDS("cont=true") },
	{ "cont", KNOB_BOOL, "transparent contiguous blocks are in use (arm64: 6.9; riscv: no kernel)",
	  ARCH_KNOB(cont) },
	{ "cont_pages", "granule|4|8|16|32|64|128",
	  "base pages of a block: as the architecture has them with the granule, or so many (no kernel)",
	  ARCH_KNOB(cont_pages), KNOB_NO_KERNEL, KNOB_NEEDS("cont=true") },
	{ "fold_scope", KNOB_EITHER("folio", "span"),
	  "what may make up a folded block: one folio, or adjacent ones too (no kernel)",
	  ARCH_KNOB(fold_span), KNOB_NO_KERNEL, KNOB_NEEDS("cont=true") },
	{ "fold_sites", KNOB_WORDS(ARCH_FOLD_SITES),
	  "who tries to fold: set_ptes() of a last entry; wrprotect, access flags, too; any entry; an operation's end",
	  ARCH_KNOB(fold_sites), KNOB_NEEDS("cont=true") },
	{ "getter", KNOB_WORDS(ARCH_GETTERS),
	  "what ptep_get() reads of a folded block: one entry, all (6.9), until A and D are known (6.16)",
	  ARCH_KNOB(getter), KNOB_NEEDS("cont=true") },
	{ "hint", KNOB_BOOL, "pte_batch_hint() lets batches step over folded blocks (6.9)", ARCH_KNOB(hint),
	  KNOB_SINCE(6, 9), KNOB_NEEDS("cont=true") },
	{ "lockless", KNOB_WORDS(ARCH_LOCKLESS),
	  "what ptep_get_lockless() reads of a folded block; ptep_get is another word for unlocked_get",
	  ARCH_KNOB(lockless), KNOB_NEEDS("cont=true") },
	{ "lockless_tries", NULL,
	  "lockless=bounded: after so many that a writer spoiled, one entry has to do; 0: no limit",
	  ARCH_KNOB(lockless_tries), KNOB_NEEDS("lockless=bounded") },
	{ "refold", KNOB_EITHER("never", "lazy"),
	  "a fault on a block that is not folded tries to fold it again, whatever unfolded it (no kernel)",
	  ARCH_KNOB(refold_lazy), KNOB_NO_KERNEL, KNOB_NEEDS("cont=true") },
	{ "unfold_free_split", KNOB_WORDS(ARCH_UNFOLD_FREE_SPLIT),
	  "a block is cleared, not unfolded, with no flush; the rest of it comes back by one fault, or one each (no kernel)",
	  ARCH_KNOB(unfold_free_split), KNOB_NO_KERNEL, KNOB_NEEDS("cont=true") },
	{ 0 },
};
