# SPDX-License-Identifier: MIT
"""Attach to servers under load, to a program that races with itself, to the whole system while it is busy. Nothing the
recording says may contradict itself, and page tables must be the kernel's when it stops.

    attach.py BUILD_ROOT SOURCE_ROOT CASE
"""
import contextlib
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import machine

SECONDS = 4
SYSTEM_SECONDS = 30
CONTRADICTIONS = {'snapshot_torn', 'snapshot_differs', 'fault_differs', 'rss_differs', 'alloc_of_mapped',
                  'free_of_mapped', 'rss_without_alloc', 'rss_order_mismatch', 'file_mismatch',
                  'populate_out_of_range', 'machine'}
FORKS = 20


class Attach:
    def __init__(self, programs, directory):
        self.programs = programs
        self.directory = directory
        self.started = []
        self.stopping = 0.0     # seconds from the signal to the end of the last recording
        self.cleanup = contextlib.ExitStack()

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def start(self, *command, **options):
        """A server or a client, which is ended with the test by its pid; what it says goes to a file."""
        name = self.path(f'{os.path.basename(command[0])}.said')
        with open(name, 'a', encoding='utf-8') as said:
            process = subprocess.Popen(command, stdout=said, stderr=said, stdin=subprocess.DEVNULL, **options)
        self.started.append(process)
        self.cleanup.callback(self.stop, process)
        return process

    def loop(self, script):
        """A shell that does this again and again."""
        return self.start('/bin/sh', '-c', f'while :; do {script}; done')

    @staticmethod
    def stop(process, number=signal.SIGTERM):
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def record(self, name, *options, seconds=SECONDS, meanwhile=None):
        """Attach, let time pass, stop; the report."""
        trace, report = self.path(f'{name}.mmt.zst'), self.path(f'{name}.json')
        recorder = self.programs.start(self.programs.capture, '-b', '32M', '--keep', 'all', '-o', trace, *options,
                                       said=self.path('recorder.said'))
        machine.wait_for(lambda: recorder.poll() is not None or os.path.exists(trace) and os.path.getsize(trace),
                         'a header in the trace')
        if meanwhile:
            meanwhile()
        time.sleep(seconds)
        recorder.send_signal(signal.SIGINT)
        begin = time.monotonic()
        recorder.wait(timeout=120)
        self.stopping = time.monotonic() - begin
        said = machine.read(self.path('recorder.said'))
        machine.require(recorder.returncode == 0, f'the recorder said: {said}')
        return self.replay(trace, report)

    def replay(self, trace, report):
        self.programs.run(self.programs.refold, 'replay', '-q', '-p', 'linux-6.12', '-o', report, trace)
        with open(report, encoding='utf-8') as file:
            return json.load(file)


def family(pid):
    """The process and all that descend from it."""
    pids = [pid]
    for path in glob.glob(f'/proc/{pid}/task/*/children'):
        with contextlib.suppress(OSError):
            for child in machine.read(path).split():
                pids += family(int(child))
    return pids


def check(report, problems, name, races=False):
    """races: what contradicts itself may be marked; the page tables at the end, nevertheless."""
    trust, fidelity = report['trust'], report['fidelity']
    print(f'{name}: {report["trace"]["records"]} records, {report["trace"]["lost_events"]} lost; '
          f'{fidelity["processes_compared"]} processes compared, {fidelity["ptes"]} PTEs, pfn {fidelity["pfn"]}, '
          f'order {fidelity["order"]}, extra {fidelity["extra"]}; {trust["word"]}, '
          f'{trust["marked_address_spaces"]} of {trust["address_spaces"]} address spaces marked: {trust["reasons"]}')
    for process in trust['marked'][:20]:
        print(f'  {process}')
    if report['trace']['lost_events']:
        problems.append(f'{name}: {report["trace"]["lost_events"]} events were lost')
    if trust['word'] == 'doubtful':
        problems.append(f'{name}: doubtful: {trust["doubts"]}')
    differing = sum('snapshot_differs' in {reason['reason'] for reason in process['reasons']}
                    for process in trust['marked'])
    if not differing and (fidelity['order'] != fidelity['ptes'] or fidelity['extra']):
        problems.append(f'{name}: page tables differ, and nobody is marked for it')
    if races:
        return
    for policy in report['policies']:
        anomalies = {key: count for key, count in policy.get('anomalies', {}).items() if count}
        if anomalies:
            problems.append(f'{name}: anomalies of {policy["name"]}: {anomalies}')
    for process in trust['marked']:
        reasons = {reason['reason'] for reason in process['reasons']}
        # Of a window of fault-around that had to be guessed, a page may be another, and unmapped at another time.
        if 'fault_around_ambiguous' in reasons:
            reasons -= {'snapshot_differs', 'rss_differs'}
        if reasons & CONTRADICTIONS:
            problems.append(f'{name}: pid {process["pid"]}, {process["command"]}: {sorted(reasons & CONTRADICTIONS)}')


