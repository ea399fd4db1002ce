"""SmolLM2-135M-Instruct from its GGUF file shows what an independent program found in it.

The numbers, and the text behind them, are those of tests/data/smollm2 (its README says whose). They
come from torch in single precision and numpy in double; states of initial tokens are made once more
here, from the definition: without BOS a first token sees itself alone, so that

    x += A norm(x);   x += FFN(norm(x)).

Layers count from 1; the small phase is P1_3_9 there and 2 here, the dominant one P2_12_28 and 1.
"""
import json
import math
import os
import re
import sys
from pathlib import Path

import h5py
import numpy as np
from gguf import GGUFReader, dequantize

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import models
import program as p
from llama_numpy import silu
from phenomenon_numpy import acute, unit
from quoted import Pages

DATA = Path(os.environ["SD_TEST_DATA"]) / "smollm2"
REFERENCE = json.loads((DATA / "smollm2.json").read_text(encoding="utf-8"))
SEQUENCES = [line.split() for line in (DATA / "sequences.ids").read_text().splitlines()]
LAYERS, D, BOS = 30, 576, "1"
PHASES = {"P2_12_28": 1, "P1_3_9": 2}
DIRECTION = {name: np.array(REFERENCE["directions"][name]) for name in PHASES}

# Single precision: 2e-5 of a state is the program's promise, 6e-6 the reference's own distance to
# double precision.
NORM = 1e-4
SIGMA = 1e-9           # of sigma_1: both sides are in double precision
ANGLE, SOFT = 1e-6, 1.05  # degrees, where sigma_1 / sigma_2 is above: below, u is not stable
EIGENVALUE = 1e-8      # relative; these pairs are simple, and well apart
RESIDUAL = 5e-10
DEGREE = 180 / math.pi

check = p.Checks()
model = models.path_or_skip(models.SMOLLM2)


def close(what, got, want, tolerance):
    got, want = np.asarray(got, dtype=float), np.asarray(want, dtype=float)
    off = np.abs(got - want)
    good = off <= tolerance
    if not np.all(good):
        at = tuple(int(i) for i in np.argwhere(~good)[0])
        check(False, f"{what}{list(at)}: {got[at]!r}, want {want[at]!r}; "
                     f"{int(np.sum(~good))} of {good.size} are off")


def study_of(folder, sequences, more):
    """The text of a study of these sequences."""
    (folder / "ids").write_text("".join(" ".join(s) + "\n" for s in sequences))
    return f"text: {{ids: ids}}\nruns:\n  - {{name: smollm2, checkpoints: {model.name}}}\n{more}"


def measure(folder, name, study):
    """Every variable of the study's one checkpoint; the paths that it names are taken as files here."""
    for file in (DATA / "sequences.ids", model):
        study = re.sub(rf"(\S*/)?{re.escape(file.name)}", lambda _, path=file: str(path), study)
    (folder / f"{name}.yaml").write_text(f"{study}figures: none\n")
    out = folder / name
    result = p.run(["run", folder / f"{name}.yaml", "-o", out, "--progress", "none"], 2, timeout=3000)
    check(result.returncode == 0 and result.stderr == "", f"{name}: {result.returncode} {result.stderr}")
    check(p.run(["check", out / "study.h5"]).returncode == 0, f"{name}: the file is sound")
    found = {}
    with h5py.File(out / "study.h5") as file:
        file["runs/smollm2"].visititems(lambda path, item: found.update({path: item[0]})
                                        if isinstance(item, h5py.Dataset) else None)
    return found


# ---- states ----

