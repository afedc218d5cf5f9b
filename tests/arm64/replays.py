# SPDX-License-Identifier: MIT
"""Replay recordings under the policies of the machines that made them."""
import json
import re
import subprocess
import tempfile

import counts

# CPU models of the lab, as a policy says them.
CPUS = {
    'range': 'tlbi=range',
    'norange': 'tlbi=single+repeat_tlbi=new',
    'norange-kpti': 'tlbi=single+repeat_tlbi=new+kpti=true',
    'a55': 'tlbi=single',
    'a72': 'tlbi=single',
    'n2': 'tlbi=range+repeat_tlbi=new',
    'lpa2': 'tlbi=range+lpa2=true',
}


def release_numbers(release):
    return tuple(map(int, re.match(r'(\d+)\.(\d+)', release).groups()))


def kernel_policy(refold, release):
    """The named point of a kernel release, and whether it is known: of just that one, or the newest that is not
    newer, else the oldest."""
    listed = subprocess.run([refold, 'policies'], stdout=subprocess.PIPE, text=True, check=True).stdout
    exact = 'linux-' + re.match(r'[\d.]*\d', release).group()
    if re.search(rf'^{re.escape(exact)} ', listed, re.MULTILINE):
        return exact, True
    named = re.findall(r'^linux-(\d+)\.(\d+) ', listed, re.MULTILINE)
    points = sorted({tuple(map(int, version)) for version in named})
    version = release_numbers(release)
    older = [point for point in points if point <= version] or points[:1]
    return 'linux-{}.{}'.format(*older[-1]), version <= points[-1]


def is_before_policies(refold, release):
    """Whether the kernel is older than every policy: what it did can be compared, what that costs cannot."""
    name = kernel_policy(refold, release)[0]
    return release_numbers(release) < release_numbers(name.removeprefix('linux-'))


def policy(refold, release, cpu):
    pages = re.search(r'-(16k|64k)$', release)
    return f'{kernel_policy(refold, release)[0]}+{CPUS[cpu]}' + (f'+granule={pages.group(1)}' if pages else '')


def label_of(window):
    return window['label'].removeprefix('WL BEGIN ')


def report(refold, trace, policies):
    with tempfile.NamedTemporaryFile(suffix='.json') as file:
        done = subprocess.run([refold, 'replay', trace, '-p', ','.join(policies), '-o', file.name],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode not in (0, 3):
            raise RuntimeError(f'{trace}: exit code {done.returncode}: {done.stderr.strip()}')
        with open(file.name, encoding='utf-8') as text:
            return json.load(text)


FIDELITY = ('ptes', 'present', 'pfn', 'order', 'extra')


def replay(refold, traces, policies, fidelity=None):
    """policy -> label -> counts, of all windows of some recordings. fidelity: a Counter that is added to."""
    predicted = {name: {} for name in policies}
    for trace in traces:
        text = report(refold, trace, policies)
        if text['trace']['lost_events']:
            raise RuntimeError(f'{trace}: {text["trace"]["lost_events"]} events were lost')
        if fidelity is not None:
            fidelity.update({name: text['fidelity'][name] for name in FIDELITY})
            fidelity.update(recordings=1, records=text['trace']['records'], exact=text['trust']['word'] == 'exact')
        for window in text['windows']:
            label = label_of(window)
            if label.startswith('WL END') or label.endswith('/empty'):
                continue
            for counted in window['policies']:
                predicted[counted['name']][label] = counts.from_report(counted, window['records_by_kind'])
    return predicted


def recorded_processes(refold, trace):
    """The process that was recorded and those it started; what others do meanwhile, as the recorder, does not count."""
    text = subprocess.run([refold, 'dump', trace], stdout=subprocess.PIPE, text=True, check=True).stdout
    header = next(line for line in text.splitlines() if line.startswith('header '))
    return {*json.loads(header.removeprefix('header '))['pids'],
            *map(int, re.findall(r'\bnewtask child=(\d+)', text))}
