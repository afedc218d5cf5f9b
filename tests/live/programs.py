# SPDX-License-Identifier: MIT
"""The programs of the live suite, one row each; suite.py records them. A command is text for /bin/sh -e, run in a
directory of its own. $SOURCES and $WORKLOADS are the folders beside this file, $BUILT is where the C programs of the
latter are. Each takes 1 to 10 seconds.

    programs.py         their names
"""
from typing import NamedTuple


class Program(NamedTuple):
    """needs: {program in PATH, shared library or path: its Debian package}. prepare: shell text, not recorded. swap:
    megabytes of swap space on zram. memory: megabytes of a control group that the command enters by $GROUP. settings:
    {sysfs or sysctl file: value}. folios: large ones of 64K for anonymous memory. iovecs: it makes calls that name
    memory in buffers, and is recorded once more with them read."""
    name: str
    command: str
    needs: dict = {}
    prepare: str = ''
    swap: int = 0
    memory: int = 0
    settings: dict = {}
    folios: bool = True
    iovecs: bool = False


KSM = '/sys/kernel/mm/ksm'
JAVA = {'javac': 'default-jdk-headless'}
GCC = {'gcc': 'gcc'}
RANDOM_FILE = 'head -c %s /dev/urandom >file'
GENERATED = 'python3 "$WORKLOADS/generate_source.py" 60 >source.c'
INTO_GROUP = 'echo $$ >$GROUP;'
SHELL_WORK = '''
for i in $(seq 60); do x=$(echo $i | tr 1 2 | sed s/2/3/ | cut -c1-9); (: $x) & done; wait
seq 3000 | while read l; do case $l in *7) echo $l;; esac; done | (read a; cat) | tail -1
'''
GIT_WORK = '''
c() { git -c user.name=a -c user.email=a@b commit -q -a -m "$1"; }
c 0; for i in 1 2 3; do echo $i >>f1; c $i; done; git repack -q -a -d; git log --stat | tail -1; git fsck
'''
CHROOT_WORK = '''
chroot root /busybox sh -c 'i=0; while [ $i -lt 100 ]; do i=$((i + 1)); /busybox true; done
/busybox find / | /busybox sort | /busybox md5sum'
'''
IN_NAMESPACES = "ps ax | wc -l; ls -R /etc | sort | tail -1; sleep 100 & true"


def java(collector, *options):
    return Program(f'java_{collector.lower()}', f'java -Xmx128m -XX:+Use{collector}GC {" ".join(options)} -cp . Main',
                   JAVA, 'javac -d . "$SOURCES/Main.java"')


def preloaded(name, library, package):
    return Program(name, f'LD_PRELOAD={library} "$BUILT/mtmalloc" 4 40000', {library: package})


def sanitized(sanitizer, iterations):
    return Program(f'{sanitizer}_sanitizer', f'ASAN_OPTIONS=detect_leaks=0 ./program 4 {iterations}', GCC,
                   f'gcc -g -O1 -pthread -fsanitize={sanitizer} "$WORKLOADS/mtmalloc.c" -o program')