def initial_states():
    """State by state, of every sequence's first token."""
    tensors = {t.name: t for t in GGUFReader(model).tensors}
    get = lambda name: dequantize(tensors[name].data, tensors[name].tensor_type).astype(np.float64)
    norm = lambda x, gamma: x / np.sqrt((x * x).mean(axis=1, keepdims=True) + 1e-5) * gamma
    x = get("token_embd.weight")[[int(s[0]) for s in SEQUENCES]]
    states = [x]
    for layer in range(LAYERS):
        part = lambda name: get(f"blk.{layer}.{name}.weight")
        value = norm(x, part("attn_norm")) @ part("attn_v").T
        heads = np.repeat(value.reshape(len(x), 3, 64), 3, axis=1).reshape(len(x), -1)
        x = x + heads @ part("attn_output").T
        y = norm(x, part("ffn_norm"))
        x = x + (silu(y @ part("ffn_gate").T) * (y @ part("ffn_up").T)) @ part("ffn_down").T
        states.append(x)
    return np.array(states)


def norms_and_phases(run, name):
    want = REFERENCE[name]
    for key in ("initial_mean", "other_median", "other_max"):
        close(f"{name}: norm/{key}", run[f"norm/{key}"], want[key], NORM * np.array(want[key]))
    found = REFERENCE["detect"][f"smollm2_{name}_R4"]["phases"][::-1]  # the dominant one is the later
    for key in ("first", "last"):
        check(run[f"phase/{key}"].tolist() == [f[key] for f in found] + [-1, -1],
              f"{name}: phase/{key} {run[f'phase/{key}']}")
    tokens = [[f["initial"], f["tokens"] - f["initial"]] for f in found]
    check(run["phase/tokens"].tolist() == tokens + [[-1, -1]] * 2, f"{name}: {run['phase/tokens']}")
    close(f"{name}: phase/ratio", run["phase/ratio"][:2], [f["peak_ratio"] for f in found],
          [2 * NORM * f["peak_ratio"] for f in found])
    for role in ("explosion", "decay"):
        want = [next((k + 1 for k, f in enumerate(found) if l in f[role]), 0) for l in range(1, LAYERS + 1)]
        check(run[f"layer_role/{role}"].tolist() == want, f"{name}: {role} {run[f'layer_role/{role}']}")


def directions(run):
    """The reference averages raw states, the program unit ones: each is held to the states made here.

    A state off by 2e-5 turns by so many radians; averaging makes that no worse but for the length of
    the mean of unit vectors, which spreads of some degrees leave near 1.
    """
    states = initial_states()
    for name, k in PHASES.items():
        first, last = run["phase/plateau_first"][k - 1], run["phase/plateau_last"][k - 1]
        check(name.endswith(f"_{first}_{last}"), f"{name}: a plateau from {first} to {last}")
        plateau = states[first:last + 1]
        raw = unit(plateau.mean(axis=(0, 1)))
        mean = unit(unit(unit(plateau).mean(axis=0)).mean(axis=0))
        close(f"{name}: the reference is what it says", acute(raw, DIRECTION[name]), 0, 1e-3)
        close(f"{name}: phase/direction", np.linalg.norm(run["phase/direction"][k - 1] - mean), 0,
              1.1 * 2e-5)


# ---- weights ----

def spectra(run, kind):
    want = REFERENCE["variants"][kind]
    for group, key in (("linear", "L"), ("ffn", "F")):
        sigma = np.stack([want[f"sigma0_{key}"], want[f"sigma1_{key}"]], axis=1)
        close(f"{kind}: {group}/sigma", run[f"{group}/sigma"][:, :2], sigma, SIGMA * sigma[:, :1])
        check(np.all(run[f"{group}/residual"] <= RESIDUAL), f"{kind}: {group}/residual")
        stable = sigma[:, 0] / sigma[:, 1] > SOFT
        check(stable.sum() >= 15, f"{kind}: {group} has {stable.sum()} layers with a stable u")
        for name in PHASES:
            got = np.array([acute(u, DIRECTION[name]) for u in run[f"{group}/u"]])
            close(f"{kind}: {group}/u to {name}", got[stable],
                  np.array(want[name][f"angle_u0_{key}"])[stable], ANGLE)
    sigma = np.array(want["sigma0_IA"])
    close(f"{kind}: attention/sigma", run["attention/sigma"][:, 0], sigma, SIGMA * sigma)


