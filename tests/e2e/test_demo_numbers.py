"""The demo gives the numbers that README.md and docs/demo.md quote, and the figure that README.md shows.

A quoted number is held to half a unit of its last digit, plus what another machine may change:
states are single precision, exact to 2e-5 of a token's norm (tests/oracle/test_llama_states.c), so
norms and ratios move by 4e-5 of themselves and a unit direction by 4e-5 at most. An angle to a
second such direction moves by 8e-5 radian = 0.005 degrees. Eigenvalues depend on the layers'
weights alone but for the choice of the pair, and the scaled map on the states' scales: 1e-3 of
themselves is wide. Shares of variance are means over tokens: 1e-3.
"""
import os
import sys

import h5py
import numpy as np

sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import program as p
from quoted import Pages

check = p.Checks()
ANGLE, RATIO, LOOSE = 0.005, 4e-5, 1e-3
quoted = Pages(check, "README.md", "docs/demo.md")


def table(path):
    """The numbers of a figure's data, row by row; words stay words."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            yield line.split("\t")


def same_figure(made, shown):
    """Whether the figure's data are those of the picture in docs/images."""
    a, b = list(table(made)), list(table(shown))
    check([len(r) for r in a] == [len(r) for r in b], "the figure's data have the committed shape")
    for left, right in zip(a, b):
        for x, y in zip(left, right):
            try:  # angles of two directions, in degrees
                near = abs(float(x) - float(y)) <= 2 * ANGLE or x == y
            except ValueError:
                near = x == y
            check(near, f"docs/images/stabilisation.tsv has {y}, the run {x}")


