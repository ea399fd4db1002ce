"""Writes what torch.save writes, without torch: a state dict as a pickle, and each storage, in a zip archive.

Python's own pickler does the work: it writes down the names of stand-ins for torch's functions.
"""
import collections
import io
import json
import pickle
import sys
import types
import zipfile

import numpy as np

from llama_numpy import to_stored

STORAGES = {"F32": "FloatStorage", "F16": "HalfStorage", "BF16": "BFloat16Storage", "F64": "DoubleStorage"}


def stand_in(module, name):
    """A function that the pickler writes down as module.name."""
    def call():
        raise NotImplementedError
    call.__module__, call.__qualname__ = module, name
    setattr(sys.modules.setdefault(module, types.ModuleType(module)), name, call)
    return call


class Storage:
    """Numbers in one format, to be written once."""

    def __init__(self, kind, values):
        self.kind, self.count, self.data = kind, values.size, to_stored(kind, values)


class View:
    """A tensor: a place in a storage, with a size and a stride for each dimension."""

    def __init__(self, storage, offset, size, stride):
        self.storage, self.offset, self.size, self.stride = storage, offset, tuple(size), tuple(stride)

    def __reduce__(self):
        return TENSOR, (self.storage, self.offset, self.size, self.stride, False, collections.OrderedDict())


def dense(kind, values, order="C"):
    """A tensor that fills its storage, by rows (C) or by columns (F)."""
    values = np.asarray(values)
    laid = np.asarray(values, order=order)
    return View(Storage(kind, laid.ravel(order="K")), 0, values.shape,
                [s // values.itemsize for s in laid.strides])


class Pickler(pickle.Pickler):
    def __init__(self, file, protocol):
        super().__init__(file, protocol)
        self.storages = []

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        if obj not in self.storages:
            self.storages.append(obj)
        return "storage", TYPE[obj.kind], str(self.storages.index(obj)), "cpu", obj.count


def write(path, content, protocol=2):
    """A file of `content`: a dict of views, or whatever torch.save may be given."""
    text = io.BytesIO()
    pickler = Pickler(text, protocol)
    pickler.dump(content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", text.getvalue())
        archive.writestr("archive/byteorder", "little")
        for key, storage in enumerate(pickler.storages):
            archive.writestr(f"archive/data/{key}", storage.data)
        archive.writestr("archive/version", "3\n")


def write_llama(folder, model, kind, files=1):
    """A model of llama_numpy as pytorch_model.bin, or as shards; every second matrix lies by columns."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(model.config), encoding="utf-8")
    views = {name: dense(kind, values, "CF"[i % 2]) for i, (name, values) in enumerate(sorted(model.tensors.items()))}
    if files == 1:
        write(folder / "pytorch_model.bin", views)
        return
    where = {name: f"pytorch_model-{i % files + 1:05d}-of-{files:05d}.bin" for i, name in enumerate(views)}
    for file in set(where.values()):
        write(folder / file, collections.OrderedDict((n, v) for n, v in views.items() if where[n] == file), protocol=4)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


TENSOR = stand_in("torch._utils", "_rebuild_tensor_v2")
TYPE = {kind: stand_in("torch", name) for kind, name in STORAGES.items()}
