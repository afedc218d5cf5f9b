# SPDX-License-Identifier: MIT
"""Reports for tests of pages: of samples, larger ones made of them, and ones by somebody who means ill."""
import copy
import json
import subprocess

POLICIES = "linux-6.8,contpte-v3,linux-6.12,linux-7.3"
SCRIPT = "</script><script>window.injected = 1</script>"
MARKUP = "<img src=x onerror='window.injected = 1'>&amp;\u2028\u2029"
STACKS = [["main", "serve", "free", "madvise"], ["main", "serve", "malloc", "mmap"], ["main", "load", "mmap"]]


def replayed(refold, trace, *options, policies=POLICIES):
    """The report of a trace, as it is read."""
    result = subprocess.run([refold, "replay", trace, "-p", policies, "-j", *options], capture_output=True, check=True)
    return json.loads(result.stdout)


def written(report, path):
    path.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")
    return path


def with_windows(report, nr):
    """With so many phases, each of which counted what everything did; without what no page shows of phases."""
    report = copy.deepcopy(report)
    policies = [{"name": policy["name"], "totals": policy["totals"], "operations": {}, "batches": {}, "readers": {}}
                for policy in report["policies"]]
    step = report["trace"]["duration_ns"] // nr
    report["windows"] = [{
        "trace": report["traces"][0]["name"], "label": f"phase {i % 7}", "occurrence": i // 7 + 1,
        "begin_ns": i * step, "end_ns": (i + 1) * step - step // 4, "ended_by": "mark", "records_by_kind": {},
        "policies": policies, "processes": []} for i in range(nr)]
    return report


def with_policies(report, nr):
    """With so many policies: those it has, again and again, under other names and with other counts."""
    report = copy.deepcopy(report)

    def more(policies):
        grown = []
        for i in range(nr):
            policy = copy.deepcopy(policies[i % len(policies)])
            policy["name"] = policy["name"] if i < len(policies) else f"{policy['name']}+max_dvm_ops={i}"
            for counters in [policy.get("totals", {}), *policy.get("operations", {}).values()]:
                for name, value in counters.items():
                    counters[name] = value + value * i // 40
            grown.append(policy)
        return grown
    report["policies"] = more(report["policies"])
    for part in ("windows", "processes", "intervals", "attribution"):
        for one in report.get(part, []):
            one["policies"] = more(one["policies"])
    report["trust"]["shares"] = more(report["trust"]["shares"])
    return report


def with_stacks(report):
    """With call stacks as attributed counts have them."""
    report = copy.deepcopy(report)
    report["attribution"] = [{"trace": report["traces"][0]["name"], "by": ["stack"], "policies": [{
        "name": policy["name"],
        "rows": [{"stack": stack[-1], "frames": stack[::-1], "bytes": 4096 * (i + 1),
                  "totals": {"tlbi": 30 - 10 * i, "faults": i}}
                 for i, stack in enumerate(STACKS)],
        "rest": {"rows": 4, "bytes": 0, "totals": {"tlbi": 7, "faults": 0}}} for policy in report["policies"]]}]
    return report


def many(report, nr, nr_policies):
    """What refold merge makes of so many traces: the one of the report, with other numbers and labels."""
    policies = report["traces"][0]["policies"]
    traces = []
    for i in range(nr):
        cells = []
        for k in range(nr_policies):
            cell = copy.deepcopy(policies[k % len(policies)])
            if k >= len(policies):
                cell["name"] += f"+max_dvm_ops={k}"
                cell["definition"] = f"{k:032x}"
            # Some are alike, one is far from all others.
            part = (i * 7919 % 97 + (k * i % 5 if k else 0) + (400 if i == 5 else 0)) / 100
            cell["totals"] = {name: int(value * (1 + part)) for name, value in cell["totals"].items()}
            cells.append(cell)
        traces.append(dict(report["traces"][0], name=f"host{i}.mmt.zst", digest=f"{i * 2654435761 % 2**32:032x}",
                           labels={"host": f"host{i}", "role": ("db", "web", "cache")[i % 3]}, policies=cells,
                           warnings=["nothing was folded"] if i % 2 else []))
    traces.sort(key=lambda trace: trace["digest"])
    return {"failures": [], "schema": "refold-fleet/1", "traces": traces}


def hostile(report):
    """Everything that a recorded program, or who gave the file its name, can choose the text of."""
    report = with_windows(with_stacks(report), 3)
    report["traces"][0]["name"] = SCRIPT + MARKUP
    report["traces"][0]["labels"] = {MARKUP: SCRIPT}
    report["warnings"] = [SCRIPT, MARKUP]
    for i, process in enumerate(report["processes"]):
        process["command"] = MARKUP if i % 2 else SCRIPT
    for window in report["windows"]:
        window["label"] = SCRIPT + MARKUP
    for policy in report["policies"] + [one for part in report["attribution"] for one in part["policies"]]:
        policy["name"] += MARKUP
    for policy in report["attribution"][0]["policies"]:
        policy["rows"][0] |= {"stack": SCRIPT, "frames": [SCRIPT, MARKUP]}
    report["trust"]["word"] = "marked"
    report["trust"]["marked"] = [{"trace": SCRIPT, "mm": 1, "pid": 1, "command": MARKUP, "since_ns": 0,
                                  "reasons": [{"reason": "loss", "record": 1, "since_ns": 0, "times": 1}]}]
    return report
