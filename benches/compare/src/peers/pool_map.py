"""multiprocessing.Pool.map with its own chunk size. Prints the nanoseconds of one item."""
import sys
from multiprocessing import get_context
from time import perf_counter


def add_one(value):
    return value + 1


workers, count = map(int, sys.argv[1:])
with get_context("fork").Pool(workers) as pool:
    pool.map(add_one, range(100), 1)
    start = perf_counter()
    total = sum(pool.map(add_one, range(count)))
    elapsed = perf_counter() - start
assert total == sum(range(count)) + count
print(elapsed * 1e9 / count)
