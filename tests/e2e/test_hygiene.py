"""Checkpoints that are not what their names say: each pattern that was published, rebuilt on small series.

Every fault at the first, a middle and the last place of several series is found at its step; clean
series, fine-tunes, another seed and what is legitimately the same give no finding.
"""
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys

import h5py
import numpy as np

sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import made_llama
import program as p

check = p.Checks()
PRINT_FINDINGS = os.path.join(os.environ["SD_BUILD"], "tests", "print_findings")
DEMO_STEPS = [0, 250, 500, 1000, 1500, 2000, 2500, 3000, 4000, 5000, 6000, 8000, 10000, 11500, 13000]
PATH_KINDS = {"unrelated", "order", "detour"}


# ---- checkpoints ----

def read(folder):
    """Header and data of a folder's only file."""
    data = (folder / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    return {name: (entry["dtype"], entry["shape"], data[8 + length:][slice(*entry["data_offsets"])])
            for name, entry in header.items()}


def write_file(path, tensors):
    header, at = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(t[2] for t in tensors.values()))


def write(folder, config, tensors, shards=None):
    """A checkpoint; `shards`: name of the file that a tensor goes to, by a function of its name."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    if shards is None:
        write_file(folder / "model.safetensors", tensors)
        return folder
    places = {name: shards(name) for name in tensors}
    for file in set(places.values()):
        write_file(folder / file, {n: t for n, t in tensors.items() if places[n] == file})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return folder


def by_layer(name):
    """Embeddings in one file, each layer in another."""
    parts = name.split(".")
    return f"model-{int(parts[2]) + 1 if 'layers' in parts else 0}.safetensors"


def stored(values, dtype):
    bits = np.ascontiguousarray(values, "<f4")
    data = bits.tobytes() if dtype == "F32" else (bits.view("<u4") >> 16).astype("<u2").tobytes()
    return dtype, values.shape, data


def walk(folder, shape, steps, seed, dtype="F32", frozen=(), **more):
    """A series of made checkpoints: each tensor walks at random and forgets slowly."""
    config = made_llama.config(*shape)
    random = np.random.default_rng(seed)
    start = made_llama.random_llama(config, seed).tensors
    weights = {name: np.ones(v.shape) if "norm" in name else v for name, v in start.items()}
    size = {name: max(v.std(), 0.02) for name, v in weights.items()}
    paths = []
    for step in steps:
        paths.append(write(folder / f"step_{step}", config,
                           {n: stored(v, dtype) for n, v in weights.items()}, **more))
        for name in weights:
            if name not in frozen:
                weights[name] = 0.98 * weights[name] + 0.4 * size[name] * random.standard_normal(weights[name].shape)
    return list(zip(steps, paths))


def changed(source, folder, change):
    """A copy of a checkpoint after change(tensors)."""
    tensors = read(source)
    change(tensors)
    return write(folder, (source / "config.json").read_text(), tensors)


# ---- looking ----

def study(folder, runs):
    """A study of runs {name: series}, or {name: (series, more)}; a path of its own each time."""
    study.count += 1
    path = folder / f"study{study.count}.yaml"
    text = f"text: '{p.DEMO}/heldout.txt'\ntokenizer: '{p.DEMO}/tokenizer.json'\n" \
           "measure: {sequences: 2, length: 16}\nfigures: none\nruns:\n"
    for name, series in runs.items():
        series, more = series if isinstance(series, tuple) else (series, "")
        listed = ", ".join(f"{{step: {s}, path: '{place}'}}" for s, place in series)
        text += f"  - {{name: {name}, checkpoints: [{listed}]{more}}}\n"
    path.write_text(text)
    return path


study.count = 0


def findings(folder, runs, ranks=None):
    """The findings of a study, as (run, step, kind, message)."""
    runs = runs if isinstance(runs, dict) else {"base": runs}
    command = [PRINT_FINDINGS, str(study(folder, runs))]
    if ranks:
        command = [p.MPIEXEC, "-n", str(ranks), *command]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240)
    check(result.returncode == 0, f"print_findings: {result.stderr}")
    found = [line.split("\t") for line in result.stdout.splitlines()]
    return [(run, int(step), kind, message) for run, step, kind, _, message in found]


def silent(folder, runs, what):
    found = findings(folder, runs)
    check(found == [], f"{what}: a false alarm: {found}")


def finds(folder, series, step, kinds, what, alone=True):
    """One finding at the step, of one of the kinds; `alone`: and no other."""
    found = findings(folder, series)
    kinds = {kinds} if isinstance(kinds, str) else kinds
    check(any(f[1] == step and f[2] in kinds for f in found), f"{what} at {step}: not found, but {found}")
    check(not alone or len(found) == 1, f"{what} at {step}: {found}")
    return found


def put(series, at, path):
    return [(s, path if i == at else place) for i, (s, place) in enumerate(series)]


def link(folder, target):
    """Another name of a checkpoint."""
    link.count += 1
    path = folder / f"link{link.count}"
    path.symlink_to(target)
    return path


link.count = 0


# ---- faults ----

def strangers(folder, series, stranger):
    for at in range(len(series)):
        finds(folder, put(series, at, stranger), series[at][0], "unrelated", "another run's")
    for at in (0, 3, len(series) - 2):  # and two of them
        two = put(put(series, at, stranger), at + 1, stranger)
        found = findings(folder, two)
        check({f[1:3] for f in found} == {(series[at][0], "unrelated"), (series[at + 1][0], "identical")} or
              {s for _, s, *_ in found} == {series[at][0], series[at + 1][0]}, f"two of another run: {found}")


def copies(folder, series):
    n = len(series)
    for at, source in ((1, 0), (n // 2, n // 2 - 1), (n - 1, n - 2)):
        found = finds(folder, put(series, at, link(folder, series[source][1])), series[at][0], "identical", "a copy")
        check(f"step {series[source][0]}" in found[0][3], f"the line names the other: {found}")
    finds(folder, put(series, n - 1, link(folder, series[1][1])), series[n - 1][0], "identical", "a far copy")
    stuck = [(s, link(folder, series[0][1]) if 0 < i < 4 else place) for i, (s, place) in enumerate(series)]
    found = findings(folder, stuck)
    check([f[1:3] for f in found] == [(series[i][0], "identical") for i in (1, 2, 3)], f"stuck at the start: {found}")


def misplaced(folder, series, kept):
    """Contents of steps that are left out, under labels that are at least three places away."""
    short = [series[i] for i in kept]
    silent(folder, short, "a part of a series")
    for at in range(len(short)):
        for i in range(len(series)):
            between = [k for k in range(len(kept)) if min(kept[at], i) <= kept[k] <= max(kept[at], i)]
            if i not in kept and len(between) >= 4:
                finds(folder, put(short, at, series[i][1]), short[at][0], PATH_KINDS, f"contents of {series[i][0]}", alone=False)


def exchanged(folder, series):
    for at in range(1, len(series) - 2):
        swapped = put(put(series, at, series[at + 1][1]), at + 1, series[at][1])
        found = findings(folder, swapped)
        check(len(found) >= 1 and found[0][2] == "order" and found[0][1] in (series[at][0], series[at + 1][0]),
              f"exchanged {series[at][0]}: {found}")


def holes(folder, series, at):
    out = series[at][0]
    found = finds(folder, [one for one in series if one[0] != out], out, "missing", "a hole")
    check(str(out) in found[0][3], f"{found}")


def contents(folder, series):
    """Zeros, constants and foreign tensors."""
    name = "model.layers.1.mlp.down_proj.weight"

    def fill(value):
        def change(tensors):
            dtype, shape, data = tensors[name]
            tensors[name] = stored(np.full(shape, value), dtype)
        return change

    def buffers(tensors):
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = stored(1.0 / 10.0 ** np.arange(8), "F32")
        tensors["model.layers.0.self_attn.attn.masked_bias"] = stored(np.full((1,), -1e9), "F32")
        tensors["model.layers.0.attn.bias"] = ("U8", (1, 1, 4, 4), bytes(16))
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]

    def adapter(tensors):
        tensors["model.layers.0.self_attn.q_proj.lora_A.weight"] = stored(np.ones((2, 4)) * np.arange(4), "F32")

    for at in (0, len(series) // 2, len(series) - 1):
        step, place = series[at]
        where = folder / f"contents{series[-1][0]}_{at}"
        found = finds(folder, put(series, at, changed(place, where / "zero", fill(0.0))), step, "constant", "zeros")
        check(f"'{name}' is zero" in found[0][3], f"{found}")
        found = finds(folder, put(series, at, changed(place, where / "ones", fill(0.5))), step, "constant", "constants")
        check(f"'{name}' is 0.5" in found[0][3], f"{found}")
        silent(folder, put(series, at, changed(place, where / "buffers", buffers)), "buffers")
        found = finds(folder, put(series, at, changed(place, where / "adapter", adapter)), step, "extra", "a foreign tensor")
        check("1 tensor is not" in found[0][3] and "lora_A" in found[0][3], f"{found}")


def shards(folder):
    """One shard the same under three steps while others differ; frozen shards are no news."""
    steps = [0, 1000, 2000, 3000, 4000, 5000]
    for shape in ((3, 48, 96, 4, 2, 12), (2, 40, 80, 4, 4, 10)):
        series = walk(folder / f"shards{shape[0]}", shape, steps, 5, shards=by_layer)
        silent(folder, series, "shards")
        for at in (0, 2, 3):
            mixed = folder / f"mixed{shape[0]}_{at}"
            for later in (at + 1, at + 2):
                shutil.copytree(series[later][1], mixed / str(later))
                shutil.copy(series[at][1] / "model-2.safetensors", mixed / str(later) / "model-2.safetensors")
            found = findings(folder, [(s, mixed / str(i) if i in (at + 1, at + 2) else place)
                                      for i, (s, place) in enumerate(series)])
            check([f[1:3] for f in found] == [(steps[at + 1], "shared"), (steps[at + 2], "shared")] and
                  all("model-2.safetensors" in f[3] and f"step {steps[at]}," in f[3] for f in found), f"shards: {found}")
        silent(folder, walk(folder / f"frozen{shape[0]}", shape, steps, 6, shards=by_layer,
                            frozen=("model.embed_tokens.weight", "model.norm.weight")), "a frozen shard")


def families(folder, base, tuned, other):
    """Runs beside each other."""
    first = link(folder, base[-1][1])
    silent(folder, {"base": base, "tuned": (tuned, ", parent: base"), "other": other}, "a run, a fine-tune, another seed")
    silent(folder, {"base": base, "tuned": ([(0, first), *tuned], ", parent: base"),
                    "again": ([(0, link(folder, base[-1][1])), *[(s + 1, place) for s, place in tuned[:0]]], ", parent: base")},
           "fine-tunes that begin with their parent's last")
    silent(folder, {"base": base, "again": [(0, link(folder, base[0][1])), *other]}, "runs from one initialisation")
    found = findings(folder, {"one": [(0, base[0][1])], "two": [(0, link(folder, base[0][1]))]})
    check([f[2] for f in found] == ["identical"], f"two names of one model: {found}")
    found = findings(folder, {"base": base, "tuned": [(0, first), *tuned]})
    check([f[:3] for f in found] == [("tuned", 0, "identical")] and "of run 'base'" in found[0][3], f"across runs: {found}")
    found = findings(folder, {"tuned": ([(0, link(folder, base[2][1])), *tuned], ", parent: base"), "base": base})
    check([f[2] for f in found if f[0] == "base"] == ["identical"], f"not the parent's last: {found}")


def series_of(folder):
    base = [(s, p.DEMO / f"base/step_{s:06d}") for s in DEMO_STEPS]
    tuned = [(s, p.DEMO / f"ft_code/step_{s:06d}") for s in (200, 600)]
    other = [(4000, p.DEMO / "other_seed/step_004000")]
    silent(folder, {"base": base, **{f: ([(s, p.DEMO / f"{f}/step_{s:06d}") for s in (200, 600)], ", parent: base")
                                     for f in ("ft_bible", "ft_code", "ft_qa")}, "other_seed": other}, "the demo")
    strangers(folder, base, other[0][1])
    copies(folder, base)
    misplaced(folder, base, range(0, 15, 2))
    exchanged(folder, base)
    contents(folder, base)
    families(folder, base, tuned, other)
    doubling = [0, 1, 2, 4, 8, 16, 32, 64, 1000, 2000, 3000]
    for name, shape, steps, dtype in (("wide", (2, 48, 96, 4, 2, 12), range(0, 8000, 1000), "F32"),
                                      ("deep", (4, 40, 100, 2, 2, 20), doubling, "BF16")):
        series = walk(folder / name, shape, list(steps), 1, dtype)
        silent(folder, series, name)
        for n in range(1, len(series)):
            silent(folder, series[:n], f"{name}: the first {n}")
        alien = walk(folder / f"{name} alien", shape, [7], 2, dtype)[0][1]
        if name == "wide":
            strangers(folder, series, alien)
            for at in (1, 3, 6):
                holes(folder, series, at)
        else:
            for at in (3, 4, 5):  # of 4, 8, 16 in a doubling series
                holes(folder, series, at)
            for at in (3, 6, 9):
                finds(folder, put(series, at, alien), series[at][0], "unrelated", "another run's")
        copies(folder, series)
        exchanged(folder, series)
        contents(folder, series)
    return base, other


# ---- the program ----

def nan_of(tensors):
    for name in list(tensors)[:7]:
        dtype, shape, data = tensors[name]
        tensors[name] = dtype, shape, b"\xc0\x7f\x80\xff" + data[4:]  # of bf16: a NaN, an infinity


def whole_runs(folder, base, other):
    """On 1 and 3 ranks, and resumed: the same lines, the same table, status 0; damage alone fails."""
    series = [base[0], (250, link(folder, base[0][1])), base[3], (1500, other[0][1]), base[5], base[7]]
    path = study(folder, {"base": series})
    lines, tables = [], []
    for out, ranks in (("one", 1), ("three", 3), ("three", 1)):
        result = p.run(["run", path, "-o", folder / out, "--progress", "plain"], ranks)
        check(result.returncode == 0, f"suspicion fails nothing: {result.returncode}, {result.stderr}")
        lines.append(p.messages(result))
        with h5py.File(folder / out / "study.h5") as file:
            tables.append([[str(v) for v in file["findings"][name][()]] for name in ("run", "step", "path", "kind", "message")])
            check(len(file["runs/base/step"]) == 6 and len(file["failures/step"]) == 0, "all are measured")
    check("kept" in result.stderr and "measured" not in result.stderr, "the last was resumed")
    check(lines[0] == lines[1] == lines[2] and len(lines[0]) == 2, f"the lines: {lines}")
    check(tables[0] == tables[1] == tables[2] and len(tables[0][0]) == 2, f"the tables: {tables}")
    check(lines[0][0].startswith(f"singdef: {series[1][1]}: its weights are the same as those of step 0") and
          lines[0][1].startswith(f"singdef: {series[3][1]}: its weights have nothing in common"), f"{lines[0]}")
    check(p.same(folder / "one/study.h5", folder / "three/study.h5"), "1 and 3 ranks agree")
    sound(folder / "one/study.h5")

    # Findings never hide damage, and a damaged checkpoint is no reason to suspect its neighbours.
    series[2] = (1000, changed(base[3][1], folder / "nan", nan_of))
    result = p.run(["run", study(folder, {"base": series}), "-o", folder / "one", "--progress", "none"], 2)
    check(result.returncode == 3 and len(p.messages(result)) == 3 and
          sum("holds NaN" in line for line in p.messages(result)) == 1, f"with damage: {result.stderr}")


def sound(file):
    """The file passes its check, with the table and without it, as older files are; figures tell."""
    check(p.run(["check", file]).returncode == 0, "the file is sound")
    figures = file.parent / "figures"
    check(p.run(["figures", file, "-o", figures, "--formats", "svg"]).returncode == 0, "figures are drawn")
    for name in ("stabilisation", "emergence"):
        check("steps of run base with findings: 250, 1500;" in (figures / f"{name}.txt").read_text(), f"caption of {name}")
    marked = (figures / "emergence.svg").read_bytes()
    old = file.with_name("old.h5")
    shutil.copy(file, old)
    with h5py.File(old, "r+") as study_file:
        del study_file["findings"]
    result = p.run(["check", old])
    check(result.returncode == 0, f"a file without findings: {result.stdout}{result.stderr}")
    check(p.run(["figures", old, "-o", figures, "--formats", "svg"]).returncode == 0, "its figures are drawn")
    check("findings" not in (figures / "emergence.txt").read_text() and
          (figures / "emergence.svg").read_bytes() != marked, "they mark nothing")


def all_zero(tensors):
    for name, (dtype, shape, data) in tensors.items():
        tensors[name] = dtype, shape, bytes(len(data))


def inspected(folder, base):
    result = p.run(["inspect", folder / "nan"])
    lines = [line for line in result.stdout.splitlines() if line.startswith("finding")]
    check(result.returncode == 3 and len(lines) == 6 and "holds 1 NaN and 1 infinities among 65536 numbers, the first at [0, 0]" in lines[0]
          and "2 more tensors" in lines[-1], f"damage: {result.stdout}")
    check(len(p.messages(result)) == 1 and "7 tensors hold NaN or infinities" in result.stderr, f"{result.stderr}")
    result = p.run(["inspect", base[0][1]])
    check(result.returncode == 0 and "finding" not in result.stdout, f"norms of ones are no finding: {result.stdout}")
    result = p.run(["inspect", folder / "contents13000_0/zero"])
    check(result.returncode == 0 and result.stdout.count("finding") == 1 and "is zero" in result.stdout, f"{result.stdout}")
    zeros = changed(base[3][1], folder / "zeros", all_zero)
    result = p.run(["inspect", zeros])
    lines = [line for line in result.stdout.splitlines() if line.startswith("finding")]
    check(len(lines) == 6 and lines[-1].endswith("tensors of one number only: 51 more"), f"one screen: {result.stdout}")
    found = findings(folder, [(7, zeros)])
    check([f[2] for f in found] == ["constant"] * 6 and "51 more" in " ".join(f[3] for f in found), f"{found}")
    result = p.run(["inspect", base[3][1], "--tensors", "--sha256"])
    tensors = read(base[3][1])
    for name, (dtype, shape, data) in tensors.items():
        line = f"tensor       {name}  {dtype}  {'x'.join(map(str, shape))}  xxh3-128:"
        check(line in result.stdout and hashlib.sha256(data).hexdigest() in result.stdout, f"{name} is listed")
    whole = hashlib.sha256((base[3][1] / "model.safetensors").read_bytes()).hexdigest()
    check(f"sha256       {whole}  model.safetensors\n" in result.stdout, "the file's hash is the hub's")


with p.Scratch() as scratch:
    base_series, other_series = series_of(scratch)
    shards(scratch)
    whole_runs(scratch, base_series, other_series)
    inspected(scratch, base_series)
check.done()
