# SPDX-License-Identifier: MIT
"""
What the lab needs from Debian: tools for this machine, and kernels and a shell for the emulated one. The latter are
only unpacked, through apt configurations of the lab's own; the system's lists and packages stay as they are.
"""
import getpass
import lzma
import os
import pathlib
import re
import subprocess
import tempfile

KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg'
# Packages by a file or program that shows that they are there.
TOOLS = {
    'gcc': '/usr/bin/gcc',
    'pkg-config': '/usr/bin/pkg-config',
    'libglib2.0-dev': '/usr/include/glib-2.0/glib.h',
    'gcc-aarch64-linux-gnu': '/usr/bin/aarch64-linux-gnu-gcc',
    'libc6-dev-arm64-cross': '/usr/aarch64-linux-gnu/include/stdio.h',
}
QEMU = 'qemu-system-aarch64'
QEMU_PACKAGE = 'qemu-system-arm'
# Drivers of the guest, in this order, of those that are not built in: the disk for its results, and swap in memory.
MODULES = ('virtio', 'virtio_ring', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci', 'virtio_blk',
           'lz4_compress', 'lz4hc_compress', 'lzo-rle', 'zsmalloc', 'zram')


class Unavailable(Exception):
    """Something cannot be had on this machine; the text is a reason to skip."""


def run(*command, failure=Unavailable, **options):
    name = ' '.join(map(str, command[:4]))
    try:
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=300, **options)
    except subprocess.TimeoutExpired:
        raise failure(f'{name}: not done after 300 s') from None
    if done.returncode:
        tail = ' '.join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise failure(f'{name}: exit code {done.returncode}: {tail}')
    return done.stdout


def build(*command):
    """What is ours must build: this is no reason to skip."""
    return run(*command, failure=RuntimeError)


def mirror():
    """The Debian mirror that apt uses, and the release of this machine."""
    text = run('apt-get', 'indextargets', '--format', '$(SITE) $(CODENAME)', 'Created-By: Packages')
    for line in text.splitlines():
        site, _, release = line.partition(' ')
        if release and '-' not in release:
            return site, release
    raise Unavailable('apt knows no mirror')


def source(site, release):
    # A mirror can be older than sid's Valid-Until of one week; signatures are checked all the same.
    check = ' check-valid-until=no' if release == 'sid' else ''
    return f'deb [signed-by={KEYS}{check}] {site} {release} main\n'


class Apt:
    """apt for packages of one release and machine, in a directory of its own."""

    def __init__(self, directory, release, machine='arm64'):
        self.directory = directory
        for name in ('etc/preferences.d', 'state/lists/partial', 'cache/archives/partial', 'debs'):
            (directory / name).mkdir(parents=True, exist_ok=True)
        (directory / 'status').touch()
        (directory / 'etc/sources.list').write_text(source(mirror()[0], release))
        (directory / 'apt.conf').write_text(f'''Dir::Etc "{directory}/etc";
Dir::Etc::sourcelist "{directory}/etc/sources.list";
Dir::Etc::sourceparts "-";
Dir::State "{directory}/state";
Dir::State::status "{directory}/status";
Dir::Cache "{directory}/cache";
APT::Architecture "{machine}";
APT::Architectures {{ "{machine}"; }};
APT::Sandbox::User "{getpass.getuser()}";
Acquire::Languages "none";
''')
        self.environment = dict(os.environ, APT_CONFIG=str(directory / 'apt.conf'))

    def run(self, *command):
        return run(*command, env=self.environment, cwd=self.directory / 'debs')

    def update(self):
        self.run('apt-get', '-qq', 'update')

    def kernel_version(self, package):
        found = re.search(r'Depends: linux-image-(\d\S*)', self.run('apt-cache', 'depends', package))
        if not found:
            raise Unavailable(f'{package} depends on no kernel')
        return found.group(1)

    def unpack(self, package, to):
        """Download and unpack; returns the size of the package."""
        self.run('apt-get', '-qq', 'download', package)
        deb = max((self.directory / 'debs').glob(f'{package}_*.deb'), key=os.path.getmtime)
        to.mkdir(parents=True, exist_ok=True)
        run('dpkg-deb', '-x', deb, to)
        size = deb.stat().st_size
        deb.unlink()
        return size


