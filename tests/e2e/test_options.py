"""Options of a study that the demo leaves alone: they do what docs/config.md says, and only that."""
import os
import sys

import h5py
import numpy as np

sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import program as p

check = p.Checks()
STEP = 13000


def measure(folder, name, more):
    """The last checkpoint of the demo's base run, under the options in `more`."""
    study = folder / f"{name}.yaml"
    study.write_text(f"text: '{p.DEMO}/heldout.txt'\ntokenizer: '{p.DEMO}/tokenizer.json'\n"
                     f"figures: none\nruns:\n  - name: base\n    checkpoints:\n"
                     f"      - {{step: {STEP}, path: '{p.DEMO}/base/step_{STEP:06d}'}}\n"
                     "measure: {sequences: 32, length: 64, bos: "
                     + ("true" if name == "bos" else "false") + "}\n" + more)
    result = p.run(["run", study, "-o", folder / name, "--progress", "none"])
    check(result.returncode == 0, f"{name}: {result.returncode} {result.stderr}")
    with h5py.File(folder / name / "study.h5") as file:
        found = {}
        file["runs/base"].visititems(
            lambda path, item: found.update({path: item[0]})
            if isinstance(item, h5py.Dataset) and item.shape[:1] == (1,) else None)
    return found


with p.Scratch() as folder:
    plain = measure(folder, "plain", "")

    # The sampled fit approaches the closed form like 1 / sqrt(samples): 16 times the samples bring it
    # 4 times closer. Errors of the six layers average out to about 1 / sqrt(6 * 64) of the ratio; half
    # and twice are far beyond that.
    def error(samples, seed=1):
        fit = measure(folder, f"sampled{samples}s{seed}",
                      f"linear: {{estimator: sampled, samples: {samples}, seed: {seed}}}\n")
        return fit, np.linalg.norm(fit["ffn/sigma"] - plain["ffn/sigma"])
    few, far = error(2000)
    many, near = error(32000)
    check(2 < far / near < 8, f"the sampled fit converges: {far} {near}")
    check(not np.array_equal(error(2000, 2)[0]["ffn/sigma"], few["ffn/sigma"]), "the seed matters")
    check(np.array_equal(few["norm/initial_mean"], plain["norm/initial_mean"]), "norms do not depend on it")

    # With BOS all sequences begin with one token, so that the initial states are one state.
    bos = measure(folder, "bos", "")
    check(bos["phase/spread"][0] < 1e-3, f"one initial token: {bos['phase/spread'][0]}")
    check(plain["phase/spread"][0] > 0.1, "without BOS they differ")

    # Full and iterative eigenpairs agree where the iteration was accepted; else there is none.
    full = measure(folder, "full", "eigenpairs: full\n")
    iterative = measure(folder, "iterative", "eigenpairs: iterative\n")
    auto = measure(folder, "auto", "eigenpairs: auto\n")
    for kind in ("paper", "sum", "scaled"):
        name = f"decay/{kind}/"
        methods = iterative[name + "method"][:, 0]
        check(set(methods) <= {-1, 1} and 1 in methods, f"{kind}: iterative only: {methods}")
        check(set(full[name + "method"][:, 0]) == {2}, f"{kind}: full only")
        for layer in range(6):
            want, got = full[name + "eigenvalue"][layer, 0], iterative[name + "eigenvalue"][layer, 0]
            if methods[layer] == 1:
                # a pair within 26 degrees of e is simple and well apart here: 1e-8 of its size is
                # the residual bound 5e-10 times a condition of 20
                check(np.abs(want - got).max() <= 1e-8 * np.abs(want).max(), f"{kind} {layer}: {want} {got}")
            else:
                check(np.isnan(got).all(), f"{kind} {layer}: nothing was accepted, nothing is stored")
        at = auto["layer_role/explosion"] + auto["layer_role/decay"] > 0
        check(set(auto[name + "method"][at, 0]) == {2}, f"{kind}: roles are decided in full")

    # One matrix only: the others are missing numbers, and the gap of F is there all the same.
    one = measure(folder, "one", "spectrum: {matrices: [layer], count: 1}\n")
    check(one["linear/sigma"].shape == (6, 1) and np.isnan(one["ffn/sigma"]).all(), "one matrix")
    check(np.allclose(one["layer_role/weight_gap"], plain["layer_role/weight_gap"], rtol=1e-9, atol=0),
          "the gap of F")
    check(np.allclose(one["linear/u"], plain["linear/u"], rtol=0, atol=1e-9), "u does not depend on count")

    every = measure(folder, "every", "spectrum: {values: all}\n")
    check(every["linear/sigma"].shape == (6, 64), "all values")
    check(np.allclose(every["linear/sigma"][:, :8], plain["linear/sigma"], rtol=1e-12, atol=0),
          "the leading ones among them")
    check(np.nanmax(every["linear/residual"]) < 5e-10, "each with its residual")
check.done()
