# SPDX-License-Identifier: MIT
"""Everything that can go wrong, at moments that a seed chooses: never a hang, never a leftover that the next run or
"refold-capture cleanup" does not remove, a file that reads to its last frame, every loss stated, survivors unharmed.

    chaos.py BUILD_ROOT SOURCE_ROOT CASE [ROUNDS]

REFOLD_SEED=... repeats what a run has printed.
"""
import contextlib
import ctypes
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import machine
from recorder import Bench, small_disk, SPIN

SECONDS = 30            # what ends by itself has ended by then
CHILDREN = 2000
FRAMES = 4096           # bytes of a trace: more than a header

# SPIN, which also proves, once asked, that nothing holds it: it forks, runs a program, and reads its own memory.
TARGET = SPIN.replace('    time.sleep(0.004)', '''    if os.path.exists(sys.argv[1] + ".go"):
        os.remove(sys.argv[1] + ".go")
        area, here = (ctypes.c_size_t * 2)(), ctypes.create_string_buffer(8)
        area[:] = ctypes.addressof(here), 8
        read = ctypes.CDLL(None).process_vm_readv(os.getpid(), area, 1, area, 1, 0)
        ended = os.spawnv(os.P_WAIT, "/bin/true", ["true"])
        print(read, ended, file=open(sys.argv[1] + ".said", "w"), flush=True)
    time.sleep(0.004)''').replace('import mmap', 'import ctypes, mmap').replace('+ 60', '+ 600')

# After a while it does this, in the middle of being attached to; the second argument is the while.
LEAVE = '''
import os, sys, time
end = time.time() + float(sys.argv[2])
blocks = []
while time.time() < end:
    blocks.append(bytearray(100000))
how = sys.argv[1]
if how == "exits":
    os._exit(3)
if how == "execs":
    os.execv("/bin/sleep", ["sleep", "0.5"])
if os.fork():
    os._exit(0)
os.setsid()
blocks.append(bytearray(100000))
time.sleep(0.5)
'''


