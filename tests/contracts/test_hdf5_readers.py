"""A study.h5 as others read it: h5dump, h5py, netCDF4 and xarray, without options.

Also: two files of one content differ in /provenance only, whatever lay in memory.
Exit code 77 (skipped) where a reader's package is missing.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import warnings

try:
    import h5py
    import numpy as np
    import xarray as xr
    import h5netcdf, netCDF4  # noqa: F401, E401: xarray's engines
except ImportError as missing:
    print(f"skipped: {missing}", file=sys.stderr)
    sys.exit(77)

WRITER = os.path.join(os.environ["SD_BUILD"], "tests", "test_study_file")
ENGINES = ("h5netcdf", "netcdf4")
FAILURES = []

# xarray opens a square matrix over one dimension, and warns that it cannot compute with it.
warnings.filterwarnings("error")
warnings.filterwarnings("ignore", message="Duplicate dimension names")
warnings.filterwarnings("ignore", message="numpy.ndarray size changed")
warnings.filterwarnings("ignore", category=DeprecationWarning)


def check(condition, what):
    if not condition:
        FAILURES.append(what)
        print(f"not true: {what}", file=sys.stderr)


def write(folder, name, host, filling):
    """Writes the study; what malloc gives (of the GNU C library) is filled with `filling` before."""
    path = os.path.join(folder, name)
    environment = dict(os.environ, MALLOC_PERTURB_=str(filling))
    subprocess.run([WRITER, path, host], check=True, env=environment)
    return path


def value(step_index, i):
    """What the writer puts at element i, up to a constant for each variable."""
    return 1000.0 * step_index + i


def text(array):
    return [item.decode() if isinstance(item, bytes) else str(item) for item in np.asarray(array)]


def h5dump_prints_every_dataset(path):
    tool = shutil.which("h5dump")
    if tool is None:
        return
    run = subprocess.run([tool, path], capture_output=True, text=True)
    check(run.returncode == 0 and run.stderr == "", f"h5dump: {run.stderr[:200]}")
    check('DATASET "initial_mean"' in run.stdout, "h5dump shows the datasets")


def every_dataset_is_described(path):
    with h5py.File(path) as file:
        check(list(file["runs"]) == ["zeta", "alpha", "empty"], "runs in the study's order")
        seen = []

        def visit(name, item):
            if not isinstance(item, h5py.Dataset):
                return
            seen.append(name)
            for attribute in ("units", "long_name", "sha256"):
                check(attribute in item.attrs, f"{name} has {attribute}")
            if item.is_scale:
                return
            for axis, dim in enumerate(item.dims):
                check(len(dim) == 1, f"{name} has one scale for dimension {axis}")
                check(dim[0].shape == (item.shape[axis],), f"{name}: its scale {axis} fits")

        file.visititems(visit)
        check(len(seen) > 150, "all datasets were visited")
        check(file["runs/zeta/step"][:].tolist() == [0, 250, 13000], "steps")
        check(file["runs/zeta/layer"][:].tolist() == [1, 2, 3], "layers count from 1")
        check(file["runs/zeta/state"][:].tolist() == [0, 1, 2, 3], "states count from 0")
        check(file["runs/zeta/decay/phase"][:].tolist() == [1, 2, 3, 4], "phases count from 1")
        check(file["runs/zeta/part"].asstr()[:].tolist() == ["re", "im"], "parts have names")
        check(file["runs/empty/norm/other_max"].shape == (0, 4), "a run without a step")


def checksums_are_those_of_the_bytes(path):
    import hashlib

    with h5py.File(path) as file:

        def visit(name, item):
            if isinstance(item, h5py.Dataset):
                found = hashlib.sha256(np.ascontiguousarray(item[()]).tobytes()).hexdigest()
                check(text([item.attrs["sha256"]]) == [found], f"{name}: sha256 of its bytes")

        file.visititems(visit)


def xarray_opens_tree_and_groups(path, engine):
    tree = xr.open_datatree(path, engine=engine)
    tree.load()
    eigenvalue = tree["runs/zeta/decay/sum/eigenvalue"]
    check(eigenvalue.dims == ("step", "layer", "phase", "part"), f"{engine}: dimensions have names")
    check(eigenvalue.sel(step=250, layer=3, phase=2).shape == (2,), f"{engine}: places have names")
    base = float(eigenvalue.values.flat[0])
    check(
        float(eigenvalue.values[1, 2, 3, 1]) - base == value(1, eigenvalue[0].size - 1),
        f"{engine}: values are in their places",
    )
    check(text(tree["runs/zeta/path"].values)[1] == "a/step_000250", f"{engine}: strings")
    check(text(tree["runs/alpha/path"].values) == ["b/é x/step_200"], f"{engine}: UTF-8")
    check(tree.attrs["title"] == "A tìtle", f"{engine}: title")
    check(tree["runs/empty/linear/u"].shape == (0, 3, 5), f"{engine}: a run without a step")
    tree.close()
    with h5py.File(path) as file:
        groups = ["/"]
        file.visititems(lambda n, o: groups.append(n) if isinstance(o, h5py.Group) else None)
    for group in groups:
        with xr.open_dataset(path, group=group, engine=engine) as dataset:
            dataset.load()
    with xr.open_dataset(path, group="runs/zeta/norm", engine=engine) as norm:
        check(norm.initial_mean.sel(step=13000).shape == (4,), f"{engine}: one group alone")
        check(norm.initial_mean.units == "1", f"{engine}: units")


def contents(path):
    """Every attribute and value outside /provenance, as bytes."""
    found = {}
    with h5py.File(path) as file:

        def visit(name, item):
            if name.split("/")[0] == "provenance":
                return
            if isinstance(item, h5py.Dataset):
                found[name] = (str(item.dtype), item.shape, item[()].tobytes())
            for key in item.attrs:
                if key == "DIMENSION_LIST":
                    continue
                attribute = h5py.h5a.open(item.id, key.encode())
                kind = attribute.get_type()
                raw = np.zeros(attribute.shape, f"V{kind.get_size()}")  # as stored, with padding
                attribute.read(raw, mtype=kind)
                found[f"{name}@{key}"] = raw.tobytes()

        file.visititems(visit)
        visit("/", file)
    return found


def only_provenance_differs(first, second):
    check(pathlib.Path(first).read_bytes() != pathlib.Path(second).read_bytes(), "the hosts differ")
    one, two = contents(first), contents(second)
    check(one.keys() == two.keys(), "the same objects")
    for name in one:
        check(one[name] == two.get(name), f"{name} is the same")


def the_same_again_is_the_same_file(first, again):
    check(pathlib.Path(first).read_bytes() == pathlib.Path(again).read_bytes(), "byte for byte")


def main():
    with tempfile.TemporaryDirectory() as folder:
        first = write(folder, "first é.h5", "one", 85)
        h5dump_prints_every_dataset(first)
        every_dataset_is_described(first)
        checksums_are_those_of_the_bytes(first)
        for engine in ENGINES:
            xarray_opens_tree_and_groups(first, engine)
        second = write(folder, "second.h5", "another, with a longer name", 170)
        only_provenance_differs(first, second)
        the_same_again_is_the_same_file(first, write(folder, "third.h5", "one", 170))
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main())
