"""ProcessPoolExecutor: large bytes, of which the task reads one byte a page. Prints the nanoseconds of one task."""
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import perf_counter

PAGE = 4096


def page_sum(data):
    # The slice is copied in C; summing the copy is a thousandth of what the transfer takes.
    return sum(data[::PAGE])


workers, count, size = map(int, sys.argv[1:])
# A period that does not divide a page, so that pages differ in the byte that is read.
data = (bytes(range(251)) * (size // 251 + 1))[:size]
with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
    for future in [pool.submit(page_sum, data[:PAGE]) for _ in range(100)]:
        future.result()
    expected = page_sum(data)
    start = perf_counter()
    for _ in range(count):
        assert pool.submit(page_sum, data).result() == expected
    elapsed = perf_counter() - start
print(elapsed * 1e9 / count)