def redis(attach, problems):
    """redis under redis-benchmark, saving by a child."""
    server, client = machine.need_program('redis-server'), machine.need_program('redis-benchmark')
    socket = attach.path('redis.sock')
    process = attach.start(server, '--port', '0', '--unixsocket', socket, '--dir', attach.directory, '--save', '')
    machine.wait_for(lambda: os.path.exists(socket), 'redis')
    attach.start(client, '-s', socket, '-t', 'set,get,lpush,lrange_100', '-n', '1000000', '-r', '100000', '-l')
    time.sleep(1)

    def save():
        attach.programs.run(machine.need_program('redis-cli'), '-s', socket, 'bgsave')

    check(attach.record('redis', '-p', str(process.pid), meanwhile=save), problems, 'redis')


def nginx(attach, problems):
    """nginx under ab; its workers are replaced meanwhile."""
    server, client = machine.need_program('nginx'), machine.need_program('ab')
    os.chmod(attach.directory, 0o755)
    machine.write(attach.path('index.html'), 'x' * 20000)
    machine.write(attach.path('nginx.conf'), f"""
daemon off; user root; worker_processes 2; pid {attach.path('nginx.pid')}; error_log {attach.path('error.log')};
events {{ worker_connections 128; }}
http {{ access_log off; client_body_temp_path {attach.path('body')}; proxy_temp_path {attach.path('proxy')};
  fastcgi_temp_path {attach.path('fastcgi')}; uwsgi_temp_path {attach.path('uwsgi')};
  scgi_temp_path {attach.path('scgi')};
  server {{ listen 127.0.0.1:18080; root {attach.directory}; }} }}
""")
    process = attach.start(server, '-c', attach.path('nginx.conf'), '-e', attach.path('error.log'))
    machine.wait_for(lambda: len(family(process.pid)) == 3, 'workers of nginx')
    attach.start(client, '-q', '-t', '60', '-n', '10000000', '-c', '16', 'http://127.0.0.1:18080/index.html')
    time.sleep(0.5)
    check(attach.record('nginx', '-p', ','.join(map(str, family(process.pid))),
                        meanwhile=lambda: process.send_signal(signal.SIGHUP)), problems, 'nginx')


def postgres(attach, problems):
    """postgres under pgbench, which connects anew for each transaction: a fork each."""
    found = sorted(glob.glob('/usr/lib/postgresql/*/bin/postgres'))
    if not found:
        machine.skip('postgresql is not installed')
    tools, data = os.path.dirname(found[-1]), attach.path('data')
    pgbench, user = machine.need_program(os.path.join(tools, 'pgbench'), 'pgbench'), 'postgres'
    shutil.chown(attach.directory, user)
    os.chmod(attach.directory, 0o755)
    run = {'user': user, 'cwd': attach.directory,
           'env': {'PATH': os.environ['PATH'], 'LC_ALL': 'C', 'PGHOST': attach.directory}}
    attach.programs.run(os.path.join(tools, 'initdb'), '-D', data, '-A', 'trust', '--no-sync', **run)
    process = attach.start(found[-1], '-D', data, '-k', attach.directory, '-c', 'listen_addresses=', '-c',
                           'fsync=off', '-c', 'autovacuum=off', **run)
    ready = [os.path.join(tools, 'pg_isready'), '-q']
    machine.wait_for(lambda: not subprocess.run(ready, check=False, **run).returncode, 'postgres')
    attach.programs.run(pgbench, '-i', '-q', '-s', '2', 'postgres', **run)
    attach.start(pgbench, '-c', '3', '-T', '60', '-S', 'postgres', **run)
    time.sleep(0.5)
    # Who is there twice is no backend of a moment.
    before = family(process.pid)
    time.sleep(1)
    pids = [pid for pid in family(process.pid) if pid in before]
    attach.start(pgbench, '-C', '-c', '3', '-T', '60', 'postgres', **run)
    check(attach.record('postgres', '-p', ','.join(map(str, pids))), problems, 'postgres')


def race(attach, problems):
    """Threads that map, move and unmap beside one that forks, attached to several times."""
    for number in range(3):
        process = attach.start(os.path.join(attach.programs.workloads, 'storms'), 'race', '60', attach.directory)
        time.sleep(0.3)
        check(attach.record(f'race{number}', '-p', str(process.pid), seconds=2), problems, f'race {number}')
        attach.stop(process)


def forks(attach, problems):
    """A fork costs after -p what it costs in a recorded command."""
    go = attach.path('go')
    # The same addresses each time: where the stack begins decides how many pages it has.
    command = [machine.need_program('setarch'), '-R', os.path.join(attach.programs.workloads, 'storms'), 'forks', '0',
               attach.directory]
    process = attach.start(*command)
    time.sleep(0.3)
    trace = attach.path('command.mmt.zst')
    attached = attach.record('attached', '-p', str(process.pid), seconds=1.5, meanwhile=lambda: (
        time.sleep(1), machine.write(go, '')))
    check(attached, problems, 'forks')
    attach.programs.record(trace, *command)
    costs = []
    for report in (attached, attach.replay(trace, attach.path('command.json'))):
        fork = report['policies'][0]['operations']['fork']
        print(f'{fork["operations"]} forks, {fork["pte_stores"] / fork["operations"]} stores each')
        costs.append((fork['operations'], fork['pte_stores']))
    if costs[0] != costs[1] or costs[0][0] != FORKS:
        problems.append(f'forks and their stores: {costs[0]} after -p, {costs[1]} in a command')


