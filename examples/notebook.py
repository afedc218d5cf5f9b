#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# %% [markdown]
# What would large folios and newer kernels have cost this Redis? From recordings to data frames: each `# %%` is a cell
# for Jupyter, VS Code or Spyder; `python3 notebook.py TRACE` runs all of them. It needs pandas, and librefold, which
# `meson install` installs.

# %%
import sys

import pandas

import refold

TRACE = sys.argv[1] if len(sys.argv) > 1 else "traces/samples/redis.mmt.zst"
BASELINE = "linux-6.8"
POLICIES = [BASELINE, "linux-6.12", "linux-7.3", "linux-7.3+tlbi=single"]
pandas.set_option("display.width", 120)

# %% [markdown]
# One pass over the trace, all policies side by side. A damaged trace raises `DamagedError`, whose `report` has what
# could be read.

# %%
report = refold.replay(TRACE, POLICIES, by="mapping,call", interval="100ms", processes=True)
print(report)
for warning in report.warnings:
    print("warning:", warning)

# %% [markdown]
# A row for each policy and operation, a column for each counter: counts of events. "totals" is all operations.

# %%
counters = report.to_pandas()
totals = counters.xs("totals", level="operation")
print(totals[["tlbi", "dsb", "unfold", "pte_loads"]])

# %% [markdown]
# In percent of the baseline, the counters that differ.

# %%
change = (100 * (totals / totals.loc[BASELINE].where(totals.loc[BASELINE] != 0) - 1)).dropna(axis="columns")
print(change.loc[:, (change.abs() >= 1).any()].round(1).T)

# %% [markdown]
# Which operations load entries, under the newest kernel.

# %%
print(counters.loc["linux-7.3"].drop("totals").pte_loads.nlargest(5))

# %% [markdown]
# Whose they are: the dearest mappings and calls.

# %%
shares = report.to_pandas("attribution").droplevel("trace")
print(shares.loc["linux-7.3"][["pte_loads", "tlbi", "bytes"]].head(5))

# %% [markdown]
# From 100 ms to 100 ms, and by process.

# %%
series = report.to_pandas("intervals").droplevel("trace")
print(series.loc["linux-7.3"][["faults", "tlbi", "pte_loads"]].head(5))
processes = report.to_pandas("processes").droplevel("trace")
print(processes.xs("linux-7.3", level="policy")[["tlbi", "pte_loads"]].nlargest(3, "pte_loads"))
