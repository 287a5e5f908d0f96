"""A million rows pass through the backend; they do not stay in it."""

import pathlib
import re
import threading

import pytest

LIMIT = 64 * 1024  # kB


def private_memory(pid):
    return int(re.search(r"RssAnon:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


@pytest.mark.slow
def test_a_million_rows_grow_the_backend_by_less_than_64_mb(cluster, connection, sample):
    path = str(sample(1_000_000))
    connection.execute("SELECT aliaport_import_version()")
    pid = connection.info.backend_pid
    before, peak, done = private_memory(pid), [0], threading.Event()

    def watch():
        while not done.wait(0.02):
            peak[0] = max(peak[0], private_memory(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        rows = connection.execute("SELECT max(imported_rows), bool_and(content_match) FROM aliaport_import(%s)", [path]).fetchone()
    finally:
        done.set()
        thread.join()
    assert rows == (1_000_000, True)
    growth = peak[0] - before
    print(f"RssAnon: {before} kB before, {peak[0]} kB at most")
    assert growth < LIMIT, f"the backend grew by {growth} kB"
