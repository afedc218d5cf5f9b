// SPDX-License-Identifier: MIT
/* What the oracles stand for, for people. Order is that of kernel-model.md section 8. */
#include <string.h>

#include "properties/property.h"

const struct property properties[] = {
	{ "I1", "uniform", "a block is contiguous as a whole or not at all", "contpte_convert()" },
	{ "I2", "alike", "a contiguous block maps one folio's pages in a row, aligned, by entries that differ in A/D only",
	  "contpte_try_fold()" },
	{ "I3", "protnone", "what is not valid or is PROT_NONE is not contiguous", "contpte_try_fold()" },
	{ "I4", "present", "what is written over is not present", NULL },
	{ "I5", "run", "a call is about pages of one folio, in one VMA and one table", "pte_batch_hint()" },
	{ "I6", "events", "blocks folded, born, unfolded and erased add up to those there are", NULL },
	{ "I7", "convert", "a block is folded and unfolded by clearing it, one flush of it, and setting it",
	  "contpte_convert()" },
	{ "I8", "flush-cost", "flushes cost what they should, and counters add up", "__flush_tlb_range()" },
	{ "I9", "stale-tlb", "what a TLB may still hold is flushed before anybody relies on it", NULL },
	{ "I11", "mapping", "entries map what they would without blocks", NULL },
	{ "I12", "accessed-dirty", "accessed and dirty are lost by none, and spread within a block only", NULL },
	{ "I13", "converted-ad", "folding and unfolding keep accessed and dirty of the block", "contpte_convert()" },
	{ "I14", "wrprotect", "what is write-protected lets no write through, and stays dirty", "wrprotect_ptes()" },
	{ "I15", "result", "what is cleared is returned, with accessed and dirty of all of it",
	  "get_and_clear_full_ptes()" },
	{ "I16", "fork", "children have their parents' pages, old, and private ones read-only", NULL },
	{ "I18", "hint", "a hint is 1, or reaches to the end of a contiguous block", "pte_batch_hint()" },
	{ "table", "outside", "a hook touches no memory beside its table", NULL },
	{ "crash", "crash", "a hook returns", NULL },
	{ "warn", "warn", "the code finds nothing wrong by itself", NULL },
	{ "anomaly", "anomaly", "core mm finds nothing wrong", NULL },
	{ "run", "machine", "the machine runs", NULL },
};

const size_t nr_properties = ARRAY_SIZE(properties);

const struct property *property_find(const char *name)
{
	size_t i;

	for (i = 0; i < nr_properties; i++)
		if (!strcmp(properties[i].oracle, name) || !strcmp(properties[i].name, name))
			return &properties[i];
	return NULL;
}