def angles(run):
    """The stored angle is u's to the program's own direction: off by no more than that one is."""
    want = REFERENCE["variants"]["paper"]
    stable = np.array(want["sigma0_L"]) / np.array(want["sigma1_L"]) > SOFT
    for name, k in PHASES.items():
        close(f"linear/angle to {name}", run["linear/angle"][stable, k - 1],
              np.array(want[name]["angle_u0_L"])[stable], tilt(run, name) + ANGLE)


def tilt(run, name):
    """Degrees between the program's own direction of a phase and the reference's."""
    return acute(run["phase/direction"][PHASES[name] - 1], DIRECTION[name])


def eigenpair(run, at, kind, layer, name, want, same=True):
    """The pair nearest to the program's direction and that nearest to the reference's.

    They are equally far from either direction but for the tilt between these, even where the tilt makes
    another pair the nearest one; `same`: the tilt is too small for that.
    """
    k = PHASES[name] - 1
    value, angle = complex(*want[:2]), want[2]
    got = complex(*run[f"decay/{kind}/eigenvalue"][layer, k])
    close(f"{at}: residual", run[f"decay/{kind}/residual"][layer, k], 0, RESIDUAL)
    close(f"{at}: angle", run[f"decay/{kind}/angle"][layer, k], angle, tilt(run, name) + ANGLE)
    if same:
        close(f"{at}: eigenvalue", abs(got - value), 0, EIGENVALUE * abs(value))


def eigenpairs(run, kind, same):
    for name in PHASES:
        want = [REFERENCE["variants"][kind][name][key] for key in ("eig_re", "eig_im", "eig_angle")]
        for layer, pair in enumerate(zip(*want)):
            eigenpair(run, f"{kind}, layer {layer + 1}, {name}", "paper", layer, name, pair, same)


def decay(run):
    """A + F at the layers with a role, and what happens there to the tokens of their phase."""
    roles = run["layer_role/explosion"] + run["layer_role/decay"]
    for layer in np.flatnonzero(roles):
        name = next(n for n in PHASES if PHASES[n] == roles[layer])
        want, k = REFERENCE["norm_aware"][layer], roles[layer] - 1
        eigenpair(run, f"A + F, layer {layer + 1}", "sum", layer, name, want["sum"])
        close(f"scale, layer {layer + 1}", run["decay/scale"][layer, k, 0], want["s"], NORM * want["s"])
        if run["layer_role/decay"][layer] == 0:
            continue
        # A turned e sees a state under another angle: relative to e.h before the layer, which is at
        # least 0.9 of the norm, both e.h are off by the tilt times their norms.
        off = tilt(run, name) / DEGREE * (run["decay/norm_ratio"][layer, k] + abs(1 + want["true"])) / 0.9
        close(f"change, layer {layer + 1}", run["decay/true_change"][layer, k], want["true"], NORM + off)


# ---- the response to singular vectors ----

def responses(run, kind):
    for key, want in REFERENCE["explosion"].items():
        layer = int(key.split("_")[0]) - 1
        if not key.endswith(kind):
            continue
        at, got = f"subspace, {kind}, layer {layer + 1}", run["subspace/response"][layer]
        sigma = run["subspace/sigma"][layer]
        close(f"{at}: sigma", sigma[:len(want["sigma"])], want["sigma"], SIGMA * sigma[0])
        check(np.all(run["subspace/residual"][layer] <= RESIDUAL), f"{at}: residuals")
        # signs of the reference's vectors are as its library gave them: pairs are compared
        pairs = np.sort(np.stack([want["norm_plus"], want["norm_minus"]], axis=1))
        close(f"{at}: response", np.sort(got), pairs, NORM * pairs)
        check(np.argmax(got.max(axis=1)) == 0, f"{at}: the leading one answers most")
    silent = np.isnan(run["subspace/response"]).all(axis=(1, 2))
    check(np.array_equal(silent, run["layer_role/explosion"] == 0), "responses at explosion layers only")


# ---- the page ----

