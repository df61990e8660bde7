"""multiprocessing.Pool: apply_async for every task, then get every result. Prints the nanoseconds of one task."""
import sys
from multiprocessing import get_context
from time import perf_counter


def noop(value):
    return value


workers, count = map(int, sys.argv[1:])
with get_context("fork").Pool(workers) as pool:
    pool.map(noop, range(100), 1)
    start = perf_counter()
    handles = [pool.apply_async(noop, (value,)) for value in range(count)]
    total = sum(handle.get() for handle in handles)
    elapsed = perf_counter() - start
assert total == sum(range(count))
print(elapsed * 1e9 / count)
