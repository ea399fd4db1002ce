"""Writes the seeds of fuzz_pickle and fuzz_torch, tests/fuzz/seeds/{pickle,torch}/: small and valid.

The archives have checksums of 0, as torch writes them on request: what a fuzzer changes is then read.
"""
import collections
import os
import pickle
import re
import struct
import sys
import zipfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import made_torch as made

DATA = {"text": "é", "numbers": [0, 255, 65535, -1, 2 ** 31, 2 ** 62, 2 ** 80, -2 ** 63], "real": 0.5,
        "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)), "dict": {"a": {}, "b": {"c": 1}}, "raw": bytearray(b"xy"),
        "flags": (True, False, None), "bytes": b"z" * 300}


def folder(name):
    path = os.path.join(HERE, "seeds", name)
    os.makedirs(path, exist_ok=True)
    return path


def without_checksums(path):
    """Zeros in the place of checksums, and dates that are always the same."""
    with zipfile.ZipFile(path) as archive:
        entries = [(i.header_offset, i.CRC) for i in archive.infolist()]
    with open(path, "rb") as file:
        data = bytearray(file.read())
    for match in list(re.finditer(b"PK\x01\x02", data)):
        data[match.start() + 12:match.start() + 20] = struct.pack("<II", 0x00210000, 0)
    for offset, _ in entries:
        data[offset + 10:offset + 18] = struct.pack("<II", 0x00210000, 0)
    with open(path, "wb") as file:
        file.write(data)


def main():
    values = np.arange(12.0).reshape(3, 4)
    whole = made.dense("F32", values)
    views = {"a": whole, "b": made.dense("F16", values, "F"), "c": made.View(whole.storage, 1, (2, 2), (5, 2)),
             "d": made.View(whole.storage, 3, (), ()), "e": made.View(whole.storage, 0, (2, 3), (0, 1))}
    ordered = collections.OrderedDict(views)
    ordered._metadata = collections.OrderedDict({"": {"version": 1}})
    for protocol, content in ((2, views), (4, {"model": ordered, "step": 3}), (5, ordered)):
        path = os.path.join(folder("torch"), f"protocol_{protocol}")
        made.write(path, content, protocol)
        if protocol < 5:
            with zipfile.ZipFile(path) as archive:
                text = archive.read("archive/data.pkl")
            with open(os.path.join(folder("pickle"), f"tensors_{protocol}"), "wb") as file:
                file.write(text)
        without_checksums(path)
    for protocol in (2, 5):  # before 3 bytes are a call, which this target does not know
        content = {k: v for k, v in DATA.items() if protocol == 5 or k not in ("raw", "bytes")}
        with open(os.path.join(folder("pickle"), f"data_{protocol}"), "wb") as file:
            file.write(pickle.dumps(content, protocol))
    with open(os.path.join(folder("pickle"), "sets"), "wb") as file:
        file.write(pickle.dumps({"s": {1, 2}, "f": frozenset((3,))}, 4))


main()