def hold(file):
    demo, readme = "docs/demo.md", "README.md"
    base = file["runs/base"]
    step = list(base["step"][:])
    at = {s: step.index(s) for s in step}
    last = at[13000]
    norm = base["norm/initial_mean"][:] / base["norm/other_median"][:]
    tokens = base["phase/tokens"][:, 0]
    to_final = base["direction/to_final"][:]
    angle, axis = base["linear/angle"][:, :, 0], base["linear/angle_axis"][:, :, 0]
    gap, r2 = base["layer_role/weight_gap"][last], base["linear/r2"][last]
    up, down = base["layer_role/explosion"][last], base["layer_role/decay"][last]
    eigen = {m: (base[f"decay/{m}/eigenvalue"][last, 4, 0], base[f"decay/{m}/angle"][last, 4, 0])
             for m in ("paper", "sum", "scaled")}

    # high norms emerge
    quoted(demo, "initial tokens above {} times", [norm[0].max()], relative=RATIO)
    quoted(demo, "it is {} times at state 4: {} against {}.",
           [norm[last].max(), base["norm/initial_mean"][last, 4], base["norm/other_median"][last, 4]],
           relative=RATIO)
    check(norm[last].argmax() == 4, "state 4 is the highest")
    there = [s for s in step if tokens[at[s], 0] > 0]
    quoted(demo, "appears at step {}, with {} of the {} initial tokens",
           [there[0], tokens[at[2000], 0], 128])
    check(list(tokens[last]) == [128, 0], "at the end all initial tokens are high and no other is")
    quoted(demo, "{}-fold", [base["decay/norm_ratio"][last, 3, 0]], relative=RATIO)
    quoted(demo, "layer 5 leaves {} of it", [base["decay/norm_ratio"][last, 4, 0]], relative=RATIO)
    check(list(np.flatnonzero(up)) == [2, 3] and list(np.flatnonzero(down)) == [4],
          "explosion layers 3 and 4, decay layer 5")
    quoted(readme, "others' median at step 13000, {} at step 0", [norm[0].max()], relative=RATIO)
    quoted(readme, "initial tokens: {} times", [norm[last].max()], relative=RATIO)

    # one direction settles
    quoted(demo, "It is {}° from its final place at step 2000, {}° at 5000, {}° at 8000, {}° at 11500",
           [to_final[at[s]] for s in (2000, 5000, 8000, 11500)], slack=ANGLE)
    quoted(readme, "{}° from its final place when it appears at step 2000, {}° at step 11500",
           [to_final[at[2000]], to_final[at[11500]]], slack=ANGLE)
    narrow = base["direction/participation"][:]
    quoted(demo, "It narrows from {} to {} channels", [narrow[at[2000]], narrow[last]], relative=LOOSE)
    channels = set(base["direction/top_channel"][at[2000]:])
    quoted(demo, "channel {} is the largest throughout", [channels.pop()])
    check(not channels, "one channel is the largest throughout")
    parent = [file[f"runs/ft_{n}/direction/to_parent"][-1] for n in ("bible", "code", "qa")]
    quoted(demo, "it has moved by {}° (Bible), {}° (code) and {}° (questions)", parent, slack=ANGLE)
    quoted(readme, "{}° to {}° after 600 steps of three fine-tunings", [min(parent), max(parent)],
           slack=ANGLE)
    distance, chance = file["signatures/distance"][0], file["signatures/log10_chance"][0]
    names = [n.decode() for n in file["signatures/name"][:]]
    other = names.index("other_seed")
    quoted(demo, "the model of another seed is {}° away", [distance[other]], slack=ANGLE)
    quoted(readme, "{}° to a model of another seed", [distance[other]], slack=ANGLE)
    check(all(chance[names.index(n)] < -90 for n in ("ft_bible", "ft_code", "ft_qa")),
          "fine-tunes are closer than chance by 90 orders of magnitude")
    quoted(demo, "as close as the other seed with {}.", [10 ** chance[other]], relative=LOOSE)

    # the weights predict it, in part
    quoted(demo, "At the decay layer, 5, u of L is {}° from the direction at the end "
           "(the trivial guess, an axis: {}°)", [angle[last, 4], axis[last, 4]], slack=ANGLE)
    quoted(demo, "it was {}° at step 4000 and drifts to {}° by step 13000, no better than the axis at {}°",
           [angle[at[4000], 3], angle[last, 3], axis[last, 3]], slack=ANGLE)
    quoted(readme, "decay layer 5: {}°; explosion layer 4: {}° at the end, {}° at step 4000",
           [angle[last, 4], angle[last, 3], angle[at[4000], 3]], slack=ANGLE)
    quoted(demo, "σ1/σ2 of F is {} at layer 5", [gap[4]], relative=RATIO)
    quoted(readme, "σ1/σ2 = {} ", [gap[4]], relative=RATIO)
    check(max(np.delete(gap, 4)) < 3, "below 3 elsewhere")

    # the decay
    quoted(demo, "is {} for the paper's map ({}° off), {} for A + F, {} for the scaled map; "
           "the true relative change is {}.",
           [eigen["paper"][0][0], eigen["paper"][1], eigen["sum"][0][0], eigen["scaled"][0][0],
            base["decay/true_change"][last, 4, 0]], relative=LOOSE)
    quoted(readme, "layer 5: {} by the paper's map at {}°; true relative change {} ",
           [eigen["paper"][0][0], eigen["paper"][1], base["decay/true_change"][last, 4, 0]],
           relative=LOOSE)
    check(all(value[1] == 0 for value, _ in eigen.values()), "the eigenvalues are real")

    # what it does not show
    quoted(demo, "0 of {} at step 13000, {} at most (step {})",
           [128 * 127, tokens[:, 1].max(), step[tokens[:, 1].argmax()]])
    check(base["phase/first"][last, 0] == base["phase/last"][last, 0] == 4, "the phase is state 4")
    check(np.isnan(base["phase/ratio"][:, 1:]).all(), "there is no second phase")
    quoted(demo, "the direction moves by {}° between the last two", [to_final[last - 1]], slack=ANGLE)
    quoted(demo, "between {} and {} of the FFN's variance", [r2[:, 1].min(), r2[:, 1].max()], slack=LOOSE)
    quoted(demo, "and between {} and {} on the Gaussian input",
           [r2[:, 0].min(), r2[:, 0].max()], slack=LOOSE)
    seed = file["runs/other_seed"]
    quoted(demo, "only {} of its initial tokens are high", [seed["phase/tokens"][-1, 0, 0]])
    check(not seed["layer_role/decay"][-1].any(), "no layer of the other seed takes norms away")


with p.Scratch() as folder:
    result = p.run(["run", p.SOURCE / "configs/demo/demo.yaml", "-o", folder / "demo", "--progress", "none"], 2)
    check(result.returncode == 0 and result.stderr == "", f"the demo: {result.returncode} {result.stderr}")
    with h5py.File(folder / "demo/study.h5") as study:
        hold(study)
    same_figure(folder / "demo/figures/stabilisation.tsv", p.SOURCE / "docs/images/stabilisation.tsv")
check.done()
