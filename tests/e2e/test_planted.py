"""Planted models with a known answer: two phases, a control without any, and a run along which they grow.

A neuron of layer 5 sees a marker in the embeddings of two ids and writes a large vector along a
direction of our choice; one of layer 8 takes it away. A smaller wave, of the initial id alone, rises
at layer 1 and falls at layer 3. All else in the model is faint.
"""
import math
import os
import sys

import h5py
import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import made_llama as made
import program as p
from phenomenon_numpy import acute

check = p.Checks()

LAYERS, D, FAINT = 10, 48, 0.02
INITIAL, OTHER = 0, 1             # ids with high norms
LARGE, SMALL = 60.0, 12.0         # what the two waves add; embeddings are of length 1
SEQUENCES, PLACES = 12, (4, 11)   # the other id stands at these places of every third sequence
STEPS = (0, 10, 20, 30, 40, 50)
# Along the run: sizes of the two waves, and the angle of the large one to where it ends.
GROWTH = {0: (0, 0, 0), 10: (0, 8, 0), 20: (10, 14, 40), 30: (25, SMALL, 25), 40: (45, SMALL, 10),
          50: (LARGE, SMALL, 0)}
TUNED = 40                        # where a fine-tune has turned the large wave to


def axes():
    """Orthonormal: three markers, the two waves' directions, and one to turn the large wave to.

    The large wave's largest entry is negative: an empirical direction keeps the sign of its states.
    """
    axes = np.linalg.qr(np.random.default_rng(3).standard_normal((D, 6)))[0].T
    axes[0] *= -np.sign(axes[0, np.argmax(np.abs(axes[0]))])
    return axes


WAVE, WAVE_SMALL, ASIDE, MARKER, MARKER_SMALL, INERT = AXES = axes()


def turned(degrees):
    return math.cos(math.radians(degrees)) * WAVE + math.sin(math.radians(degrees)) * ASIDE


def base():
    """A faint model whose embeddings have nothing along the axes but the markers of two ids.

    Norms leave only the direction of a state to the neurons: the other id gets an inert part in place of
    its second marker, so that both are equally long and the same neurons do the same to them.
    """
    model = made.random_llama(made.config(LAYERS, D, 64, 4, 2, 12), 1, branch=FAINT)
    table = model.tensors["model.embed_tokens.weight"]
    table -= table @ AXES.T @ AXES
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    for token in (INITIAL, OTHER):
        made.mark(model, token, MARKER, 0.8)
    made.mark(model, INITIAL, MARKER_SMALL, 0.8)
    made.mark(model, OTHER, INERT, 0.8)
    return model


def write(folder, large, small, degrees=0, layers=(4, 7)):
    """A checkpoint with waves of these sizes; neurons of no effect where a size is 0.

    The large one rises at the first of the layers (from 0), which come in order, and falls at the second.
    """
    model, wave = base(), turned(degrees)
    away = lambda axis: lambda at: -(at @ axis) * axis
    made.plant(model, 0, INITIAL, MARKER_SMALL, small * WAVE_SMALL)
    if small:
        made.plant(model, 2, INITIAL, WAVE_SMALL, away(WAVE_SMALL))
    made.plant(model, layers[0], INITIAL, MARKER, large * wave, neuron=1)
    if large:
        made.plant(model, layers[1], INITIAL, wave, away(wave), neuron=1)
    model.write(folder)


def study(folder, runs):
    random = np.random.default_rng(2)
    sequences = [[INITIAL, *random.integers(2, 61, 19)] for _ in range(SEQUENCES)]
    for sequence in sequences[::3]:
        for place in PLACES:
            sequence[place] = OTHER
    (folder / "ids.txt").write_text("".join(" ".join(map(str, s)) + "\n" for s in sequences))
    text = "text: {ids: ids.txt}\nfigures: none\nruns:\n"
    for name, (checkpoints, more) in runs.items():
        entries = ", ".join(f"{{step: {step}, path: '{path}'}}" for step, path in checkpoints.items())
        text += f"  - {{name: {name}, checkpoints: [{entries}]{more}}}\n"
    (folder / "study.yaml").write_text(text)
    result = p.run(["run", folder / "study.yaml", "-o", folder / "out", "--progress", "none"], 2)
    said = [line for line in result.stderr.splitlines()  # some models stand in several runs on purpose
            if "its weights are the same as those of step" not in line]
    check(result.returncode == 0 and said == [], f"{result.returncode} {result.stderr}")
    check(p.run(["check", folder / "out/study.h5"]).returncode == 0, "the file is sound")