def trace_and_read(pid):
    """As a debugger would: stop it, read its memory, let it go."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    address = int(machine.read(f'/proc/{pid}/maps').split('-', 1)[0], 16)
    here, local, remote = ctypes.create_string_buffer(8), (ctypes.c_size_t * 2)(), (ctypes.c_size_t * 2)()
    local[:], remote[:] = (ctypes.addressof(here), 8), (address, 8)
    for what, request in (('PTRACE_SEIZE', 0x4206), ('PTRACE_INTERRUPT', 0x4207)):
        machine.require(not libc.ptrace(request, pid, None, None), f'{what}: {os.strerror(ctypes.get_errno())}')
    os.waitpid(pid, 0x40000000)     # __WALL
    machine.require(libc.process_vm_readv(pid, local, 1, remote, 1, 0) == 8, 'process_vm_readv() of it')
    machine.require(not libc.ptrace(17, pid, None, None), 'PTRACE_DETACH')


class Chaos(Bench):
    def __init__(self, programs, directory, rounds):
        super().__init__(programs, directory)
        self.rounds = rounds
        seed = int(os.environ.get('REFOLD_SEED') or time.time_ns() % 1000000007)
        print(f'REFOLD_SEED={seed}')
        self.random = random.Random(seed)

    def remove(self, *names):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.path(name))

    def spin(self):
        """TARGET, which runs until it is killed."""
        pid = self.path('spun')
        self.remove('spun')
        process = self.programs.start(sys.executable, '-c', TARGET, pid)
        machine.wait_for(lambda: os.path.exists(pid) and machine.read(pid), 'the program to be recorded')
        return process

    def record(self, *arguments, **options):
        """A recorder, not waited for."""
        said = open(self.path('said'), 'w', encoding='utf-8')
        with said:
            return subprocess.Popen([self.programs.capture, '-o', self.trace, *arguments], stdout=said, stderr=said,
                                    stdin=subprocess.DEVNULL, **options)

    def wait_header(self):
        machine.wait_for(self.trace_size, 'a header in the trace')

    def give_up(self, recorder, reason):
        recorder.kill()
        recorder.wait()
        self.nothing_left('cleanup')
        machine.skip(reason)

    def ends(self, process, *codes):
        """It ends, as one of these, and says why it failed if it did."""
        try:
            code = process.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            machine.fail(f'it hangs: {machine.read(self.path("said"))}')
        said = machine.read(self.path('said'))
        machine.require(code in codes, f'exit code {code}, not one of {codes}: {said}')
        machine.require(code != 1 or said, 'what fails says why')
        return code

    @staticmethod
    def goes_on(pid):
        """It lives, and does what it does."""
        def faults():
            return int(machine.read(f'/proc/{pid}/stat').rsplit(')', 1)[1].split()[7])

        before = faults()
        machine.wait_for(lambda: faults() > before, f'{pid} to go on', 10)

    def unharmed(self, pid, file='spun'):
        """And nobody traces it; it starts others, and can be traced and read. file: where it has written its pid."""
        machine.require('TracerPid:\t0\n' in machine.read(f'/proc/{pid}/status'), f'{pid} is traced still')
        self.goes_on(pid)
        self.remove(f'{file}.said')
        machine.write(self.path(f'{file}.go'), '')
        machine.wait_for(lambda: os.path.exists(self.path(f'{file}.said')) and machine.read(self.path(f'{file}.said')),
                         f'{pid} to start a program', 10)
        said = machine.read(self.path(f'{file}.said'))
        machine.require(said == '8 0', f'process_vm_readv() and a program of {pid} say {said}')
        trace_and_read(pid)

    def traces(self):
        """What there is of the trace, or of its parts, in order."""
        names = sorted(name for name in os.listdir(self.directory) if name.startswith('t.') and name.endswith('.zst'))
        return [self.path(name) for name in names if os.path.getsize(self.path(name))]

    def readable(self, trace=None):
        """The trace reads to its last frame, and a replay tells of all that was lost. Whether it is whole."""
        trace = trace or self.trace
        if not os.path.exists(trace) or not os.path.getsize(trace):
            return False
        info = self.programs.run(self.programs.refold, 'info', trace, expect=None)
        machine.require(info.returncode in (0, 3), f'refold info: {info.stderr}')
        report = self.path('report.json')
        replay = self.programs.run(self.programs.refold, 'replay', '-q', trace, '-p', 'linux-6.12', '-o', report,
                                   expect=None)
        # 1: one that was killed before its first event has nothing to replay, and says so.
        machine.require(replay.returncode == info.returncode or 'nothing was replayed' in replay.stderr,
                        f'refold replay: {replay.returncode} {replay.stderr}')
        return not info.returncode

    def nothing_left(self, how):
        """By the next run, by cleanup, or by the run itself."""
        if how == 'cleanup':
            print(self.programs.run(self.programs.capture, 'cleanup', self.path('m.prom')).stdout)
            said = self.programs.run(self.programs.capture, 'cleanup').stdout
            machine.require('nothing was left behind' in said, f'cleanup leaves: {said}')
        elif how == 'next run':
            self.programs.record(self.path('next.mmt.zst'), '/bin/true', options=('--metrics', self.path('m.prom')))
            self.remove('next.mmt.zst')
        self.no_instance_left()
        probes = f'{machine.TRACING}/kprobe_events'
        for line in machine.read(probes).splitlines() if os.path.exists(probes) else ():
            group = line.split(':', 1)[1].split('/')[0]
            machine.require(not group.startswith('refold_') or os.path.exists(f'/proc/{group[7:]}'),
                            f'a kprobe is left: {line}')
        others = [name for name in os.listdir(self.directory) if '.new' in name]
        machine.require(not others, f'files are left: {others}')

    @staticmethod
    def keepers():
        """Processes of ours that outlive a recorder."""
        return subprocess.run(['pgrep', '-x', 'refold-keeper'], capture_output=True, text=True,
                              check=False).stdout.split()


def killed(chaos):
    """SIGKILL of the recorder at any moment: of a command, of what runs, of everybody, in parts; while it sets up,
    records, or ends."""
    for number in range(chaos.rounds):
        machine.take_turn()
        target = chaos.spin()
        which = chaos.random.choice(('command', 'iovecs', 'pid', 'pid', 'system', 'parts'))
        when = chaos.random.choice(('setting up', 'beginning', 'recording', 'recording', 'ending'))
        chaos.remove('pid')
        program = [sys.executable, '-c', TARGET, chaos.path('pid')]
        recorder = chaos.record('-b', '2M', '--metrics', chaos.path('m.prom'), *{
            'command': ['--', *program], 'iovecs': ['--iovecs', '--', *program], 'pid': ['-p', str(target.pid)],
            'system': ['-a'], 'parts': ['--rotate', '1s', '--keep', '2', '-p', str(target.pid)]}[which])
        if when != 'setting up':
            machine.wait_for(lambda recorder=recorder: chaos.traces() or recorder.poll() is not None,
                             'a header in the trace')
        if when in ('recording', 'ending'):
            machine.wait_for(lambda recorder=recorder: os.path.getsize(chaos.traces()[0]) > FRAMES or
                             recorder.poll() is not None, 'frames in the trace')
        if when == 'ending':
            recorder.send_signal(signal.SIGINT)
        moment = chaos.random.choice((0.05, 0.3, 2.5 if which == 'parts' else 1.2)) * chaos.random.random()
        time.sleep(moment)
        had_ended = recorder.poll() is not None
        recorder.kill()
        recorder.wait()
        traces = chaos.traces()
        print(f'{number}: {which}, {when}, killed after {moment:.3f} s{" (too late)" if had_ended else ""}: '
              f'{[os.path.getsize(trace) for trace in traces]} bytes')
        chaos.unharmed(target.pid)
        # The keeper of --iovecs goes on for who has the filter. A recorder that ends has sent SIGTERM, or has not.
        if when != 'ending' and os.path.exists(chaos.path('pid')) and machine.read(chaos.path('pid')):
            chaos.unharmed(int(machine.read(chaos.path('pid'))), 'pid')
        for trace in traces:
            whole = chaos.readable(trace)
            # One part begins before the one before it has ended.
            machine.require(whole or trace in traces[-2:], 'only the last parts may be cut')
            machine.require(whole or not had_ended, 'one that has ended is whole')
        chaos.nothing_left('cleanup' if number % 2 else 'next run')
        target.kill()
        target.wait()
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(machine.read(chaos.path('pid'))), signal.SIGKILL)
        for trace in traces:
            os.remove(trace)
    machine.wait_for(lambda: not chaos.keepers(), 'keepers to end with those they serve', 10)


def keeper_killed(chaos):
    """The keeper of --iovecs is killed: the recording goes on, and so does what is recorded; calls that the filter
    holds back fail in what lives on, as refold-capture(1) says, and nothing else does."""
    for number in range(min(chaos.rounds, 10)):
        chaos.remove('pid')
        recorder = chaos.record('--iovecs', '--', sys.executable, '-c', TARGET, chaos.path('pid'))
        try:
            machine.wait_for(lambda: os.path.exists(chaos.path('pid')) and machine.read(chaos.path('pid')),
                             'the recorded program')
            time.sleep(chaos.random.random() * 0.5)
            for keeper in chaos.keepers():
                os.kill(int(keeper), signal.SIGKILL)
            target = int(machine.read(chaos.path('pid')))
            chaos.goes_on(target)
            if number % 2:
                recorder.kill()
                recorder.wait()
                chaos.goes_on(target)
                trace_and_read(target)
            else:
                recorder.send_signal(signal.SIGINT)     # COMMAND gets SIGTERM
                chaos.ends(recorder, 0)
            chaos.readable()
            chaos.nothing_left('cleanup' if number % 2 else 'run')
        finally:
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(machine.read(chaos.path('pid'))), signal.SIGKILL)
        os.remove(chaos.trace)


def fill(chaos, disk_of, kilobytes_of, word):
    """Recordings on disks, or shares of one, that are full sooner or later."""
    target = chaos.spin()
    for number in range(min(chaos.rounds, 10)):
        disk = chaos.path('disk')
        kilobytes = kilobytes_of(number)
        with disk_of(disk, kilobytes):
            chaos.trace = os.path.join(disk, 't.mmt.zst')
            code = chaos.ends(chaos.record('-t', '4', '-p', str(target.pid)), 0, 1)
            print(f'{kilobytes}K: exit code {code}, {chaos.trace_size()} bytes')
            machine.require(code == 0 or word in machine.read(chaos.path('said')), 'it says why')
            machine.require(number or code == 1, 'the smallest disk is full')
            machine.require(chaos.readable() == (code == 0), 'whole, if it has not failed')
        chaos.unharmed(target.pid)
        chaos.nothing_left('run')


def disk_full(chaos):
    """A disk that is full sooner or later."""
    @contextlib.contextmanager
    def disk_of(disk, kilobytes):
        with small_disk(disk, f'{kilobytes}k'):
            yield
        os.rmdir(disk)

    fill(chaos, disk_of, lambda number: chaos.random.randrange(8, 200, 4) if number else 16, 'No space left')


class Quota(ctypes.Structure):
    """struct if_dqblk of linux/quota.h."""
    _fields_ = [(name, ctypes.c_uint64) for name in ('hard', 'soft', 'space', 'inodes_hard', 'inodes_soft', 'inodes',
                                                     'time', 'inodes_time')] + [('valid', ctypes.c_uint32)]


def limit_ext4(mount, kilobytes):
    """For root, who is not above it once he has given up CAP_SYS_RESOURCE."""
    device = next(line.split()[0] for line in machine.read('/proc/self/mounts').splitlines() if mount in line)
    limit = Quota(hard=kilobytes, soft=kilobytes, valid=1)      # in blocks of 1K
    return not ctypes.CDLL(None).quotactl(0x800008 << 8, device.encode(), 0, ctypes.byref(limit))


def limit_btrfs(mount, kilobytes):
    for words in (('quota', 'enable', mount), ('qgroup', 'limit', f'{kilobytes}K', '0/5', mount)):
        if subprocess.run(('btrfs', *words), check=False).returncode:
            return False
    return True


# How to make a file system, how to mount it, and how to limit what its files take.
QUOTAS = ((('mkfs.ext4', '-q', '-O', 'quota'), 'loop,usrquota', limit_ext4),
          (('mkfs.btrfs', '-q'), 'loop', limit_btrfs))


def disk_quota(chaos):
    """A share of the disk that is used up while there is room on it (EDQUOT)."""
    image, mount = chaos.path('image'), chaos.path('disk')

    def make(how):
        command, options, limit = how
        chaos.remove('image')
        with open(image, 'wb') as file:
            file.truncate(160 << 20)
        return shutil.which(command[0]) and not subprocess.run((*command, image), check=False).returncode and \
            not subprocess.run(('mount', '-o', options, image, mount), check=False).returncode and limit

    os.mkdir(mount)
    limit = next(filter(None, map(make, QUOTAS)), None)
    if not limit:
        machine.skip('no file system with quotas can be made here (ext4, btrfs)')
    try:
        @contextlib.contextmanager
        def disk_of(disk, kilobytes):
            if not limit(disk, kilobytes):
                machine.skip(f'{limit.__name__}: quotas cannot be set here')
            yield
            os.remove(chaos.trace)

        fill(chaos, disk_of, lambda number: chaos.random.randrange(120, 600, 4) if number else 120, 'quota exceeded')
    finally:
        subprocess.run(('umount', '-l', mount), check=False)


def file_limit(chaos):
    """A limit of file sizes (SIGXFSZ), anywhere in a frame."""
    target = chaos.spin()
    for _ in range(min(chaos.rounds, 10)):
        most = chaos.random.randrange(100, 100000)
        recorder = chaos.record('-t', '3', '-p', str(target.pid), preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (most, most)))
        code = chaos.ends(recorder, 0, 1)
        print(f'{most} bytes: exit code {code}, {chaos.trace_size()} bytes')
        machine.require(chaos.trace_size() <= most, 'not larger than it may be')
        machine.require(chaos.readable() == (code == 0), 'whole, if it has not failed')
        chaos.unharmed(target.pid)
        chaos.nothing_left('run')
        with contextlib.suppress(FileNotFoundError):
            os.remove(chaos.trace)      # or the next, if it cannot even begin, leaves it


def target_leaves(chaos):
    """Who is attached to exits, execs or daemonises meanwhile."""
    for number in range(chaos.rounds):
        machine.take_turn()
        how = ('exits', 'execs', 'daemonises')[number % 3]
        moment = chaos.random.random() * chaos.random.choice((0.1, 0.6))
        target = chaos.programs.start(sys.executable, '-c', LEAVE, how, str(moment))
        time.sleep(chaos.random.random() * 0.1)
        code = chaos.ends(chaos.record('-t', '2', '-p', str(target.pid)), 0, 1)
        print(f'{how} after {moment:.3f} s: exit code {code}')
        target.wait()
        said = machine.read(chaos.path('said')).splitlines()
        machine.require(code == 0 or len(said) == 1, f'one line says why: {said}')
        if code == 0:
            machine.require(chaos.readable(), 'a trace')
        chaos.nothing_left('run')
        chaos.remove('t.mmt.zst')


def children(chaos):
    """Two thousand short-lived children, in a command and of what is attached to."""
    loop = f'sleep 1; i=0; while [ $i -lt {CHILDREN} ]; do /bin/true; i=$((i + 1)); done'
    for arguments in (['-b', '32M', '--exit-snapshots', 'sample:50', '--', '/bin/sh', '-c', loop], None):
        if not arguments:
            target = chaos.programs.start('/bin/sh', '-c', loop)
            arguments = ['-b', '32M', '--exit-snapshots', 'none', '-p', str(target.pid)]
        recorder = chaos.record(*arguments)
        try:
            recorder.wait(timeout=4 * SECONDS)
        except subprocess.TimeoutExpired:
            recorder.kill()
            machine.fail('it hangs')
        print(machine.read(chaos.path('said')))
        machine.require(recorder.returncode == 0, 'recorded')
        report, _ = chaos.replay()
        lost, tasks = report['trace']['lost_events'], report['fidelity']['tasks']
        print(f'{tasks} tasks, {lost} events lost')
        machine.require(report['complete'] and (lost or tasks >= CHILDREN), 'all of them, or a loss is stated')
        machine.require(not lost or f'{lost} events were lost' in machine.read(chaos.path('said')), 'losses are said')
        chaos.nothing_left('run')


def two(chaos):
    """Two recorders of one program; one is killed, and cleanup leaves the other alone."""
    target = chaos.spin()
    first = chaos.record('-t', '6', '--exit-snapshots', 'none', '-p', str(target.pid))
    machine.wait_for(chaos.trace_size, 'a header in the trace')
    kept, chaos.trace = chaos.trace, chaos.path('other.mmt.zst')
    with open(chaos.path('other'), 'w', encoding='utf-8') as said:
        second = subprocess.Popen([chaos.programs.capture, '-o', chaos.trace, '--exit-snapshots', 'none', '-p',
                                   str(target.pid)], stdout=said, stderr=said)
    chaos.wait_frames()
    result = chaos.programs.run(chaos.programs.capture, '-o', kept, '--', '/bin/true', expect=1)
    machine.require('another recorder is writing it' in result.stderr, 'two cannot share a file')
    second.kill()
    second.wait()
    print(chaos.programs.run(chaos.programs.capture, 'cleanup').stdout)
    machine.require(all(os.path.exists(f'{machine.TRACING}/instances/refold-{which}-{first.pid}')
                        for which in ('task', 'system')), 'the other has its instances')
    chaos.readable()
    chaos.trace = kept
    chaos.ends(first, 0)
    report, _ = chaos.replay()
    machine.require(report['complete'] and report['fidelity']['order'] >= 0.99 * report['fidelity']['ptes'] > 0,
                    'the other recording is as if nothing had been')
    chaos.unharmed(target.pid)
    chaos.nothing_left('run')


def remounted(chaos):
    """tracefs is remounted, and, as the recorder sees it, unmounted: what is open it has, its instances among it."""
    target = chaos.spin()
    recorder = chaos.record('-t', '2', '-p', str(target.pid))
    chaos.wait_header()
    subprocess.run(['mount', '-o', 'remount', machine.TRACING], check=True)
    chaos.ends(recorder, 0)
    machine.require(chaos.replay()[0]['complete'], 'a remount is nothing')
    chaos.nothing_left('run')
    chaos.remove('t.mmt.zst')
    script = 'umount -l /sys/kernel/debug 2>/dev/null; umount -l /sys/kernel/tracing'
    recorder = chaos.record('-t', '2', '-p', str(target.pid), preexec_fn=private_mounts)
    chaos.wait_header()
    subprocess.run(['nsenter', '-t', str(recorder.pid), '-m', '/bin/sh', '-c', script], check=True)
    code = chaos.ends(recorder, 0, 1)
    print(machine.read(chaos.path('said')))
    machine.require(chaos.readable() == (code == 0), 'whole, if it has not failed')
    chaos.unharmed(target.pid)
    chaos.nothing_left('run')


def private_mounts():
    """A mount namespace of its own, from which nothing comes back."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x20000) or libc.mount(b'none', b'/', None, 0x4000 | 0x40000, None):
        os._exit(99)


