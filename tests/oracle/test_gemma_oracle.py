"""Every variable of study.h5 equals a float64 oracle: random models with norms behind their branches."""
import os
import sys

import h5py
import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import made_llama as made
import program as p
from gemma_numpy import NORMS, Gemma
from phenomenon_numpy import unit
from study_numpy import EPS, Comparison

check = p.Checks()

HIGH, CHANNEL = 0, 3  # the id of the initial token, and where its norm goes
SHAPES = {
    "gemma2": dict(layers=4, d=37, f=53, heads=4, kv=2, d_head=6, model_type="gemma2",
                   architectures=["Gemma2ForCausalLM"], attn_logit_softcapping=2.0,
                   layer_types=["sliding_attention", "full_attention"] * 2),
    "gemma3": dict(layers=5, d=44, f=39, heads=3, kv=1, d_head=10, model_type="gemma3_text",
                   architectures=["Gemma3ForCausalLM"], rope_local_base_freq=30.0,
                   layer_types=["sliding_attention"] * 4 + ["full_attention"]),
}
STUDIES = {"paper": (dict(), 1), "scaled": (dict(scaled=True), 3)}


def make(name):
    """A random model of which one layer raises the token HIGH along a channel, and the last lowers it.

    The post-norms bound what a branch adds: those two layers' gammas are large in that channel, which
    no other neuron of theirs reaches.
    """
    shape = SHAPES[name]
    c = made.config(**shape, hidden_activation="gelu_pytorch_tanh", query_pre_attn_scalar=7,
                    sliding_window=9)
    random = np.random.default_rng(1 + list(SHAPES).index(name))
    llama = made.random_llama(c, 1 + list(SHAPES).index(name))
    tensors = {n: w for n, w in llama.tensors.items() if "layernorm" not in n}
    for layer in range(c["num_hidden_layers"]):
        for norm in NORMS.values():
            if "_norm" not in norm or c["model_type"] == "gemma3_text":
                size = c["head_dim"] if "_norm" in norm else c["hidden_size"]
                tensors[f"model.layers.{layer}.{norm}.weight"] = 0.2 * random.standard_normal(size)
    model = Gemma(c, tensors)
    marker, e = unit(random.standard_normal(model.d)), np.eye(model.d)[CHANNEL]
    marker = unit(marker - marker[CHANNEL] * e)
    made.mark(model, HIGH, marker, 3.0)
    for layer, see, sign in ((1, marker, 1), (model.layers - 1, e, -1)):
        down = model.weight(layer, "down")
        down[CHANNEL] = 0
        made.plant(model, layer, HIGH, see, sign * 15 * e)
        tensors[f"model.layers.{layer}.{NORMS['post2']}.weight"][CHANNEL] = 15
    return model


def sequences():
    random = np.random.default_rng(5)
    return [[HIGH, *random.integers(8, 61, n)] for n in (1, 5, 17, 17, 30, 23)]


def study_text(linear):
    runs = "".join(f"  - {{name: {name}, checkpoints: [{{step: 0, path: '{name}'}}]}}\n" for name in SHAPES)
    return (f"text: {{ids: ids.txt}}\nlinear: {{input: {'scaled' if linear else 'paper'}}}\nfigures: none\n"
            f"subspace: true\nspectrum: {{values: all}}\nruns:\n{runs}")


with p.Scratch() as folder:
    for name in SHAPES:
        make(name).write(folder / name)
    (folder / "ids.txt").write_text("".join(" ".join(map(str, s)) + "\n" for s in sequences()))
    models = {name: Gemma.read(folder / name) for name in SHAPES}
    for study, (linear, ranks) in STUDIES.items():
        (folder / f"{study}.yaml").write_text(study_text(linear))
        result = p.run(["run", folder / f"{study}.yaml", "-o", folder / study, "--progress", "none"], ranks)
        check(result.returncode == 0, f"{study}: {result.stderr}")
        with h5py.File(folder / study / "study.h5") as file:
            for name, model in models.items():
                it = Comparison(check, f"{study}, {name}", file["runs"][name], model, sequences(),
                                solver="lapack", **linear)
                check(len(it.phases) > 0, f"{name} has a phase")
                check(any(phase.decay for phase in it.phases), f"{name} has a decay")
                check(it.margin > 5 * EPS, f"{name}: nothing is decided by rounding")
                it.all()
check.done()
