# SPDX-License-Identifier: Apache-2.0
"""Measures faiss on files of 32-byte rows with one thread: builds the index
that hasher-matcher-actioner runs and answers each query alone. Prints JSON.

usage: faiss.py DB QUERIES COUNT RADIUS MATCHES
"""
import json
import sys
import time

import faiss
import numpy as np


def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096


def rows(name, count=-1):
    data = np.fromfile(name, dtype=np.uint8, count=count * 32 if count > 0 else -1)
    return data.reshape(-1, 32)


def each(index, queries, radius, clock=time.perf_counter):
    """faiss answers what is nearer than the radius that it is given."""
    took, found = [], []
    for i in range(len(queries)):
        start = clock()
        lims, dist, ids = index.range_search(queries[i : i + 1], radius + 1)
        took.append((clock() - start) * 1e6)
        found.extend((i, int(e), int(d)) for e, d in zip(ids, dist))
    return took, found


def main(db_file, query_file, count, radius, matches_file):
    faiss.omp_set_num_threads(1)
    db, queries = rows(db_file), rows(query_file, count)
    before, start = resident(), time.perf_counter()
    index = faiss.IndexBinaryMultiHash(256, 16, 16)
    index.nflip = 1
    index.add(db)
    out = {"version": faiss.__version__, "build_seconds": time.perf_counter() - start}
    out["bytes_per_entry"] = (resident() - before) / len(db)
    warm = queries[: min(20, len(queries))] ^ np.uint8(0x5A)
    each(index, warm, radius)
    took, found = each(index, queries, radius)
    out.update(p50_us=float(np.median(took)), p99_us=float(np.quantile(took, 0.99)), mean_us=float(np.mean(took)))
    took, _ = each(index, queries, radius, time.thread_time)
    out.update(p50_cpu_us=float(np.median(took)), p99_cpu_us=float(np.quantile(took, 0.99)))
    with open(matches_file, "w") as f:
        f.writelines("%d,%d,%d\n" % m for m in found)

    fresh = np.random.default_rng(1).integers(0, 256, size=(200, 32), dtype=np.uint8)
    took = []
    for i in range(len(fresh)):
        start = time.perf_counter()
        index.add(fresh[i : i + 1])
        took.append((time.perf_counter() - start) * 1e6)
    out.update(add_p50_us=float(np.median(took)), add_p99_us=float(np.quantile(took, 0.99)))
    del index

    flat = faiss.IndexBinaryFlat(256)
    flat.add(db)
    took, _ = each(flat, queries[:10], radius)
    out["flat_p50_us"] = float(np.median(took))
    frames = np.ascontiguousarray(queries[:300])
    start = time.perf_counter()
    flat.range_search(frames, radius + 1)
    out["flat_300_us"] = (time.perf_counter() - start) * 1e6 * 300 / len(frames)
    json.dump(out, sys.stdout)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