def busy(attach):
    """Programs are started, mapped and moved, files come and go; compilers, interpreters, short-lived shells."""
    storms, source = os.path.join(attach.programs.workloads, 'storms'), attach.path('source.c')
    os.mkdir(attach.path('files'))
    machine.write(source, attach.programs.run(sys.executable, os.path.join(
        attach.programs.scripts, 'generate_source.py'), '60').stdout)
    for shape in ('exec', 'race', 'cache'):
        attach.start(storms, shape, '120', attach.path('files'))
    for number in range(2):
        attach.loop(f'gcc -O1 -c {source} -o {attach.path(f"source{number}.o")}')
    attach.loop('ls -l / | grep bin | sort; sleep 0.01')
    attach.loop(f'{sys.executable} -c "x = [bytearray(5000) for i in range(2000)]"; sleep 0.1')
    for interpreter in ('node -e 0', 'java -version'):
        if shutil.which(interpreter.split()[0]):
            attach.loop(f'{interpreter}; sleep 0.2')
    time.sleep(0.5)


def system(attach, problems):
    """-a of a busy machine."""
    busy(attach)
    check(attach.record('system', '-a', seconds=SYSTEM_SECONDS), problems, 'system', races=True)


def sampled(attach, problems):
    """-a which traces everybody and looks at every fourth exit; nobody is traced afterwards, and all go on."""
    busy(attach)
    alive = [process.pid for process in attach.started]
    report = attach.record('sampled', '-a', '--exit-snapshots=sample:4')
    check(report, problems, 'sampled', races=True)
    exits = attach.programs.run(attach.programs.refold, 'dump', attach.path('sampled.mmt.zst')).stdout.count(' why=1 ')
    print(f'{exits} snapshots of exits, of {report["fidelity"]["tasks"]} tasks')
    if not SECONDS < exits < report['fidelity']['tasks'] / 3:
        problems.append(f'{exits} of {report["fidelity"]["tasks"]} tasks had a snapshot at their exit')
    for pid in alive:
        if not os.path.exists(f'/proc/{pid}'):
            problems.append(f'pid {pid} did not survive')
        elif 'TracerPid:\t0\n' not in machine.read(f'/proc/{pid}/status'):
            problems.append(f'pid {pid} is traced still')


STOPPED = ('one', 'threads', 'child', 'thread_of_child', 'leader_gone', 'traced')
STOP_SECONDS = 25


def state_of(pid):
    """[(state, tracer)] of all its threads that are not dead, and of its children's."""
    states = []
    for member in family(pid):
        for status in glob.glob(f'/proc/{member}/task/*/status'):
            with contextlib.suppress(OSError):
                lines = dict(line.split(':\t', 1) for line in machine.read(status).splitlines())
                states.append((member, os.path.basename(os.path.dirname(status)), lines['State'][0],
                               lines['TracerPid']))
    return sorted(states)


def stopped(attach, problems):
    """Who is stopped already, waits for somebody who is, or belongs to another tracer: it stays so, and the recorder
    does not wait for it."""
    program = os.path.join(attach.programs.workloads, 'stopped')
    kinds = {kind: attach.start(program, kind) for kind in STOPPED}
    time.sleep(0.5)
    before = {kind: state_of(process.pid) for kind, process in kinds.items()}
    busy_one = attach.start(os.path.join(attach.programs.workloads, 'storms'), 'race', '60', attach.directory)
    pids = ','.join(str(process.pid) for process in (busy_one, *kinds.values()))
    for name, options in (('sampled', ('-a', '--exit-snapshots=sample:4')), ('all', ('-a',)), ('pids', ('-p', pids))):
        report = attach.record(name, *options)
        print(f'{name}: ended after {attach.stopping:.1f} s; {report["fidelity"]["processes_compared"]} compared')
        if attach.stopping > STOP_SECONDS:
            problems.append(f'{name}: the recorder took {attach.stopping:.0f} s to end')
        for kind, process in kinds.items():
            if state_of(process.pid) != before[kind]:
                problems.append(f'{name}, {kind}: was {before[kind]}, is {state_of(process.pid)}')
    for process in kinds.values():
        for pid in reversed(family(process.pid)):
            os.kill(pid, signal.SIGKILL)


CASES = {case.__name__: case for case in (redis, nginx, postgres, race, forks, system, sampled, stopped)}


def main():
    build_root, source_root, name = sys.argv[1:]
    machine.need_live_kernel()
    problems = []
    with machine.work_directory(f'attach-{name}') as directory, machine.large_folios():
        attach = Attach(machine.Programs(build_root, source_root), directory)
        with attach.cleanup:
            CASES[name](attach, problems)
    for problem in problems:
        print(f'FAIL: {problem}')
    sys.exit(1 if problems else 0)


main()
