# SPDX-License-Identifier: MIT
"""
Debian's x86-64 kernels in the emulator of tests/arm64/lab, on one CPU: what is of x86 there. Its caches of packages and
kernels are its own, ${XDG_CACHE_HOME:-~/.cache}/refold-x86.
"""
import os
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / 'arm64' / 'lab')]
import btf
import emulator
import packages

QEMU = 'qemu-system-x86_64'
LIBRARIES = '/usr/lib/x86_64-linux-gnu'
TOOLS = {
    'gcc': '/usr/bin/gcc',
    'pkg-config': '/usr/bin/pkg-config',
    'libglib2.0-dev': '/usr/include/glib-2.0/glib.h',
    'libc6-dev': f'{LIBRARIES}/libc.a',
    'libzstd-dev': f'{LIBRARIES}/libzstd.a',
    'libjansson-dev': f'{LIBRARIES}/libjansson.a',
    'libsodium-dev': f'{LIBRARIES}/libsodium.a',
    'libtracefs-dev': f'{LIBRARIES}/libtracefs.a',
    'libtraceevent-dev': f'{LIBRARIES}/libtraceevent.a',
    'libcap-dev': f'{LIBRARIES}/libcap.a',
    'libseccomp-dev': f'{LIBRARIES}/libseccomp.a',
}
# Debian releases of kernels, and the policies that model them.
KERNELS = {'7.2': ('sid', 'x86-7.2'), '6.12': ('trixie', 'x86-6.12')}


class Emulator(emulator.Emulator):
    packages_of = 'amd64'
    plugin_source = HERE / 'x86count.c'
    command = [QEMU, '-machine', 'q35', '-smp', '1']
    console = 'ttyS0'
    cpus = {'max': ('max', '')}
    seconds = 600

    def keep_symbols(self, output):
        offset = btf.Btf((output / 'btf').read_bytes()).offset('task_struct', 'pid')
        self.pid_offset().write_text(str(offset))
        super().keep_symbols(output)

    def pid_offset(self):
        return self.kernel.directory / 'pid'

    def plugin_options(self):
        return f'pid={self.pid_offset().read_text()}'


def cache_directory():
    cache = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'refold-x86'
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def build_recorder(source, build):
    """Static, so that it runs where there is nothing else."""
    # A directory that several trees use, one after the other, is to hold the programs of this one.
    sources = build / 'sources'
    if not sources.exists() or sources.read_text(encoding='utf-8') != str(source.resolve()):
        shutil.rmtree(build, ignore_errors=True)
        build.mkdir()
        sources.write_text(str(source.resolve()), encoding='utf-8')
    if not (build / 'build.ninja').exists():
        packages.build('meson', 'setup', '--prefer-static', '-Dc_link_args=-static', '-Dcapture=enabled',
                       '-Dtests=false', build, source)
    packages.build('ninja', '-C', build, 'capture/refold-capture')
    return build / 'capture' / 'refold-capture'


def prepare(source, kernel):
    """The emulator of a kernel; packages.Unavailable, with the reason, where something cannot be had."""
    if os.uname().machine != 'x86_64':
        raise packages.Unavailable('the recorder is built for x86-64 only on x86-64')
    cache = cache_directory()
    packages.install_tools(cache, TOOLS, QEMU, 'qemu-system-x86')
    programs = [emulator.build_workloads(cache, 'gcc'), build_recorder(source, cache / 'build')]
    return Emulator(cache, packages.Kernel(cache, KERNELS[kernel][0], 'linux-image-cloud-amd64', 'amd64'), programs)
