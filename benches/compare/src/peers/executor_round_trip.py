"""ProcessPoolExecutor: submit, wait, submit, wait. Prints the nanoseconds of one task."""
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import perf_counter


def noop(value):
    return value


workers, count = map(int, sys.argv[1:])
with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
    # Workers are started on demand: both are there once more tasks than workers were pending.
    for future in [pool.submit(noop, value) for value in range(100)]:
        future.result()
    start = perf_counter()
    total = 0
    for value in range(count):
        total += pool.submit(noop, value).result()
    elapsed = perf_counter() - start
assert total == sum(range(count))
print(elapsed * 1e9 / count)
