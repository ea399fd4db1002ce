"""Compares two result files bit by bit: python compare_study.py FILE FILE [--ignore GROUP]...

Every group, dataset and attribute, with types, shapes, order of dimension scales and raw bytes (so
that NaN equals NaN only if stored alike). /provenance is ignored: it alone may depend on time,
machine and ranks. Prints each difference; exit status 1 if there is one.
"""
import argparse
import sys

import h5py
import numpy as np

# References from a dataset to its scales and back hold file addresses; their meaning is compared.
ADDRESSES = {"DIMENSION_LIST", "REFERENCE_LIST"}


def objects(file, ignored):
    """All objects by path, the root included, what is ignored left out."""
    found = {"/": file}

    def visit(name, item):
        path = "/" + name
        if not any(path == group or path.startswith(group + "/") for group in ignored):
            found[path] = item

    file.visititems(visit)
    return found


def raw(value):
    """A value as something that compares bitwise."""
    array = np.asarray(value)
    if array.dtype.hasobject:  # variable-length strings
        return [bytes(x, "utf-8") if isinstance(x, str) else bytes(x) for x in array.ravel()]
    return array.tobytes()


def scales(dataset):
    return [(dim.label, [scale.name for scale in dim.values()]) for dim in dataset.dims]


def facts(item):
    """What there is to compare of one object, by name."""
    out = {"kind": type(item).__name__}
    for name in item.attrs:
        if name not in ADDRESSES:
            attribute = item.attrs.get_id(name)
            out["@" + name] = (attribute.dtype.str, attribute.shape, raw(item.attrs[name]))
    if isinstance(item, h5py.Dataset):
        out["type"] = repr(item.dtype)
        out["shape"] = item.shape
        out["scales"] = scales(item)
    return out


def first_difference(a, b):
    """Where two datasets of one type and shape differ, or None."""
    if raw(a[()]) == raw(b[()]):
        return None
    x, y = np.asarray(a[()]), np.asarray(b[()])
    if x.dtype.hasobject:
        differ = x != y
    else:
        width = x.dtype.itemsize
        split = x.shape + (width,)
        differ = (np.frombuffer(x.tobytes(), "u1") != np.frombuffer(y.tobytes(), "u1"))
        differ = differ.reshape(split).any(axis=-1)
    at = tuple(int(i) for i in np.argwhere(differ)[0])
    return f"{int(np.sum(differ))} of {x.size} values differ, first at {list(at)}: {x[at]!r} and {y[at]!r}"


def compare(a, b, ignored):
    """Yields one line per difference."""
    left, right = objects(a, ignored), objects(b, ignored)
    for path in sorted(left.keys() ^ right.keys()):
        yield f"{path}: only in {'the first' if path in left else 'the second'} file"
    for path in sorted(left.keys() & right.keys()):
        one, two = facts(left[path]), facts(right[path])
        for name in sorted(one.keys() | two.keys()):
            if one.get(name) != two.get(name):
                yield f"{path} {name}: {one.get(name)} and {two.get(name)}"
        if isinstance(left[path], h5py.Dataset) and one["type"] == two.get("type") \
                and one["shape"] == two.get("shape"):
            difference = first_difference(left[path], right[path])
            if difference:
                yield f"{path}: {difference}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs=2)
    parser.add_argument("--ignore", action="append", default=["/provenance"], metavar="GROUP")
    arguments = parser.parse_args()
    with h5py.File(arguments.file[0]) as a, h5py.File(arguments.file[1]) as b:
        if len(objects(a, arguments.ignore)) < 2:
            sys.exit(f"{arguments.file[0]}: there is nothing in it to compare")
        lines = list(compare(a, b, ["/" + group.strip("/") for group in arguments.ignore]))
    for line in lines:
        print(line)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
