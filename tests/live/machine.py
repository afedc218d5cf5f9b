# SPDX-License-Identifier: MIT
"""What the live tests need of this machine: who may run them, settings that are
always put back, a control group and swap of their own, and the recorder."""
import atexit
import contextlib
import fcntl
import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TRACING = '/sys/kernel/tracing'
THP = '/sys/kernel/mm/transparent_hugepage'
SKIPPED = 77
# A compiler is what is recorded, and not the cache in front of it, where PATH has one.
os.environ['CCACHE_DISABLE'] = '1'


def skip(reason):
    """meson's exit code for a skipped test; scripts/check prints the reason."""
    print(f'SKIP: {reason}')
    sys.exit(SKIPPED)


def fail(reason):
    print(f'FAIL: {reason}')
    sys.exit(1)


def require(condition, reason):
    if not condition:
        fail(reason)


def wait_for(condition, what, seconds=30):
    """Until the condition holds; a failure, which tells what was waited for, if it does not within this time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            fail(f'not within {seconds} s: {what}')
        time.sleep(0.02)


_turn = None


def take_turn():
    """One live test at a time on this machine, whatever tree or root directory they are of: they set system-wide
    settings, and judge what a busy machine makes worse. A test of many parts calls this before each, so that others
    need not wait for all. The lock is that of the directory that all of them see; it ends with this process."""
    global _turn
    if _turn is None:
        _turn = os.open(TRACING, os.O_RDONLY | os.O_DIRECTORY)
    else:
        fcntl.flock(_turn, fcntl.LOCK_UN)
        time.sleep(0.1)     # who waits is to be first
    fcntl.flock(_turn, fcntl.LOCK_EX)


def need_live_kernel():
    """Skip where recording is not possible; take turns; and turn signals into exceptions, so that settings are put
    back."""
    if os.geteuid() != 0:
        skip('live tests need root')
    if not os.path.isdir(f'{TRACING}/events'):
        skip(f'no tracefs on {TRACING} (mount -t tracefs nodev {TRACING})')
    if not os.access('/proc/kpageflags', os.R_OK):
        skip('no /proc/kpageflags in this kernel')
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda caught, frame: sys.exit(128 + caught))
    take_turn()


def need_program(*names):
    """The first of these programs that is there."""
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    skip(f'{names[0]} is not installed')


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read().strip()


def write(path, text):
    with open(path, 'w', encoding='utf-8') as file:
        file.write(str(text))


def selected(path):
    """The bracketed word of a sysfs choice."""
    words = read(path).split()
    return next((word.strip('[]') for word in words if word.startswith('[')), words[0])


@contextlib.contextmanager
def setting(path, value):
    """A sysfs choice set for a while; nothing where this kernel does not have it."""
    if not os.path.exists(path):
        print(f'note: no {path} here')
        yield
        return
    before = selected(path)
    write(path, value)
    try:
        yield
    finally:
        write(path, before)


def large_folios():
    """64K folios for anonymous memory, 2M where a program asks for them."""
    stack = contextlib.ExitStack()
    stack.enter_context(setting(f'{THP}/hugepages-64kB/enabled', 'always'))
    return stack


@contextlib.contextmanager
def work_directory(name):
    """A directory for one test; kept under REFOLD_KEEP=DIR, to look at what failed."""
    keep = os.environ.get('REFOLD_KEEP')
    if keep:
        directory = os.path.join(keep, name)
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory)
        yield directory
        return
    directory = tempfile.mkdtemp(prefix='refold-live-')
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def swap_on_zram(megabytes):
    """Swap space in memory, on a zram device of our own."""
    control = '/sys/class/zram-control'
    if not os.path.isdir(control):
        subprocess.run(['modprobe', 'zram'], check=False, stderr=subprocess.DEVNULL)
    if not os.path.isdir(control):
        skip('no zram in this kernel')
    number = read(f'{control}/hot_add')
    device = f'/dev/zram{number}'
    try:
        write(f'/sys/block/zram{number}/disksize', f'{megabytes}M')
        if not os.path.exists(device):
            major, minor = read(f'/sys/block/zram{number}/dev').split(':')
            os.mknod(device, 0o600 | 0o060000, os.makedev(int(major), int(minor)))
        subprocess.run(['mkswap', device], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(['swapon', device], check=True)
        yield device
    finally:
        subprocess.run(['swapoff', device], check=False, stderr=subprocess.DEVNULL)
        write(f'{control}/hot_remove', number)


def _memory_controller():
    """(directory to create groups in, name of the limit file) of cgroup v2 or v1."""
    for line in open('/proc/self/mounts', encoding='utf-8'):
        _, where, kind, options = line.split()[:4]
        if kind == 'cgroup2' and 'memory' in read(f'{where}/cgroup.controllers').split():
            return where, 'memory.max'
        if kind == 'cgroup' and 'memory' in options.split(','):
            return where, 'memory.limit_in_bytes'
    skip('no memory controller is mounted')


@contextlib.contextmanager
def memory_group(megabytes):
    """A control group with this memory limit; yields its cgroup.procs."""
    root, limit = _memory_controller()
    control = f'{root}/cgroup.subtree_control'
    delegated = not os.path.exists(control) or 'memory' in read(control).split()
    if not delegated:
        write(control, '+memory')
    group = f'{root}/refold-{os.getpid()}'
    os.mkdir(group)
    try:
        write(f'{group}/{limit}', megabytes << 20)
        yield f'{group}/cgroup.procs'
    finally:
        # A process that has just ended may still be leaving.
        for _ in range(50):
            try:
                os.rmdir(group)
                break
            except OSError:
                time.sleep(0.1)
        if not delegated:
            write(control, '-memory')


def stale_instances():
    """Our tracefs instances whose recorder does not run any more. Others may be recording on this machine meanwhile;
    the name ends with the recorder's PID."""
    names = (os.path.basename(path) for path in glob.glob(f'{TRACING}/instances/refold-*'))
    return [name for name in names if not os.path.exists(f'/proc/{name.rsplit("-", 1)[1]}')]


