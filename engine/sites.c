// SPDX-License-Identifier: MIT
/* Names of the places that read entries, and which of them do not need accessed and dirty bits. */
#include "engine/sites.h"

const char *const rf_site_names[RF_NR_SITES] = {
#define X(name, recency, sentence) #name,
	RF_SITES(X)
#undef X
};

u64 rf_sites_of(enum rf_recency recency)
{
	static const enum rf_recency recencies[RF_NR_SITES] = {
#define X(name, recency, sentence) RECENCY_##recency,
		RF_SITES(X)
#undef X
	};
	u64 sites = 0;
	u32 site;

	for (site = 0; site < RF_NR_SITES; site++)
		if (recencies[site] == recency)
			sites |= BIT_ULL(site);
	return sites;
}
