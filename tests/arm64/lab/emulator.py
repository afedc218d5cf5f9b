# SPDX-License-Identifier: MIT
"""Boot a kernel in the emulator: build the guest's initrd and QEMU's plugin, run a job, take its results."""
import pathlib
import shutil
import subprocess
import tarfile
import tempfile

import packages

HERE = pathlib.Path(__file__).parent
APPLETS = ('sh', 'mount', 'insmod', 'cat', 'tr', 'mkdir', 'echo', 'mkswap', 'swapon', 'rm', 'cut', 'dmesg', 'tar', 'dd',
           'poweroff', 'timeout')
OUTPUT_MIB = 256
# CPU models, and what the kernel is told. With and without range TLBI; the kernel of sid can use 52-bit addresses on
# "max", which changes ranges; neoverse-* have an erratum that repeats TLBIs; cortex-a72 sets no access and dirty bits.
CPUS = {
    'range': ('max,lpa2=off', ''),
    'norange': ('neoverse-n1', ''),
    'norange-kpti': ('neoverse-n1', 'kpti=1'),
    'lpa2': ('max', ''),
    'n2': ('neoverse-n2', ''),
    'a55': ('cortex-a55', ''),
    'a72': ('cortex-a72', ''),
}


class CpioWriter:
    """An initrd is a "newc" archive."""

    def __init__(self, path):
        self.file = open(path, 'wb')
        self.number = 0
        self.directories = set()

    def put(self, name, mode, data=b''):
        parent = str(pathlib.PurePosixPath(name).parent)
        if parent != '.' and parent not in self.directories:
            self.put(parent, 0o40755)
            self.directories.add(parent)
        self.number += 1
        encoded = name.encode() + b'\0'
        fields = (self.number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        self.file.write(b'070701' + b''.join(b'%08X' % field for field in fields) + encoded)
        self.pad()
        self.file.write(data)
        self.pad()

    def pad(self):
        self.file.write(b'\0' * (-self.file.tell() % 4))

    def close(self):
        self.put('TRAILER!!!', 0)
        self.file.close()


def make_initrd(path, kernel, busybox, programs):
    archive = CpioWriter(path)
    for directory in ('proc', 'sys', 'dev', 'run', 'files', 'tmp'):
        archive.put(directory, 0o40755)
        archive.directories.add(directory)
    archive.put('init', 0o100755, (HERE / 'init').read_bytes())
    archive.put('bin/busybox', 0o100755, busybox.read_bytes())
    for applet in APPLETS:
        archive.put(f'bin/{applet}', 0o120777, b'busybox')
    for program in programs:
        archive.put(f'bin/{program.name}', 0o100755, program.read_bytes())
    for module in sorted(kernel.modules.iterdir()):
        archive.put(f'modules/{module.name}', 0o100644, module.read_bytes())
    archive.close()


def build_workloads(cache, compiler='aarch64-linux-gnu-gcc'):
    program = cache / 'workloads'
    packages.build(compiler, '-D_GNU_SOURCE', '-O2', '-static', HERE / 'workloads.c', '-o', program)
    return program


def build_plugin(cache, source):
    plugin = cache / f'{source.stem}.so'
    flags = packages.run('pkg-config', '--cflags', '--libs', 'glib-2.0').split()
    packages.build('gcc', '-O2', '-shared', '-fPIC', '-fvisibility=hidden', f'-I{HERE}', source, '-o', plugin, *flags)
    return plugin


class Emulator:
    """Of arm64; another machine is a class with other of these."""
    packages_of = 'arm64'
    plugin_source = HERE / 'tlbicount.c'
    command = [packages.QEMU, '-machine', 'virt,gic-version=3', '-smp', '2']
    console = 'ttyAMA0'
    cpus = CPUS
    seconds = 300

    def __init__(self, cache, kernel, programs):
        self.cache = cache
        self.kernel = kernel
        self.initrd = cache / f'initrd-{kernel.version}'
        self.plugin = build_plugin(cache, self.plugin_source)
        make_initrd(self.initrd, kernel, packages.busybox(cache, self.packages_of), programs)

    def boot(self, cpu, output, options, plugin_arguments=''):
        """Run one job; its files are in the directory output afterwards."""
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        disk = output / 'disk'
        with open(disk, 'wb') as file:
            file.truncate(OUTPUT_MIB << 20)
        model, kernel_options = self.cpus[cpu]
        command = [*self.command, '-accel', 'tcg,thread=multi,tb-size=512',
                   '-cpu', model, '-m', '2G', '-nographic', '-no-reboot', '-nic', 'none',
                   '-kernel', self.kernel.image, '-initrd', self.initrd,
                   '-append', f'console={self.console} nokaslr panic=-1 quiet rdinit=/init {kernel_options} {options}',
                   '-drive', f'if=none,id=o,file={disk},format=raw,cache=unsafe', '-device', 'virtio-blk-pci,drive=o']
        if plugin_arguments:
            command += ['-plugin', f'{self.plugin},{plugin_arguments}']
        with open(output / 'console', 'wb') as console:
            try:
                subprocess.run(command, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT,
                               timeout=self.seconds, check=False)
            except subprocess.TimeoutExpired:
                pass
        try:
            with tarfile.open(disk) as archive:
                archive.extractall(output)
        except tarfile.TarError:
            tail = (output / 'console').read_text(errors='replace').strip().splitlines()[-5:]
            raise RuntimeError(f'{self.kernel.version} on {cpu} did not finish: {" | ".join(tail)}') from None
        finally:
            disk.unlink()

    def read_symbols(self):
        if self.kernel.symbols.exists():
            return
        with tempfile.TemporaryDirectory(dir=self.cache) as directory:
            output = pathlib.Path(directory) / 'symbols'
            self.boot(next(iter(self.cpus)), output, 'refold.job=symbols')
            self.keep_symbols(output)

    def keep_symbols(self, output):
        shutil.copyfile(output / 'kallsyms', self.kernel.symbols)

    def plugin_options(self):
        return f'page_shift={self.kernel.page_shift}'

    def record(self, cpu, output, modes, workloads, mib=8, kprobes=True, page=None):
        """Record workloads while the plugin counts: recordings, and windows.jsonl; doctor's words, marks of a shell.
        page: the workloads do what they would with pages of so many bytes."""
        self.read_symbols()
        self.boot(cpu, output,
                  f'refold.job=record refold.modes={",".join(modes)} refold.workloads={",".join(workloads)} '
                  f'refold.mib={mib} refold.kprobes={"yes" if kprobes else "no"}' +
                  (f' refold.page={page}' if page else ''),
                  f'symbols={self.kernel.symbols},out={output}/windows.jsonl,{self.plugin_options()}')
        return (output / 'log').read_text(errors='replace')
