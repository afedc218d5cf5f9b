#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
A thousand traces through a sweep in one process, by GNU parallel, and as an array job of a real Slurm: slurmctld and
two slurmd on this machine, of which one is killed in the middle, with all that it runs. The summaries are the same
bytes.

usage: cluster.py REFOLD [TRACES]

Needs Debian's parallel, slurmctld, slurmd, slurm-client and munge, and root; else it skips (77). Ports and folders are
its own.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

REFOLD = pathlib.Path(sys.argv[1]).resolve()
NR = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
TREE = pathlib.Path(__file__).parent.parent.parent
TEXT = (TREE / 'tests' / 'golden' / 'mm_fork' / 'trace.txt').read_text()
POLICIES = 'linux-6.8,linux-6.12,linux-7.3+max_dvm_ops={8,16,32,64,128,256,512,1024,2048}+tlbi={single,range}'
NR_POLICIES = 20
PARTS = 8
PROGRAMS = ('parallel', 'slurmctld', 'slurmd', 'sbatch', 'squeue', 'munged', 'mungekey')

CONFIGURATION = '''
ClusterName=refold
SlurmctldHost={host}
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={top}/munge.socket
StateSaveLocation={top}/state
SlurmdSpoolDir={top}/spool-%n
SlurmctldPidFile={top}/slurmctld.pid
SlurmdPidFile={top}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmdTimeout=5
SlurmctldTimeout=5
KillWait=5
JobRequeue=1
MpiDefault=none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
'''


def skip(why):
    print(f'SKIP: {why}')
    sys.exit(77)


def until(what, seconds, check):
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            sys.exit(f'{what}: not within {seconds} s')
        time.sleep(.2)


def free_ports(nr):
    sockets = [socket.create_server(('127.0.0.1', 0)) for _ in range(nr)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def tree_of(pid):
    """A process and all below it."""
    try:
        children = pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
    except FileNotFoundError:
        children = []
    return [pid] + [one for child in children for one in tree_of(int(child))]


def with_refold():
    return os.environ | {'PATH': f'{REFOLD.parent}:{os.environ["PATH"]}'}


class Cluster:
    def __init__(self, top):
        self.top = top
        self.processes = {}
        for name in ('state', 'spool-n1', 'spool-n2'):
            (top / name).mkdir()
        # munge and slurmd refuse folders that others may write to.
        top.chmod(0o755)
        (top / 'slurm.conf').write_text(CONFIGURATION.format(host=socket.gethostname(), ports=free_ports(3), top=top))
        subprocess.run(['mungekey', '--create', f'--keyfile={top}/munge.key'], check=True)
        self.environment = with_refold() | {'SLURM_CONF': f'{top}/slurm.conf'}

    def start(self, name, *command):
        log = open(self.top / f'{name}.log', 'w', encoding='utf-8')
        self.processes[name] = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, cwd=self.top)

    def __enter__(self):
        top, configuration = self.top, f'{self.top}/slurm.conf'
        self.start('munged', 'munged', '--foreground', '--force', f'--key-file={top}/munge.key',
                   f'--socket={top}/munge.socket', f'--pid-file={top}/munge.pid', f'--seed-file={top}/munge.seed',
                   f'--log-file={top}/munge.log')
        until('munged', 30, lambda: (top / 'munge.socket').exists())
        self.start('slurmctld', 'slurmctld', '-D', '-f', configuration)
        for node in ('n1', 'n2'):
            self.start(node, 'slurmd', '-D', '-N', node, '-f', configuration)
        until('nodes', 60, lambda: self.run('sinfo', '-h', '-t', 'idle', '-o', '%D').strip() == '2')
        return self

    def run(self, *command):
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, cwd=self.top).stdout

    def kill(self, name):
        """slurmd, its slurmstepd, which are no children of it any more, and what they run."""
        pids = tree_of(self.processes[name].pid)
        for process in pathlib.Path('/proc').glob('[0-9]*'):
            try:
                words = (process / 'cmdline').read_bytes().split(b'\0')
                environment = (process / 'environ').read_bytes()
            except OSError:
                continue
            if b'slurmstepd' in words[0] and str(self.top).encode() in environment and self.is_of(process, name):
                pids += tree_of(int(process.name))
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.processes[name].wait()

    def is_of(self, process, node):
        """Does a job of this node run below it?"""
        for pid in tree_of(int(process.name)):
            try:
                if f'SLURMD_NODENAME={node}'.encode() in pathlib.Path(f'/proc/{pid}/environ').read_bytes().split(b'\0'):
                    return True
            except OSError:
                pass
        return False

    def __exit__(self, *_):
        for process in reversed(list(self.processes.values())):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def make_traces(folder):
    folder.mkdir()
    for number in range(NR):
        text = re.sub(r'^header (.*)$', lambda found: 'header ' + json.dumps(
            json.loads(found[1]) | {'labels': {'host': f'h{number}', 'role': f'r{number % 7}'}}), TEXT, count=1,
            flags=re.M)
        subprocess.run([REFOLD, 'assemble', '-', '-o', folder / f'{number:04}.mmt.zst'], input=text, text=True,
                       check=True)


def summary(*sources):
    return subprocess.run([REFOLD, 'summary', '-j', '--all', '--by', 'role', *sources], check=True,
                          capture_output=True).stdout


def by_parallel(top, traces):
    out = top / 'parallel'
    out.mkdir()
    text = (TREE / 'contrib' / 'README.md').read_text()
    line = next(line.strip() for line in text.splitlines() if 'parallel refold' in line)
    line = line.replace('POLICIES', f"'{POLICIES}'").replace('TRACES', str(traces)).replace('OUT', str(out))
    subprocess.run(['sh', '-c', line], env=with_refold(), check=True, stdin=subprocess.DEVNULL)
    return out


def by_slurm(top, traces):
    out = top / 'slurm'
    with Cluster(top / 'cluster') as cluster:
        job = cluster.run('sbatch', '--parsable', f'--array=1-{PARTS}', f'--output={top}/job-%a.log',
                          TREE / 'contrib' / 'slurm-sweep.sbatch', POLICIES, out, traces).strip()
        assert job.isdigit(), (cluster.top / 'slurmctld.log').read_text()
        running = ('squeue', '-h', '-r', '-t', 'running', '-o', '%N')
        until('both nodes run a part', 120, lambda: set(cluster.run(*running).split()) == {'n1', 'n2'})
        until('both have begun', 60, lambda: len(list(out.glob('*.db'))) >= 2)
        cluster.kill('n2')
        print('killed a slurmd with what it ran')
        until('the others do it', 600, lambda: not cluster.run('squeue', '-h', '-r').strip())
    return out


def main():
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        skip(f'{", ".join(missing)} not installed')
    if os.geteuid():
        skip('needs root')
    with tempfile.TemporaryDirectory(prefix='refold-cluster-') as name:
        top = pathlib.Path(name)
        (top / 'cluster').mkdir()
        make_traces(top / 'traces')
        start = time.monotonic()
        subprocess.run([REFOLD, 'sweep', POLICIES, top / 'traces', '-o', top / 'one.db'], check=True)
        print(f'in one process: {time.monotonic() - start:.1f} s')
        expected = summary(top / 'one.db')
        told = json.loads(expected)
        assert told['traces'] == NR and len(told['all']['policies']) == NR_POLICIES, told['traces']
        assert summary(by_parallel(top, top / 'traces')) == expected
        print('by GNU parallel: the same')
        assert summary(by_slurm(top, top / 'traces')) == expected
        print('by Slurm: the same')


main()
