"""Makes the committed reference numbers of the solvers again and compares. Skipped without numpy, scipy, mpmath."""
import os
import pathlib
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parent.parent


def lines_of(script, *arguments):
    done = subprocess.run([sys.executable, TESTS / "oracle" / script, *arguments], check=True,
                          capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return done.stdout.splitlines()


def table_is_in(script, test):
    """Every row that the script prints stands in the test's source, white space aside."""
    source = "".join((TESTS / "unit" / test).read_text().split())
    rows = ["".join(line.split()).rstrip(",") for line in lines_of(script)]
    missing = [row for row in rows if row not in source]
    if not rows or missing:
        sys.exit(f"{test} lacks {missing or 'all rows'} of {script}")


def words(path):
    for line in path.read_text().splitlines():
        yield from line.split("#")[0].split()


def same(a, b):
    """Words are equal, numbers within 1e-9: answers depend on the linear algebra library's rounding."""
    if a == b:
        return True
    try:
        x, y = float(a), float(b)
    except ValueError:
        return False
    return abs(x - y) <= 1e-9 * max(1, abs(y))


def linear_maps_agree():
    with tempfile.TemporaryDirectory() as folder:
        lines_of("make_linear_maps.py", folder)
        made = list(words(pathlib.Path(folder) / "linear_maps.txt"))
    kept = list(words(TESTS / "data" / "linear_maps.txt"))
    if len(made) != len(kept):
        sys.exit(f"linear_maps.txt has {len(kept)} words, made again {len(made)}")
    for k, (a, b) in enumerate(zip(made, kept)):
        if not same(a, b):
            sys.exit(f"linear_maps.txt: word {k} is {b}, made again {a}")


try:
    import mpmath  # noqa: F401
    import numpy  # noqa: F401
    import scipy  # noqa: F401
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)
table_is_in("make_act_means.py", "test_stein.c")
table_is_in("make_log10_chance.py", "test_angle.c")
linear_maps_agree()
