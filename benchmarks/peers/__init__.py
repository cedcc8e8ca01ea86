"""Compare time, accuracy and memory with other packages on the same encoder.

python -m benchmarks.peers --data DIRECTORY [PART ...]    # all parts by default
python -m benchmarks.peers fit --data DIRECTORY --dataset trec --repeats 3
python -m benchmarks.peers --table                        # medians, ranges, ratios
python -m benchmarks.peers --page                         # renew docs/benchmarks.md
make bench DATA=DIRECTORY                                 # all parts and the table

Each part is a module of this package and describes what it measures. The contestants
alternate, in an order that rotates with the seed. Each run appends one JSON line to
results/peers.jsonl. Runs that are already in the file are skipped.

"seconds" is elapsed time. "cpu_seconds" is processor time, summed over all cores; other
work on the machine changes it less. Nothing is downloaded: all contestants read our
default encoder from the same directory. ``--rows`` makes a trial on few texts. Results
of trials are printed, and written only with ``--keep``.

The other packages are in the extra ``bench``. They all run with the pinned version of
transformers; SetFit needs version 1.2 or newer.
"""
