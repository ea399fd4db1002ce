"""Gemma-3-270m from its GGUF file shows what torch and numpy find in it (tests/oracle/make_gemma_numbers.py).

Only BOS is high, from state 1 on; where its norms stay, u of L lies within 5 degrees of their
direction at layers 7 and 8 with the post-norms' gamma, and far off without post-norms.
"""
import json
import os
import sys
from pathlib import Path

import h5py
import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import models
import program as p
from phenomenon_numpy import acute, unit

DATA = Path(os.environ["SD_TEST_DATA"]) / "gemma3"
WANT = json.loads((DATA / "gemma3.json").read_text(encoding="utf-8"))
SEQUENCES = len((DATA / "sequences.ids").read_text().splitlines())
LAYERS = 18

NORM = 1e-4            # single precision on both sides; 2e-5 of a state is the program's promise
# The direction has 8 digits; u is exact to 5e-10 over the relative gap, on both sides, where
# sigma_1 / sigma_2 is above SOFT. Below, u is not stable.
ANGLE, SOFT = 1e-5, 1.05

check = p.Checks()
model = models.path_or_skip(models.GEMMA3)


def measure(folder, name, more):
    """Every variable of the one checkpoint."""
    (folder / f"{name}.yaml").write_text(
        f"text: {{ids: {DATA}/sequences.ids}}\nfigures: none\n{more}"
        f"runs:\n  - {{name: gemma, checkpoints: [{{step: 0, path: {model}}}]}}\n")
    result = p.run(["run", folder / f"{name}.yaml", "-o", folder / name, "--progress", "none"], 2, timeout=3000)
    check(result.returncode == 0 and result.stderr == "", f"{name}: {result.returncode} {result.stderr}")
    found = {}
    with h5py.File(folder / name / "study.h5") as file:
        file["runs/gemma"].visititems(lambda path, item: found.update({path: item[0]})
                                      if isinstance(item, h5py.Dataset) else None)
    return found


def norms_and_phases(run, want, name):
    for key in ("initial_mean", "other_median", "other_max"):
        off = np.abs(run[f"norm/{key}"] / np.array(want[key]) - 1).max()
        check(off <= NORM, f"{name}: norm/{key} is off by {off}")
    check(want["margin"] > 10 * NORM, f"{name}: no comparison of the phases hangs by a rounding")
    phases = want["phases"]
    pad = [-1] * (4 - len(phases))
    for key in ("first", "last"):
        check(run[f"phase/{key}"].tolist() == [f[key] for f in phases] + pad, f"{name}: phase/{key}")
    check([t.tolist() for t in run["phase/tokens"][:len(phases)]] == [f["tokens"] for f in phases],
          f"{name}: {run['phase/tokens']}")
    for k, f in enumerate(phases):
        plateau = [int(run[f"phase/plateau_{end}"][k]) for end in ("first", "last")]
        check(plateau == f["plateau"], f"{name}: plateau {plateau}, want {f['plateau']}")
        check(abs(run["phase/ratio"][k] / f["ratio"] - 1) <= 2 * NORM, f"{name}: phase/ratio")
    for role in ("explosion", "decay"):
        roles = [next((k + 1 for k, f in enumerate(phases) if l in f[role]), 0) for l in range(1, LAYERS + 1)]
        check(run[f"layer_role/{role}"].tolist() == roles, f"{name}: {role} {run[f'layer_role/{role}']}")


def directions(run):
    e = np.array(WANT["direction"])
    states = run["direction/per_state"].astype(float)
    check(acute(unit(states[WANT["settled"]].mean(axis=0)), e) < 0.1, "the direction where norms stay")
    for layer in range(LAYERS):
        if WANT["gap"][layer] > SOFT:
            angle = acute(run["linear/u"][layer], e)
            check(abs(angle - WANT["u"][layer]) <= ANGLE, f"u of layer {layer + 1}: {angle}, want {WANT['u'][layer]}")
    for layer in (7, 8):
        angle = acute(run["linear/u"][layer - 1], e)
        check(angle < 5, f"u of layer {layer} is {angle} degrees off")
        check(WANT["u_without"][layer - 1] > 75, f"without post-norms it is not at layer {layer}")


def main():
    with p.Scratch() as folder:
        with_bos = measure(folder, "bos", f"measure: {{sequences: {SEQUENCES}, length: 64, bos: true}}\n")
        norms_and_phases(with_bos, WANT["bos"], "bos")
        directions(with_bos)
        without = measure(folder, "nobos", "")
        norms_and_phases(without, WANT["nobos"], "nobos")
        # Initial tokens are high with BOS, and with BOS alone.
        check(with_bos["phase/tokens"][0].tolist() == [SEQUENCES, 0], "BOS is high, nothing else")
        check(all(tokens[0] <= 0 for tokens in without["phase/tokens"]), "no other initial token is")


main()
check.done()
