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


def kernel_policy(refold, release):
    """The named point of a kernel release, and whether it is known: of just that one, or the newest that is not newer."""
    listed = subprocess.run([refold, 'policies'], stdout=subprocess.PIPE, text=True, check=True).stdout
    exact = 'linux-' + re.match(r'[\d.]*\d', release).group()
    if re.search(rf'^{re.escape(exact)} ', listed, re.MULTILINE):
        return exact, True
    named = re.findall(r'^linux-(\d+)\.(\d+) ', listed, re.MULTILINE)
    points = sorted({tuple(map(int, version)) for version in named})
    version = tuple(map(int, re.match(r'(\d+)\.(\d+)', release).groups()))
    older = [point for point in points if point <= version]
    if not older:
        raise ValueError(f'no policy is as old as Linux {release}')
    return 'linux-{}.{}'.format(*older[-1]), version <= points[-1]


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


def replay(refold, traces, policies):
    """policy -> label -> counts, of all windows of some recordings."""
    predicted = {name: {} for name in policies}
    for trace in traces:
        text = report(refold, trace, policies)
        if text['trace']['lost_events']:
            raise RuntimeError(f'{trace}: {text["trace"]["lost_events"]} events were lost')
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