PROGRAMS = [
    # Languages, and how they collect.
    Program('python_collect', 'python3 "$SOURCES/collect.py"', {'python3': 'python3'}),
    Program('python_pool', 'python3 "$SOURCES/pool.py"', {'python3': 'python3'}),
    Program('python_maps', 'python3 "$SOURCES/maps.py"', {'python3': 'python3'}),
    Program('perl', 'perl "$SOURCES/fork.pl"', {'perl': 'perl'}),
    Program('node', 'node --expose-gc "$SOURCES/collect.js"', {'node': 'nodejs'}),
    Program('node_workers', 'node "$SOURCES/workers.js"', {'node': 'nodejs'}),
    java('Serial'), java('Parallel'), java('G1'), java('Z'), java('Shenandoah'),
    java('G1', '-XX:+AlwaysPreTouch', '-XX:+UseTransparentHugePages')._replace(name='java_huge'),
    Program('javac', 'javac -d . "$SOURCES/Main.java"', JAVA),
    Program('go', 'GOGC=20 ./program', {'go': 'golang-go'},
            'HOME=$PWD GOCACHE=$PWD/cache GO111MODULE=off go build -o program "$SOURCES/main.go"'),
    Program('ruby', 'ruby "$SOURCES/collect.rb"', {'ruby': 'ruby'}),
    Program('lua', 'lua5.4 "$SOURCES/collect.lua"', {'lua5.4': 'lua5.4'}),
    Program('php', 'php "$SOURCES/collect.php"', {'php': 'php-cli'}),
    Program('guile', 'guile --no-auto-compile "$SOURCES/collect.scm"', {'guile': 'guile-3.0'}),
    Program('sbcl', 'sbcl --noinform --non-interactive --load "$SOURCES/collect.lisp"', {'sbcl': 'sbcl'}),
    Program('erlang', 'erl -noshell -eval "$(cat "$SOURCES/processes.erl")"', {'erl': 'erlang-base'}),
    Program('ocaml', './program', {'ocamlopt': 'ocaml-nox'},
            'cp "$SOURCES/compact.ml" .; ocamlopt compact.ml -o program'),
    # Allocators.
    preloaded('jemalloc', 'libjemalloc.so.2', 'libjemalloc2'),
    preloaded('tcmalloc', 'libtcmalloc_minimal.so.4', 'libtcmalloc-minimal4'),
    preloaded('mimalloc', 'libmimalloc.so.2', 'libmimalloc2.0'),
    # Servers under load, and databases.
    Program('redis', 'mkdir r; "$WORKLOADS/redis_bgsave.sh" "$PWD/r" 8000', {'redis-check-rdb': 'redis-tools'}),
    Program('nginx', '"$SOURCES/nginx.sh"', {'nginx': 'nginx-light', 'ab': 'apache2-utils'}),
    Program('memcached', 'memcached -u root -m 16 -t 4 -s "$PWD/s" -P "$PWD/pid" & '
            'python3 "$SOURCES/memcached_load.py" "$PWD/s"; kill $(cat pid); wait', {'memcached': 'memcached'}),
    Program('postgres', '"$SOURCES/postgres.sh" load', {'/usr/lib/postgresql/*/bin/pgbench': 'postgresql'},
            '"$SOURCES/postgres.sh" init'),
    Program('sqlite', 'sqlite3 base.db <"$SOURCES/base.sql"', {'sqlite3': 'sqlite3'}),
    # Builds.
    Program('gcc', 'gcc -O2 source.c -lm -o program', GCC, GENERATED),
    Program('make', 'make -s -j4', {'make': 'make', **GCC}, '"$SOURCES/make.sh"'),
    Program('clang', 'clang -O2 source.c -lm -o program', {'clang': 'clang'}, GENERATED),
    Program('rustc', 'rustc -O "$SOURCES/values.rs" -o program', {'rustc': 'rustc'}),
    # Containers.
    Program('unshare', f"unshare --fork --pid --mount --uts --ipc --mount-proc sh -c '{IN_NAMESPACES}'",
            {'unshare': 'util-linux', 'ps': 'procps'}),
    Program('bwrap', 'bwrap --ro-bind / / --proc /proc --dev /dev --tmpfs /run --unshare-all '
            'python3 "$SOURCES/pool.py"', {'bwrap': 'bubblewrap'}),
    Program('chroot', CHROOT_WORK, {'busybox': 'busybox-static'},
            'mkdir root; cp "$(command -v busybox)" root/busybox; for i in $(seq 300); do mkdir root/$i; done'),
    # Programs that watch programs.
    sanitized('address', 8000), sanitized('thread', 2000), sanitized('undefined', 8000),
    Program('valgrind', 'valgrind -q ls -l /', {'valgrind': 'valgrind'}),
    Program('gdb', 'gdb -q -batch -ex "info functions main" -ex "disassemble main" "$BUILT/vmops"', {'gdb': 'gdb'},
            iovecs=True),
    # Kinds of memory, and who else changes it.
    Program('compat', './program', GCC, 'gcc -m32 -O1 -pthread -idirafter "/usr/include/$(gcc -print-multiarch)" '
            '"$WORKLOADS/compat.c" -o program && ./program >said || exit 77'),
    Program('ksm', '"$BUILT/merged"',
            settings={f'{KSM}/sleep_millisecs': 5, f'{KSM}/pages_to_scan': 2000, f'{KSM}/run': 1}),
    Program('hugetlb', '"$BUILT/huge_pages"', settings={'/proc/sys/vm/nr_hugepages': 24}),
    Program('userfaultfd', '"$BUILT/buffers"', iovecs=True),
    Program('locked', '"$BUILT/locked"'),
    Program('vmops', '"$BUILT/vmops"', folios=False),
    Program('direct_io', '"$BUILT/direct_io" file', prepare=RANDOM_FILE % '8M'),
    Program('swapping', f'{INTO_GROUP} "$BUILT/press" 64', swap=256, memory=48),
    Program('swapping_python', f'{INTO_GROUP} python3 "$SOURCES/pool.py"', swap=128, memory=24),
    Program('reclaim_files', f'{INTO_GROUP} "$BUILT/file_maps" file', memory=36, prepare=RANDOM_FILE % '24M'),
    Program('truncate', '"$BUILT/file_maps" file', prepare=RANDOM_FILE % '4M'),
    Program('spawn_storm', '"$BUILT/spawn_storm" 15'),
    Program('thread_storm', '"$BUILT/thread_storm" 20'),
    # What runs every day.
    Program('xz', 'xz -T2 --block-size=1MiB -k file; xz -dc file.xz | cmp - file', {'xz': 'xz-utils'},
            'seq 600000 >file'),
    Program('zstd', 'zstd -q -T2 -9 file; zstd -q -dc file.zst | cmp - file', {'zstd': 'zstd'}, 'seq 1500000 >file'),
    Program('git', GIT_WORK, {'git': 'git'},
            'git init -q .; for i in $(seq 400); do seq $i $((i * 9)) >f$i; done; git add .'),
    Program('sort', 'sort -S 4M -T . --parallel=2 file -o sorted',
            prepare='seq 400000 | shuf --random-source=/dev/zero >file'),
    Program('tar', 'tar -czf a.tgz -C / usr/include; tar -tzf a.tgz | wc -l'),
    Program('find', 'find /usr/share/doc -name "*.gz" -exec zcat {} + | wc -c; find /usr/lib | xargs ls -ld | wc -l'),
    Program('awk', "seq 400000 | awk '{a[$1 % 5000] = a[$1 % 5000] $1 % 7} END {for (i in a) n += length(a[i])}'"),
    Program('gawk', "seq 300000 | gawk '{a[$1 % 50000] = $0} END {print asort(a)}'", {'gawk': 'gawk'}),
    Program('bash', f"bash -c '{SHELL_WORK}'", {'bash': 'bash'}),
    Program('openssl', 'openssl speed -seconds 1 -multi 2 sha256 | tail -1; openssl genrsa 2048 | openssl rsa -text',
            {'openssl': 'openssl'}),
]


if __name__ == '__main__':
    for program in PROGRAMS:
        print(program.name)
