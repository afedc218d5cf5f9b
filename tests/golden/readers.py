#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What reading folded blocks costs in recorded programs, call site by call site: on the samples the price of each read of
a block must be that of kernel-model.md 2.5, under the kernels and under the norecency policies. The norecency RFC's
argument is among them: who reads each of the 16 entries of a block without lock loads 16 x 18 = 288 entries, or 16.

usage: readers.py REFOLD SAMPLE...
"""
import json
import pathlib
import subprocess
import sys

ENTRIES = 16
LOCKLESS = {"fault_entry", "pte_range_none", "gup_fast", "khugepaged_swapin", "swap_readahead"}
RFC = LOCKLESS | {"gup_fast_recheck"}
# These use accessed and dirty bits: no policy converts them.
NEEDED = {"fork", "madvise", "batch_merge", "remove_migration", "mkclean", "khugepaged_scan", "khugepaged_isolate",
          "gup_slow", "gup_hugetlb"}


def price(policy, site):
    """The least and the most that one read of a block may load."""
    gate = 2 if site in LOCKLESS else 1
    if policy.startswith("norecency") and site in RFC:
        return 1, 1
    if policy == "norecency-full" and site not in NEEDED:
        return 1, 1
    if policy == "linux-7.3":
        return gate + 2, gate + ENTRIES + 1     # all are young and dirty; one is dirty, none young (C5)
    return gate + ENTRIES, gate + ENTRIES


def check(sample, policy):
    """What is wrong; and how many reads of blocks there were, by site."""
    found, blocks = [], {}
    reads = policy["readers"].values()
    calls = sum(read["calls"] for read in reads)
    if calls != policy["totals"]["ptep_get"] + policy["totals"]["ptep_get_lockless"]:
        found.append(f"{sample}: {policy['name']}: the calls of all sites are {calls}, not those of the totals")
    for site, read in policy["readers"].items():
        low, high = price(policy["name"], site)
        loads = read["loads"] - (read["calls"] - read["blocks"])
        if not low * read["blocks"] <= loads <= high * read["blocks"]:
            found.append(f"{sample}: {policy['name']}: {site}: {loads} loads for {read['blocks']} blocks, "
                         f"not {low} to {high} each")
        blocks[site] = read["blocks"]
    return found, blocks


def main():
    refold, *samples = sys.argv[1:]
    found, met = [], {}
    for sample in samples:
        done = subprocess.run([refold, "replay", sample, "-j", "-p",
                               "linux-6.9,linux-6.12,linux-7.3,norecency-rfc,norecency-full"],
                              check=True, capture_output=True, text=True)
        for policy in json.loads(done.stdout)["policies"]:
            wrong, blocks = check(pathlib.Path(sample).name, policy)
            found += wrong
            for site, nr in blocks.items():
                met[site] = met.get(site, 0) + nr
    # A site that never meets a block would pass whatever it cost.
    found += [f"no sample has {site} read a folded block"
              for site in ("fault_entry", "fault_recheck", "do_wp_page", "wp_page_copy", "fork", "zap", "mremap")
              if not met[site]]
    sys.exit("\n".join(found) if found else None)


main()
