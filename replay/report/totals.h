/* SPDX-License-Identifier: MIT */
/* What the report says beside the counters of machines, where it says what operations cost: names and meanings. */
#ifndef REFOLD_REPLAY_REPORT_TOTALS_H
#define REFOLD_REPLAY_REPORT_TOTALS_H

/* In each row of "operations", and so in all totals. */
#define REPORT_ROW(X) \
	X(operations, "Operations of core mm carried out.")

/* In the totals of policies and of their windows. */
#define REPORT_TOTALS(X) \
	X(live_blocks, "Contiguous blocks left at the end (several traces: summed).") \
	X(live_block_time_ms, "Contiguous blocks times milliseconds they lived.")

/* In the totals of policies alone. */
#define REPORT_POLICY_TOTALS(X) \
	X(loaded_blocks, "Contiguous blocks set up from snapshots taken at attach; born and fold leave them out, " \
			 "live_blocks does not.") \
	X(peak_live_blocks, "Most contiguous blocks at one time.") \
	X(folded_page_ms, "Pages in contiguous blocks times milliseconds: live_block_time_ms in pages.") \
	X(coalesced_page_ms, "With coalesce: pages that hardware could take together without a bit, times milliseconds.") \
	X(valid_page_ms, "With coalesce: all pages with a valid entry of their own, times milliseconds.")

#endif
