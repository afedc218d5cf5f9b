#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
refold ablate: what it says of a patch must be what replays with the knobs switched by hand count.

usage: ablate.py REFOLD [unittest arguments]
"""
import csv
import json
import pathlib
import subprocess
import sys
import unittest

REFOLD = pathlib.Path(sys.argv.pop(1)).resolve()
TREE = pathlib.Path(__file__).parent.parent.parent
RECORDINGS = TREE / "tests" / "arm64" / "recordings" / "6.12-range"
MPROTECT = RECORDINGS / "64K.mprotect.8.mmt.zst"
REDIS = TREE / "traces" / "samples" / "redis.mmt.zst"
MANY = [RECORDINGS / f"64K.{name}.8.mmt.zst"
        for name in ("mprotect", "mremap", "free", "collapse", "reclaim")]

# Series that vendors took, by their requests, and by hand: kernel, request, knobs.
FORK = "batch_fork=true+batch_rule=folio"
ZAP = "gather=folio2slot+batch_zap=true"
CONTPTE = (f"{FORK}+{ZAP}+pmd_split_set_ptes=true+access_compare=gathered+cont=true+fold_sites=set1+getter=gather+"
           "hint=true+protnone_cont=valid+tlbi_limit_waits=twice")
SERIES = [
    ("linux-6.6", "deepin-pr-1976", FORK),
    ("linux-6.6", "deepin-pr-1978", ZAP),
    ("linux-6.6", "deepin-pr-1999", CONTPTE),
    ("linux-6.6", "deepin-pr-2001", CONTPTE.replace("access_compare=gathered", "access_compare=raw")),
    ("linux-6.6+cpu=cortex-a76-r3p0", "deepin-pr-1894", "tlbi=single+repeat_tlbi=new"),
    ("linux-6.6+repeat_tlbi=old", "deepin-pr-1894", "repeat_tlbi=new"),
    ("linux-6.6", "deepin-pr-1993", "lpa2=true"),
    ("linux-6.17", "nvidia-pr-350",
     "batch_uffd_move=true+reuse_flush=local+needs_flush=precise+unshare_flush=gather"),
    ("linux-6.17", "nvidia-pr-334", "access_compare=raw"),
    ("linux-6.17+repeat_tlbi=old", "nvidia-pr-336", "repeat_tlbi=new"),
    ("linux-6.18+repeat_tlbi=old", "nvidia-pr-337", "repeat_tlbi=new"),
    ("linux-6.8", "nvidia-pr-335", CONTPTE.replace("access_compare=gathered", "access_compare=raw")),
    ("linux-6.17+cpu=neoverse-v2", "nvidia-pr-455", "repeat_tlbi=old"),
    ("linux-6.17+cpu=neoverse-v2", "nvidia-pr-455,nvidia-pr-336", "repeat_tlbi=new"),
    ("linux-6.18+cpu=neoverse-v2+mitigation=CVE-2025-10263:off", "nvidia-pr-455", "repeat_tlbi=new"),
    ("linux-6.6+cpu=pi5", "raspberrypi-pr-7429", "tlbi=single+repeat_tlbi=old"),
]

# The mitigation of CVE-2025-10263, in the form each kernel has of it, on three cores.
LISTED = [("cortex-a76", "tlbi=single"), ("neoverse-n1", "tlbi=single"), ("neoverse-v2", "tlbi=range")]
FORMS = [("linux-6.1", "new"), ("linux-6.6", "old"), ("linux-6.12", "new"), ("linux-6.17", "old"),
         ("linux-6.18", "new"), ("linux-7.2", "new"), ("linux-7.3", "new")]


def refold(*arguments):
    return subprocess.run([REFOLD, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def counts(traces, *policies):
    """What replays count, policy by policy."""
    done = refold("replay", *traces, "-p", ",".join(f"c{i}={policy}" for i, policy in enumerate(policies)),
                  "--format", "csv", "--all")
    rows = [row for row in csv.DictReader(done.stdout.splitlines()) if row["operation"] == "total"]
    return [{row["counter"]: int(row[f"c{i}"]) for row in rows} for i in range(len(policies))]


def ablate(*arguments):
    done = refold("ablate", *arguments, "-qj")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Ablate(unittest.TestCase):
    def test_against_knobs_by_hand(self):
        result = ablate(MPROTECT, "--from", "linux-6.8", "--to", "linux-6.17")
        base, needs, contpte, target, without = (
            column["tlbi"]
            for column in counts([MPROTECT], "linux-6.8", f"linux-6.8+{FORK}+{ZAP}+pmd_split_set_ptes=true",
                                 f"linux-6.8+{CONTPTE}", "linux-6.17", "linux-6.17+batch_mprotect=false"))
        self.assertEqual((result["from_counts"], result["to_counts"]), (base, target))
        patches = {patch["patch"]: patch for patch in result["patches"]}
        self.assertEqual(patches["contpte-v6"]["alone"], contpte - needs)
        self.assertEqual(patches["cac1db8c3aad"]["at_target"], target - without)
        self.assertEqual(patches["cac1db8c3aad"]["alone"], 0)
        # Without mprotect()'s batches, contiguous entries cost what they are unfolded and folded for.
        no_contpte, neither = (column["tlbi"] for column in counts(
            [MPROTECT], "linux-6.17+cont=false", "linux-6.17+cont=false+batch_mprotect=false"))
        self.assertIn({"patch": "contpte-v6", "without": "cac1db8c3aad", "change": without - neither,
                       "change_with": target - no_contpte}, result["interactions"])
        self.assertEqual(result["patches"][0]["patch"], "cac1db8c3aad")
        self.assertAlmostEqual(sum(patch["share"] for patch in patches.values()), target - base, 6)
        self.assertIn("khugepaged-batch", result["cannot_matter_here"])
        self.assertNotIn("khugepaged-batch", patches)

    def test_shares_add_up(self):
        result = ablate(*MANY, "--from", "linux-5.10", "--to", "linux-7.3")
        self.assertGreater(len(result["patches"]), 6)
        self.assertGreater(result["orders"], 0)
        self.assertAlmostEqual(sum(patch["share"] for patch in result["patches"]),
                               result["to_counts"] - result["from_counts"], 6)
        self.assertEqual([one["patch"] for one in result["cannot_be_judged"]],
                         ["19eaf44954df", "1da190f4d0a6", "143937ca51cc", "batch-young"])
        names = [patch["patch"] for patch in result["patches"]] + result["cannot_matter_here"]
        self.assertNotIn("batch-young", names)
        self.assertEqual(len(set(names)), len(names))

    def test_in_order_leads_there(self):
        for by in "waits", "pte_loads":
            result = ablate(REDIS, "--from", "linux-6.6", "--to", "linux-7.3", "--by", by)
            self.assertEqual(sum(patch["in_order"] for patch in result["patches"]),
                             result["to_counts"] - result["from_counts"], by)

    def test_series_of_vendors(self):
        """One command each; its target is the kernel with the knobs switched by hand."""
        for kernel, request, knobs in SERIES:
            with self.subTest(request):
                base, target = counts([REDIS], kernel, f"{kernel.partition('+')[0]}+{knobs}")
                for by in "tlbi", "pte_loads":
                    result = ablate(REDIS, "--from", kernel, "--patches", request, "--by", by)
                    self.assertEqual((result["from_counts"], result["to_counts"]), (base.get(by, 0), target.get(by, 0)))

    def test_series_as_policies(self):
        """The same as columns of a replay: every counter of every operation."""
        columns = []
        for i, (kernel, request, knobs) in enumerate(SERIES):
            patches = "".join(f"+patch={one}" for one in request.split(","))
            columns += [f"a{i}={kernel.replace('+repeat_tlbi=old', '')}{patches}",
                        f"b{i}={kernel.partition('+')[0]}+{knobs}"]
        done = refold("replay", REDIS, "-p", ",".join(columns), "--format", "csv", "--all")
        rows = list(csv.DictReader(done.stdout.splitlines()))
        self.assertGreater(len(rows), 50, done.stderr)
        for i, series in enumerate(SERIES):
            self.assertEqual([row[f"a{i}"] for row in rows], [row[f"b{i}"] for row in rows], series)

    def test_cve(self):
        cases = [(kernel, form, core, tlbi) for core, tlbi in LISTED for kernel, form in FORMS]
        columns = counts([REDIS], *(column for kernel, form, core, tlbi in cases for column in (
            f"{kernel}+cpu={core}+mitigation=CVE-2025-10263:off", f"{kernel}+cpu={core}+mitigation=CVE-2025-10263:on",
            f"{kernel}+{tlbi}", f"{kernel}+{tlbi}+repeat_tlbi={form}")))
        for i, case in enumerate(cases):
            off, on, by_hand_off, by_hand_on = columns[4 * i:4 * i + 4]
            self.assertEqual((off, on), (by_hand_off, by_hand_on), case)
            self.assertGreater(on["tlbi"], off["tlbi"])
            self.assertEqual(on["tlbi"] - on["tlbi_repeat"], off["tlbi"], case)

    def test_what_no_core_asks_for(self):
        """AmpereOne is on no list; a form of a work-around that is not in use counts nothing."""
        for policy, reason in (("linux-6.17+cpu=ampereone+mitigation=CVE-2025-10263:on", "has no use for"),
                               ("linux-6.17+cpu=neoverse-v2+patch=nvidia-pr-336", "has no use for"),
                               ("linux-6.12+cpu=neoverse-n1+patch=83bbd6be7d17", "has no use for")):
            done = refold("replay", REDIS, "-p", f"plain={'+'.join(policy.split('+')[:2])},with={policy}",
                          "--format", "csv")
            rows = list(csv.DictReader(done.stdout.splitlines()))
            self.assertEqual([row["plain"] for row in rows], [row["with"] for row in rows])
            self.assertIn(reason, done.stderr)

    def test_form_of_a_list(self):
        """The list costs, its newer form saves, and neither does anything without the other's part of it."""
        result = ablate(REDIS, "--from", "linux-6.17", "--cpu", "neoverse-v2", "--patches",
                        "nvidia-pr-455,nvidia-pr-336")
        off, old, new = counts([REDIS], "linux-6.17", "linux-6.17+repeat_tlbi=old", "linux-6.17+repeat_tlbi=new")
        patches = {patch["patch"]: patch for patch in result["patches"]}
        self.assertEqual(patches["CVE-2025-10263"]["alone"], old["tlbi"] - off["tlbi"])
        self.assertEqual(patches["a8f78680ee6b"]["alone"], 0)
        self.assertEqual(patches["a8f78680ee6b"]["at_target"], new["tlbi"] - old["tlbi"])

    def test_one_among_the_rest(self):
        result = ablate(MPROTECT, "--from", "linux-6.8", "--to", "linux-6.17", "--patches", "cac1db8c3aad")
        self.assertEqual({patch["title"] for patch in result["patches"]},
                         {"mm: optimize mprotect() by PTE batching", "no patch of the table"})

    def test_cpu(self):
        """Neoverse N1 has no range TLBI, and the erratum's work-around, which 6.12.117 has: each is as many more."""
        base, = counts([REDIS], "linux-6.12+cpu=neoverse-n1")
        result = ablate(REDIS, "--from", "linux-6.12", "--to", "linux-7.3", "--cpu", "neoverse-n1")
        self.assertEqual(result["from_counts"], base["tlbi"])

    def test_text(self):
        done = refold("ablate", MPROTECT, "-q", "--from", "linux-6.8", "--to", "linux-6.17")
        self.assertTrue(done.stdout.startswith("linux-6.17 against linux-6.8: TLBI 17 -> 19, "), done.stdout)
        self.assertIn("contpte-v6 without cac1db8c3aad: +1,278 tlbi (with it: +2)\n", done.stdout)
        self.assertRegex(done.stdout, r"(?m)^cac1db8c3aad +6.17 +-\d+ +0 +-1,276 +-1,276$")
        done = refold("ablate", MPROTECT, "-q", "--from", "linux-6.8", "--to", "linux-6.17", "--format", "csv")
        rows = list(csv.DictReader(done.stdout.splitlines()))
        self.assertEqual(sum(int(row["share"]) for row in rows), 2)
        done = refold("ablate", MPROTECT, "-q", "--from", "linux-6.8", "--to", "linux-6.17", "--format", "markdown")
        self.assertIn("| cac1db8c3aad | mm: optimize mprotect() by PTE batching | 6.17 | -", done.stdout)

    def test_wrong_usage(self):
        for arguments in ([], ["--from", "linux-6.6"], ["--from", "linux-6.6", "--to", "linux-6.6"],
                          ["--from", "linux-6.6", "--to", "x86-7.3"], ["--from", "linux-6.6", "--patches", "nothing"],
                          ["--from", "linux-6.6", "--to", "linux-7.3", "--by", "seconds"],
                          ["--from", "linux-6.6", "--to", "linux-7.3", "--cpu", "pentium"]):
            done = refold("ablate", REDIS, *arguments)
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1), arguments)
        self.assertEqual(refold("ablate", "--from", "linux-6.6", "--to", "linux-7.3").returncode, 2)
        self.assertEqual(refold("ablate", "nowhere", "--from", "linux-6.6", "--to", "linux-7.3").returncode, 1)


if __name__ == "__main__":
    unittest.main()