def cpu_offline(chaos):
    """A CPU goes and comes back."""
    switch = '/sys/devices/system/cpu/cpu1/online'
    if not os.access(switch, os.W_OK):
        machine.skip('no CPU can be taken offline here')
    target = chaos.spin()
    recorder = chaos.record('-t', '4', '-p', str(target.pid))
    chaos.wait_header()
    try:
        try:
            machine.write(switch, '0')
        except OSError as error:
            chaos.give_up(recorder, f'no CPU may be taken offline here: {error}')
        time.sleep(0.7)
    finally:
        with contextlib.suppress(OSError):
            machine.write(switch, '1')
    chaos.ends(recorder, 0)
    report, _ = chaos.replay()
    print(f'{report["trace"]["records"]} records, {report["trace"]["lost_events"]} lost')
    machine.require(report['complete'], 'complete')
    machine.require(report['fidelity']['order'] >= 0.99 * report['fidelity']['ptes'] > 0, 'page tables are right')
    chaos.unharmed(target.pid)
    chaos.nothing_left('run')


def clock_step(chaos):
    """The wall clock is set; records are on the monotonic one."""
    target = chaos.spin()
    recorder = chaos.record('-t', '2', '-p', str(target.pid))
    chaos.wait_header()
    ahead = 0
    try:
        for step in (3, -6):
            try:
                time.clock_settime(time.CLOCK_REALTIME, time.time() + step)
            except OSError as error:
                chaos.give_up(recorder, f'the clock may not be set here: {error}')
            ahead += step
            time.sleep(0.2)
    finally:
        if ahead:
            time.clock_settime(time.CLOCK_REALTIME, time.time() - ahead)
    begin = time.monotonic()
    chaos.ends(recorder, 0)
    machine.require(time.monotonic() - begin < 10, 'it ends when it should')
    report, _ = chaos.replay()
    machine.require(report['complete'] and report['trace']['duration_ns'] < 10e9, 'times are as they were')
    machine.require(report['fidelity']['order'] >= 0.99 * report['fidelity']['ptes'] > 0, 'page tables are right')
    chaos.nothing_left('run')


CASES = {case.__name__: case for case in (killed, keeper_killed, disk_full, disk_quota, file_limit, target_leaves,
                                          children, two, remounted, cpu_offline, clock_step)}


def main():
    build_root, source_root, name = sys.argv[1:4]
    machine.need_live_kernel()
    with machine.work_directory(f'chaos-{name}') as directory:
        CASES[name](Chaos(machine.Programs(build_root, source_root), directory,
                          int(sys.argv[4]) if len(sys.argv) > 4 else 6))


if __name__ == '__main__':
    main()
