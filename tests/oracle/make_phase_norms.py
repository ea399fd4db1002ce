"""Writes the norms behind tests/oracle/test_phases_smollm2.c.

    make_phase_norms.py MODEL IDS OUT.safetensors

MODEL: a Llama folder that transformers reads; IDS: one sequence of token ids per line. Norms are of
the raw outputs of the blocks (state 0: the embedding), taken by hooks in float32. The rule of
solvers/phases.h uses tokens that are not high only through the median of each state, so the file
holds the norms of the high tokens alone (here: those above 4 times the median in 10 % of the layers
in a row), the medians over all tokens, and how many tokens there are in all:
    norm f32 [N + 1, high]   median f64 [N + 1]   initial int64 [high]   n_tokens int64 [1]
Needs torch, transformers, safetensors and numpy.
"""
import sys

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import LlamaForCausalLM


def all_norms(model, lines):
    """States x tokens, and which tokens are initial."""
    seen = []

    def keep(_module, _inputs, output):
        states = output[0] if isinstance(output, tuple) else output
        seen.append(states.reshape(-1, states.shape[-1]).double().norm(dim=-1).numpy())

    for block in [model.model.embed_tokens, *model.model.layers]:
        block.register_forward_hook(keep)
    norms, initial = [], []
    with torch.no_grad():
        for line in lines:
            seen.clear()
            ids = [int(word) for word in line.split()]
            model.model(torch.tensor([ids]))
            norms.append(np.stack(seen))
            initial += [1] + [0] * (len(ids) - 1)
    return np.concatenate(norms, 1), np.array(initial)


def longest_run(flags):
    """Per column, the most true values in a row."""
    best = np.zeros(flags.shape[1], int)
    now = np.zeros_like(best)
    for row in flags:
        now = np.where(row, now + 1, 0)
        best = np.maximum(best, now)
    return best


def main(model_path, ids_path, out):
    torch.set_num_threads(1)
    model = LlamaForCausalLM.from_pretrained(model_path, dtype=torch.float32).eval()
    with open(ids_path, encoding="ascii") as file:
        norms, initial = all_norms(model, file)
    median = np.median(norms, axis=1)
    high = longest_run(norms > 4 * median[:, None]) >= -(-(len(norms) - 1) // 10)
    save_file({"norm": np.ascontiguousarray(norms[:, high], np.float32), "median": median,
               "initial": initial[high].astype(np.int64),
               "n_tokens": np.array([norms.shape[1]], np.int64)}, out,
              metadata={"torch": torch.__version__.split("+")[0]})


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