def lost_in_kernel(pid):
    """Events that the buffers of this recorder's tracefs instance had no room for, so far."""
    lost = 0
    for path in glob.glob(f'{TRACING}/instances/refold-*-{pid}/per_cpu/cpu*/stats'):
        fields = dict(line.split(':', 1) for line in read(path).splitlines())
        lost += int(fields['overrun']) + int(fields['dropped events'])
    return lost


def processes_started():
    """By all of this machine since it booted."""
    return int(next(line.split()[1] for line in read('/proc/stat').splitlines() if line.startswith('processes ')))


class Programs:
    """The programs under test, where meson built them."""

    def __init__(self, build_root, source_root):
        self.recorder = self.capture = os.path.join(build_root, 'capture', 'refold-capture')
        self.recorder_by_number = os.path.join(build_root, 'tests', 'live', 'refold-capture-by-number')
        self.refold = os.path.join(build_root, 'replay', 'refold')
        self.truth = os.path.join(build_root, 'tests', 'live', 'truth')
        self.workloads = os.path.join(build_root, 'tests', 'live')
        self.scripts = os.path.join(source_root, 'tests', 'live', 'workloads')
        self.samples = os.path.join(source_root, 'traces', 'samples')
        self.format = os.path.join(source_root, 'traces', 'FORMAT.md')
        self.schema = os.path.join(source_root, 'replay', 'report', 'report.schema.json')

    def run(self, *command, expect=0, **options):
        """Run a program, show what it said if it did not end as expected, return the result."""
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              stdin=subprocess.DEVNULL, start_new_session=True, **options) as process:
            try:
                said = process.communicate()
            except BaseException:
                self.end(process)
                raise
        result = subprocess.CompletedProcess(command, process.returncode, *said)
        if expect is not None and result.returncode != expect:
            print(result.stdout, result.stderr, sep='\n')
            fail(f'exit code {result.returncode}, not {expect}: {" ".join(command)}')
        return result

    @staticmethod
    def end(process):
        """A program and what it started: a recorder that is killed leaves tracefs instances, and its COMMAND running."""
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)

    def record(self, trace, *command, options=(), expect=0):
        return self.run(self.capture, '-q', '--iovecs', *options, '-o', trace, '--', *command, expect=expect)

    def start(self, *command, said=os.devnull):
        """A program in the background, killed at the latest when the test ends. What it says goes to a file: what it
        starts may outlive it and would hold a pipe open."""
        with open(said, 'w', encoding='utf-8') as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        atexit.register(lambda: process.poll() is None and process.kill())
        return process