def tilt(size):
    """Largest angle of a wave of this size to its axis, in degrees.

    Beside the wave a state holds the embedding (length below 1.6 with its markers) and what faint
    layers add: each at most FAINT^2 or so of an input of length sqrt(d) per branch, 20 branches, well
    below 0.5 in all. The sine of the angle is at most what lies across over the wave's size.
    """
    return math.degrees(math.asin(2.1 / size))


def integers(run, path, step):
    return run[f"phase/{path}"][step].tolist()


def planted_phases_are_found(run):
    others = len(PLACES) * len(range(0, SEQUENCES, 3))
    check(integers(run, "first", 0) == [5, 1, -1, -1], f"first states {integers(run, 'first', 0)}")
    check(integers(run, "last", 0) == [7, 2, -1, -1], f"last states {integers(run, 'last', 0)}")
    check(integers(run, "plateau_first", 0) == [5, 1, -1, -1], "plateaus begin behind the explosions")
    check(integers(run, "plateau_last", 0) == [7, 2, -1, -1], "plateaus end before the decays")
    check(integers(run, "tokens", 0)[:2] == [[SEQUENCES, others], [SEQUENCES, 0]],
          f"tokens {integers(run, 'tokens', 0)}")
    check(run["layer_role/explosion"][0].tolist() == [2, 0, 0, 0, 1, 0, 0, 0, 0, 0], "explosion layers")
    check(run["layer_role/decay"][0].tolist() == [0, 0, 2, 0, 0, 0, 0, 1, 0, 0], "decay layers")


def directions_are_the_planted_ones(run):
    for k, (axis, size) in enumerate(((WAVE, LARGE), (WAVE_SMALL, SMALL))):
        e = run["phase/direction"][0, k]
        check(acute(e, axis) <= tilt(size), f"phase {k + 1} is {acute(e, axis):.2f} degrees off")
        check(e @ axis > 0, f"phase {k + 1} keeps the sign of its states")
    e = run["phase/direction"][0, 0]
    check(e[np.argmax(np.abs(e))] < 0, "and so its largest entry is negative")
    other = run["phase/direction_other"][0]
    check(acute(other[0], WAVE) <= tilt(LARGE) and other[0] @ WAVE > 0, "the other tokens' direction")
    check(np.isnan(other[1]).all(), "the small wave has no other tokens")
    check(run["phase/spread"][0, 0] <= 1e-4, "initial tokens are equal")
    # Peers are of length 1 + 0.5 at most, the tokens of the wave's size give or take what lies across.
    for k, size in enumerate((LARGE, SMALL)):
        ratio = run["phase/ratio"][0, k]
        check((size - 2.1) / 1.5 <= ratio <= (size + 2.1) / 0.5, f"ratio {ratio}")
    # The faint rest of F has FAINT^2 of the neuron's gain or less, and so has the turn of u in radians.
    for layer, axis in ((4, WAVE), (0, WAVE_SMALL), (7, WAVE), (2, WAVE_SMALL)):
        off = acute(run["ffn/u"][0, layer], axis)
        check(off <= math.degrees(FAINT ** 2), f"the weights of layer {layer + 1} tell the axis: {off}")


