"""Every variable of study.h5 equals a float64 oracle: random Llamas of odd shapes, and the demo."""
import os
import sys

import h5py
import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import made_llama as made
import program as p
from llama_numpy import Llama
from phenomenon_numpy import unit
from study_numpy import EPS, Comparison

check = p.Checks()

HIGH, ALSO_HIGH = 0, 7  # ids of the initial token and of another one that gets high norms
SHAPES = {
    "plain": (dict(layers=4, d=37, f=53, heads=4, kv=2, d_head=6), "F32"),
    "biased": (dict(layers=5, d=48, f=67, heads=6, kv=1, d_head=10, attention_bias=True, mlp_bias=True,
                    hidden_act="gelu_pytorch_tanh", rope_scaling=made.LLAMA3), "BF16"),
    "untied": (dict(layers=3, d=61, f=41, heads=3, kv=3, d_head=14, mlp_bias=True, hidden_act="relu",
                    tie_word_embeddings=False), "F16"),
    "linear": (dict(layers=4, d=72, f=109, heads=8, kv=4, d_head=12, attention_bias=True,
                    hidden_act="gelu", rope_parameters={"rope_type": "linear", "factor": 3.0,
                                                        "rope_theta": 500.0}), "F32"),
    "squared": (dict(layers=3, d=40, f=31, heads=5, kv=5, d_head=8, hidden_act="relu2",
                     rope_theta=100000.0), "BF16"),
    # too wide for LAPACK to be chosen by itself
    "wide": (dict(layers=3, d=131, f=160, heads=2, kv=1, d_head=22), "F32"),
}
# What is asked for, and the ranks to try it on.
STUDIES = {
    "lapack": (dict(), "values: all, count: 5", (1,)),
    "slepc": (dict(scaled=True, biases=True), "values: leading, count: 5", (1,)),
    "scalapack": (dict(biases=True), "values: all", (1, 3)),
}


def make(name, folder):
    """A random model with a phase: neurons of layer 2 and of the last one raise and lower it."""
    shape, kind = SHAPES[name]
    seed = 1 + list(SHAPES).index(name)
    model = made.random_llama(made.config(**shape), seed, branch=0.6)
    marker, e = unit(np.random.default_rng(100 + seed).standard_normal((2, model.d)))
    made.mark(model, HIGH, marker, 2.0)
    made.mark(model, ALSO_HIGH, marker, 3.0)
    made.plant(model, 1, HIGH, marker, 90 * e)
    made.plant(model, model.layers - 1, HIGH, e, lambda at: -0.8 * (at @ e) * e)
    model.write(folder, kind)


def sequences_for(folder):
    """Sequences of several lengths that begin with the high token; the other one stands in some."""
    random = np.random.default_rng(5)
    out = [[HIGH, *random.integers(8, 61, n)] for n in (1, 5, 17, 17, 30, 23)]
    for s in out[2:4]:
        s[9] = ALSO_HIGH
    (folder / "ids.txt").write_text("".join(" ".join(map(str, s)) + "\n" for s in out))
    return out


def study_text(solver, linear, spectrum, ranks):
    runs = "".join(f"  - {{name: {name}, checkpoints: [{{step: 0, path: '{name}'}}]}}\n" for name in SHAPES)
    words = (f"input: {'scaled' if linear.get('scaled') else 'paper'}, "
             f"biases: {'true' if linear.get('biases') else 'false'}")
    return (f"text: {{ids: ids.txt}}\nlinear: {{{words}}}\nfigures: none\nsubspace: true\n"
            f"spectrum: {{solver: {solver}, {spectrum}}}\n"
            + (f"teams: {{size: {ranks}}}\n" if ranks > 1 else "") + f"runs:\n{runs}")


def random_models_equal_the_oracle():
    with p.Scratch() as folder:
        for name in SHAPES:
            make(name, folder / name)
        models = {name: Llama.read(folder / name) for name in SHAPES}
        sequences = sequences_for(folder)
        for solver, (linear, spectrum, all_ranks) in STUDIES.items():
            for ranks in all_ranks:
                study, out = folder / f"{solver}{ranks}.yaml", folder / f"{solver}{ranks}"
                study.write_text(study_text(solver, linear, spectrum, ranks))
                result = p.run(["run", study, "-o", out, "--progress", "none"], ranks)
                check(result.returncode == 0, f"{solver} on {ranks}: {result.stderr}")
                check(p.run(["check", out / "study.h5"]).returncode == 0, f"{solver}: a sound file")
                with h5py.File(out / "study.h5") as file:
                    for name, model in models.items():
                        it = Comparison(check, f"{solver} on {ranks}, {name}", file["runs"][name],
                                        model, sequences, solver=solver, **linear)
                        check(len(it.phases) > 0, f"{name} has a phase")
                        check(it.margin > 5 * EPS, f"{name}: nothing is decided by rounding")
                        it.all()


def the_demo_equals_the_oracle():
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return
    text = (p.DEMO / "heldout.txt").read_text(encoding="utf-8")
    ids = Tokenizer.from_file(str(p.DEMO / "tokenizer.json")).encode(text, add_special_tokens=False).ids
    sequences = [ids[s * 128:(s + 1) * 128] for s in range(128)]
    steps = {f"step{s}": p.DEMO / "base" / f"step_{s:06d}" for s in (2500, 13000)}
    with p.Scratch() as folder:
        runs = "".join(f"  - {{name: {name}, checkpoints: [{{step: 0, path: '{path}'}}]}}\n"
                       for name, path in steps.items())
        (folder / "study.yaml").write_text(f"text: '{p.DEMO}/heldout.txt'\nfigures: none\n"
                                           f"subspace: true\ntokenizer: '{p.DEMO}/tokenizer.json'\nruns:\n{runs}")
        result = p.run(["run", folder / "study.yaml", "-o", folder / "out", "--progress", "none"], 2)
        check(result.returncode == 0, f"the demo: {result.stderr}")
        with h5py.File(folder / "out/study.h5") as file:
            for name, path in steps.items():
                it = Comparison(check, f"demo {name}", file["runs"][name], Llama.read(path), sequences)
                check(len(it.phases) > 0, f"{name} has a phase")
                it.all()


random_models_equal_the_oracle()
the_demo_equals_the_oracle()
check.done()