def install(packages, *options):
    if os.geteuid():
        raise Unavailable(f'root is needed to install {" ".join(packages)}')
    environment = dict(os.environ, DEBIAN_FRONTEND='noninteractive')
    run('apt-get', '-qq', *options, 'update', env=environment)
    run('apt-get', '-qq', '-y', '--no-install-recommends', *options, 'install', *packages, env=environment)


def qemu_version(qemu):
    try:
        found = re.search(r'version (\d+)\.', run(qemu, '--version'))
    except (OSError, Unavailable):
        return 0
    return int(found.group(1)) if found else 0


def install_tools(cache, tools=TOOLS, qemu=QEMU, qemu_package=QEMU_PACKAGE):
    missing = [package for package, path in tools.items() if not os.path.exists(path)]
    if missing:
        install(missing)
    if qemu_version(qemu) >= 10:
        return
    # Reading registers in a plugin needs QEMU 9.2; Debian 12 has a newer one among its backports.
    site, release = mirror()
    options = []
    if release == 'bookworm':
        lists = cache / 'backports'
        (lists / 'partial').mkdir(parents=True, exist_ok=True)
        (cache / 'backports.list').write_text(source(site, release) + source(site, f'{release}-backports'))
        options = ['-o', f'Dir::Etc::sourcelist={cache}/backports.list', '-o', 'Dir::Etc::sourceparts=-',
                   '-o', f'Dir::State::lists={lists}', '-t', f'{release}-backports']
    install([qemu_package], *options)
    if qemu_version(qemu) < 10:
        raise Unavailable(f'QEMU 10 is needed, this is {qemu_version(qemu)}')


def newest(directory, pattern):
    found = sorted(directory.rglob(pattern))
    if not found:
        raise Unavailable(f'{directory} has no {pattern}')
    return found[-1]


class Kernel:
    """One Debian kernel: version, image, modules of the guest."""

    def __init__(self, cache, release, package, machine='arm64'):
        apt = Apt(cache / f'apt-{release}', release, machine)
        known = cache / f'{package}-{release}'
        try:
            apt.update()
            self.version = apt.kernel_version(package)
            known.write_text(self.version)
        except Unavailable:
            if not known.exists():
                raise
            self.version = known.read_text()
        self.directory = cache / 'kernels' / self.version
        self.image = self.directory / 'vmlinuz'
        self.modules = self.directory / 'modules'
        # /proc/kallsyms of a boot without address randomisation; made by the first boot.
        self.symbols = self.directory / 'kallsyms'
        if not self.image.exists():
            self.fetch(apt)

    def fetch(self, apt):
        version = self.version
        self.modules.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.directory) as scratch:
            tree = pathlib.Path(scratch)
            if apt.unpack(f'linux-image-{version}', tree) < 1000000:    # only a meta package, since 7.x
                for part in ('binary', 'modules', 'base'):
                    apt.unpack(f'linux-{part}-{version}', tree)
            order = []
            for module in MODULES:
                for path in tree.rglob(f'{module}.ko*'):
                    content = path.read_bytes()
                    if path.suffix == '.xz':
                        content = lzma.decompress(content)
                    (self.modules / f'{module}.ko').write_bytes(content)
                    order.append(f'{module}.ko\n')
                    break
            (self.modules / 'order').write_text(''.join(order))
            newest(tree, 'vmlinuz*').rename(self.image)

    @property
    def page_shift(self):
        return 14 if '16k' in self.version else 16 if '64k' in self.version else 12


def busybox(cache, machine='arm64'):
    root = cache / 'busybox'
    if not list(root.rglob('bin/busybox')):
        apt = Apt(cache / 'apt-trixie', 'trixie', machine)
        apt.update()
        apt.unpack('busybox-static', root)
    return newest(root, 'bin/busybox')