def page(run):
    """docs/smollm2.md: half a unit of the last digit, plus what single precision may do to states."""
    quoted = Pages(check, "docs/smollm2.md")
    say = lambda sentence, *values, **slack: quoted("docs/smollm2.md", sentence, values, **slack)
    initial, median = run["norm/initial_mean"], run["norm/other_median"]
    tokens, angle, gap = run["phase/tokens"], run["linear/angle"], run["layer_role/weight_gap"]
    check(np.argmax(initial / median) == 12, "state 12 is where they stand out most")
    say("all {}, whatever they are; {} at state 12, {} times the median", tokens[0, 0], initial[12],
        (initial / median)[12], slack=1)
    say("{} of {}; {} in a smaller one", tokens[0, 1], sum(map(len, SEQUENCES)) - len(SEQUENCES), tokens[1, 1])
    say("phase 1 from state {} to {}, phase 2 from {} to {}, {}° apart", run["phase/first"][0],
        run["phase/last"][0], run["phase/first"][1], run["phase/last"][1],
        acute(*run["phase/direction"][:2]), slack=0.005)
    say("are {}° and {}° from each other", *run["phase/spread"][:2], slack=0.005)
    say("layer 12 is {}° off, layer 3 {}°, the decay layer 29 {}°", angle[11, 0], angle[2, 1], angle[28, 0],
        slack=0.005)
    say("at {}°, is as good at layer 12: one channel, {}, is {} of", run["linear/angle_axis"][11, 0],
        run["direction/top_channel"], run["direction/vector"][run["direction/top_channel"]], slack=0.005)
    at = lambda kind, key: run[f"decay/{kind}/{key}"][28, 0].flat[0]
    say("the eigenvalue of R is +{}, {}° off", at("paper", "eigenvalue"), at("paper", "angle"), slack=0.005)
    say("of A + F is {} ({}°), of the scaled map {} ({}°); the true relative change is {}",
        at("sum", "eigenvalue"), at("sum", "angle"), at("scaled", "eigenvalue"), at("scaled", "angle"),
        run["decay/true_change"][28, 0], slack=0.0005)
    response = run["subspace/response"][11]
    say("layer 12 answers {} to v, {} to −v, and {} at most to any other of the {}", *response[0],
        response[1:].max(), D, slack=1)
    say("layers 3 ({}), 12 ({}) and 29 ({}), which have a role, and at 28 ({})", *gap[[2, 11, 28, 27]])
    check(np.flatnonzero(gap > 3).tolist() == [2, 11, 27, 28], "and nowhere else")
    say("At layer 2 it is {}", gap[1])
    gaussian, real = run["linear/r2"].T
    say("between {} and {} of the FFN's variance", gaussian.min(), gaussian.max(), slack=1e-3)
    say("it explains {} at layer 12", real[11], slack=1e-3)
    check((real < 0).sum() > LAYERS / 2, "less than nothing at most others")


def main():
    with p.Scratch() as folder:
        study = p.SOURCE / "configs/paper/smollm2.yaml"
        run = measure(folder, "nobos", study.read_text(encoding="utf-8"))
        norms_and_phases(run, "nobos")
        directions(run)
        spectra(run, "paper")
        angles(run)
        eigenpairs(run, "paper", same=True)
        decay(run)
        responses(run, "paper")
        page(run)

        # What weights say does not depend on the text; some of it finds the same layers.
        run = measure(folder, "scaled", study_of(folder, SEQUENCES[::12], "subspace: true\n"
                                                 "linear: {input: scaled}\n"))
        spectra(run, "gin")
        eigenpairs(run, "gin", same=False)
        responses(run, "gin")

        # The reference puts BOS in place of the last token.
        run = measure(folder, "bos", study_of(folder, [[BOS, *s[:-1]] for s in SEQUENCES],
                                              "spectrum: {matrices: [ffn], count: 2}\n"
                                              "eigenpairs: iterative\n"))
        norms_and_phases(run, "bos")
    check.done()


if __name__ == "__main__":
    main()
