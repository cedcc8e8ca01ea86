"""Time, accuracy and memory beside the peers, on the same encoder and texts.

python -m benchmarks.peers --data DIRECTORY [PART ...]    # default: all parts
python -m benchmarks.peers fit --data DIRECTORY --dataset trec --repeats 3
python -m benchmarks.peers --table                        # medians, spreads, ratios
python -m benchmarks.peers --readme                       # write them into the README
make bench DATA=DIRECTORY                                 # all parts and the table

The parts are the modules beside this one; each says what it measures. Contestants
alternate, in an order that turns with the seed; one JSON line a run is added to
results/peers.jsonl, and a run that is there already is not repeated. "seconds" are
those of the clock, "cpu_seconds" those of the process on all its cores, which other
work on the machine changes less. Nothing is downloaded: the encoder is ours, read from
the directory that ours is read from. ``--rows`` is for trials on few texts: their rows
are shown, and kept only with ``--keep``.

The peers are in the extra ``bench``. All of them run with the pinned transformers;
SetFit does from 1.2 on.
"""
