# SPDX-License-Identifier: MIT
"""How counted/ of a machine is made: the windows that its plugin wrote, of the processes that recordings have."""
import argparse
import pathlib

import counts
import replays


def main(description, quantities, window_of):
    """collect.py REFOLD WINDOWS RECORDINGS -o FILE. window_of: as of counts.load_plugin()."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('refold')
    parser.add_argument('windows', type=pathlib.Path)
    parser.add_argument('recordings', type=pathlib.Path)
    parser.add_argument('-o', dest='output', required=True)
    arguments = parser.parse_args()
    groups = [replays.recorded_processes(arguments.refold, trace)
              for trace in sorted(arguments.recordings.glob('*.mmt.zst'))]
    counts.store(arguments.output, quantities, counts.load_plugin(arguments.windows, groups, window_of))