def decays_take_it_away(run):
    """What is left along the direction is the tilt between axis and direction: 2.1 of the size."""
    change, ratio = run["decay/true_change"][0], run["decay/norm_ratio"][0]
    for k, layer, size in ((0, 7, LARGE), (1, 2, SMALL)):
        check(abs(change[layer, k] + 1) <= (2.1 / size) ** 2 + 1e-3, f"change {change[layer, k]}")
        check(ratio[layer, k] <= 2.1 / (size - 2.1), f"norm ratio {ratio[layer, k]}")
    check(np.all(np.abs(change[5:7, 0]) <= 0.01), f"nothing happens on the plateau: {change[5:7, 0]}")
    check(np.isnan(change[4, 0]), "at the explosion the change along the direction means nothing")
    check(ratio[4, 0] >= (LARGE - 2.1) / 2.1, f"but the norm grows: {ratio[4, 0]}")
    for kind in ("sum", "scaled"):
        check(run[f"decay/{kind}/rayleigh"][0, 7, 0] < 0, f"the {kind} map falls at the decay layer")
    check(np.all(run["decay/sum/method"][0, [0, 2], 1] == 2), "the full solve decides at its layers")


def a_control_has_no_phase(run):
    for name in ("ratio", "spread", "direction", "direction_other"):
        check(np.isnan(run[f"phase/{name}"][0]).all(), f"control: phase/{name} is missing")
    for name in ("first", "last", "plateau_first", "plateau_last", "tokens"):
        check((run[f"phase/{name}"][0] == -1).all(), f"control: phase/{name} is missing")
    for name in ("explosion", "decay"):
        check((run[f"layer_role/{name}"][0] == 0).all(), f"control: no layer has a role in {name}")
    seen = []
    run["decay"].visititems(lambda name, item: seen.append((name, item))
                            if isinstance(item, h5py.Dataset) and not item.is_scale else None)
    check(len(seen) == 20, f"decay has 20 variables: {len(seen)}")
    for name, item in seen:
        missing = (item[0] == -1) if item.dtype.kind == "i" else np.isnan(item[0])
        check(missing.all(), f"control: decay/{name} is missing")
    for name in ("angle", "angle_axis", "angle_deflated"):
        check(np.isnan(run[f"linear/{name}"][0]).all(), f"control: linear/{name} is missing")
    check(np.isnan(run["direction/vector"][0]).all() and np.isnan(run["direction/to_final"][0])
          and run["direction/top_channel"][0] == -1, "control: no direction")
    check(np.isfinite(run["direction/per_state"][0]).all(), "control: the initial tokens' directions")


def phases_keep_their_number(run):
    """The small wave comes first, and for a while it is the larger one."""
    first, ratio, final = run["phase/first"][:], run["phase/ratio"][:], run["direction/to_final"][:]
    check(run["step"][:].tolist() == list(STEPS), "steps")
    for s, step in enumerate(STEPS):
        large, small, degrees = GROWTH[step]
        check(first[s].tolist() == [5 if large else -1, 1 if small else -1, -1, -1],
              f"step {step}: phases begin at {first[s]}")
        check(np.isnan(ratio[s]).tolist() == [not large, not small, True, True], f"step {step}: {ratio[s]}")
        roles = [2 if small else 0, 1 if large else 0]
        check(run["layer_role/explosion"][s, [0, 4]].tolist() == roles, f"step {step}: roles")
        if large:
            e = run["direction/vector"][s]
            check(acute(e, turned(degrees)) <= tilt(large), f"step {step}: direction")
            check(abs(final[s] - degrees) <= tilt(large) + tilt(LARGE), f"step {step}: to_final {final[s]}")
        else:
            check(np.isnan(final[s]) and np.isnan(run["direction/vector"][s]).all()
                  and np.isnan(run["decay/true_change"][s, :, 0]).all(), f"step {step}: not yet there")
    check(ratio[2, 1] > ratio[2, 0] and ratio[5, 0] > ratio[5, 1], f"the order changes: {ratio}")
    check(np.all(np.diff(final[2:]) < 0) and final[-1] == 0, f"to_final falls to 0: {final}")
    previous = run["direction/to_previous"][:]
    check(np.isnan(previous[:3]).all(), f"no previous direction: {previous}")
    for s in (3, 4, 5):
        step, want = STEPS[s], GROWTH[STEPS[s - 1]][2] - GROWTH[STEPS[s]][2]
        check(abs(previous[s] - want) <= tilt(GROWTH[step][0]) + tilt(GROWTH[STEPS[s - 1]][0]),
              f"step {step}: to_previous {previous[s]}, want {want}")


