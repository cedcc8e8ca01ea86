"""Command line of the benchmarks."""

import argparse
import sys
from pathlib import Path

import benchmarks.peers

from ._contest import RESULTS_FILE, run
from ._parts import PARTS
from ._plot import plot
from ._report import read_rows, renew_page, table


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=benchmarks.peers.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="*", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--data", help="directory with the data sets")
    parser.add_argument("--dataset", nargs="+", help="default: all of the part")
    parser.add_argument("--model", nargs="+", help="contestants; default: all")
    parser.add_argument("--repeats", type=int, help="number of seeds")
    parser.add_argument("--rows", type=int, help="number of texts of a trial")
    parser.add_argument("--keep", action="store_true", help="write a trial's results")
    parser.add_argument("--threads", type=int, help="threads of torch")
    parser.add_argument("--results", type=Path, default=RESULTS_FILE)
    parser.add_argument("--table", action="store_true", help="print the results")
    parser.add_argument(
        "--page",
        action="store_true",
        help="renew the table and the figure of docs/benchmarks.md",
    )
    options = parser.parse_args(arguments)
    if not set(options.part) <= set(PARTS):
        parser.error(f"part must be one of {', '.join(PARTS)}")
    if not (options.data or options.table or options.page):
        parser.error("--data is required: the directory with the data sets")
    return options


def main(arguments):
    options = parse(arguments)
    if options.data:
        for name in options.part or PARTS:
            run(name, PARTS[name], options)
    if options.table:
        print(table(read_rows(options.results), options.part))
    if options.page:
        renew_page(read_rows(options.results))
        plot(read_rows(options.results))


if __name__ == "__main__":
    main(sys.argv[1:])