def a_direction_tells_more_than_a_place(run):
    """At first the large wave stood where the small one does now, and shared one state with itself."""
    check(run["phase/first"][:, :2].tolist() == [[1, -1], [5, 1]], f"{run['phase/first'][:]}")
    check(run["phase/last"][:, :2].tolist() == [[5, -1], [7, 2]], f"{run['phase/last'][:]}")
    check(run["direction/to_final"][0] <= 2 * tilt(LARGE), f"to_final {run['direction/to_final'][0]}")


def parents_are_found(file):
    """A fine-tune of the last checkpoint, and the same one said to come from step 30."""
    for name, parent in (("tuned", 50), ("tuned_early", 30)):
        run = file[f"runs/{name}"]
        want, slack = abs(TUNED - GROWTH[parent][2]), tilt(LARGE) + tilt(GROWTH[parent][0])
        check(abs(run["direction/to_parent"][0] - want) <= slack,
              f"{name}: to_parent {run['direction/to_parent'][0]}, want {want} +- {slack}")
    check(np.isnan(file["runs/growth/direction/to_parent"][:]).all(), "who has no parent has no angle")


def log10_chance(degrees):
    """Share of directions within an angle of an axis: integrals of sin^(d - 2), by Gauss-Legendre."""
    node, weight = np.polynomial.legendre.leggauss(200)
    cap, half = ((weight * np.sin(top / 2 * (node + 1)) ** (D - 2)).sum() * top / 2
                 for top in (math.radians(degrees), math.pi / 2))
    return math.log10(cap / half)


def signatures_are_compared(file):
    names = [name.decode() for name in file["signatures/name"][:]]
    distance, chance = file["signatures/distance"][:], file["signatures/log10_chance"][:]
    check(names == ["planted", "control", "growth", "moved", "tuned", "tuned_early"], f"signatures of {names}")
    turn = {"planted": 0, "growth": 0, "moved": 0, "tuned": TUNED, "tuned_early": TUNED}
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            if "control" in (a, b):
                check(np.isnan(distance[i, j]) and np.isnan(chance[i, j]), f"{a} and {b}: no signature")
                continue
            vectors = [file[f"runs/{name}/direction/vector"][-1] for name in (a, b)]
            check(abs(distance[i, j] - acute(*vectors)) <= 1e-11, f"{a} and {b}: {distance[i, j]}")
            check(abs(distance[i, j] - abs(turn[a] - turn[b])) <= 2 * tilt(LARGE), f"{a} and {b}")
            if distance[i, j] > 1:
                want = log10_chance(distance[i, j])
                check(abs(chance[i, j] - want) <= 1e-9, f"{a} and {b}: {chance[i, j]}, want {want}")


with p.Scratch() as folder:
    write(folder / "planted", LARGE, SMALL)
    write(folder / "control", 0, 0)
    write(folder / "tuned", LARGE, SMALL, TUNED)
    write(folder / "elsewhere", LARGE, 0, 0, (0, 5))
    for step, sizes in GROWTH.items():
        write(folder / f"step_{step}", *sizes)
    study(folder, {"planted": ({0: "planted"}, ""), "control": ({0: "control"}, ""),
                   "growth": ({step: f"step_{step}" for step in STEPS}, ""),
                   "moved": ({0: "elsewhere", 1: "planted"}, ""), "tuned": ({1: "tuned"}, ", parent: growth"),
                   "tuned_early": ({1: "tuned"}, ", parent: growth, parent_step: 30")})
    with h5py.File(folder / "out/study.h5") as file:
        planted_phases_are_found(file["runs/planted"])
        directions_are_the_planted_ones(file["runs/planted"])
        decays_take_it_away(file["runs/planted"])
        a_control_has_no_phase(file["runs/control"])
        phases_keep_their_number(file["runs/growth"])
        a_direction_tells_more_than_a_place(file["runs/moved"])
        parents_are_found(file)
        signatures_are_compared(file)
check.done()
