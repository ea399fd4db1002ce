"""Ids by the tokenisers inside two published GGUF files: against their packages, and against published ids.

SmolLM2's pre-tokeniser is stated here from its tokenizer.json. Gemma's file calls the unknown token a control token and
writes the spaces of user-defined tokens plainly; SentencePiece's own model does neither.
"""
import os
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[:0] = [os.environ["SD_SOURCE"] + "/tests/" + part for part in ("support", "oracle")]
import gguf
import made_sentencepiece as pieces_of
import make_tokenizer_text
import program as p
import tokenizers as reference
from models import GEMMA3, SMOLLM2, path_or_skip
from tokenizers import pre_tokenizers

PRINT_IDS = Path(os.environ["SD_BUILD"]) / "tests/print_ids"
check = p.Checks()


class Metadata:
    """The lists of a file's tokeniser, by the package gguf."""

    def __init__(self, path):
        self.fields = gguf.GGUFReader(path).fields

    def texts(self, key):
        field = self.fields[f"tokenizer.ggml.{key}"]
        return [bytes(field.parts[i]).decode() for i in field.data]

    def numbers(self, key):
        return self.fields[f"tokenizer.ggml.{key}"].contents()


def smollm2(file):
    tokens, types = file.texts("tokens"), file.numbers("token_type")
    merges = [tuple(merge.split(" ")) for merge in file.texts("merges")]
    tokenizer = reference.Tokenizer(reference.models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                       pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = reference.decoders.ByteLevel()
    tokenizer.add_special_tokens([reference.AddedToken(token, special=True, normalized=False)
                                  for token, kind in zip(tokens, types) if kind == pieces_of.CONTROL])
    return tokenizer


def gemma(file):
    unknown, rows = file.numbers("unknown_token_id"), zip(file.texts("tokens"), file.numbers("scores"), file.numbers("token_type"))
    pieces = [(token.replace(" ", "\u2581") if kind == pieces_of.USER_DEFINED else token, score,
               pieces_of.UNKNOWN if i == unknown else kind) for i, (token, score, kind) in enumerate(rows)]
    return pieces_of.processor(pieces, unknown, prefix=False)


def ours(folder, path, text):
    (folder / "text.txt").write_bytes(text.encode())
    run = subprocess.run([PRINT_IDS, path, folder / "text.txt"], capture_output=True, text=True, check=False)
    check(run.returncode == 0, run.stderr)
    return [int(line) for line in run.stdout.split()]


def published(folder, path, tokenizer):
    """The ids behind tests/data/smollm2, from their text, with a control token between the sequences.

    Six sequences were cut between two line breaks and the word behind them, which alone kept these apart.
    """
    end, line, lines = (tokenizer.token_to_id(token) for token in ("<|im_end|>", "\u010a", "\u010a\u010a"))
    rows = [list(map(int, row.split())) for row in (p.SOURCE / "tests/data/smollm2/sequences.ids").read_text().splitlines()]
    text = "<|im_end|>".join(tokenizer.decode(row, skip_special_tokens=False) for row in rows)
    want, cut = [], 0
    for row in rows:
        if row[-2:] == [line, line]:
            row, cut = row[:-2] + [lines], cut + 1
        want += [*row, end]
    check(ours(folder, path, text) == want[:-1] and cut == 6 and len(rows) == 216, f"the published ids; {cut} of {len(rows)} were cut")


def main():
    with open(p.DEMO / "heldout.txt", encoding="utf-8", newline="") as file:
        text = make_tokenizer_text.make(file.read())
    paths = [path_or_skip(name) for name in (SMOLLM2, GEMMA3)]
    with p.Scratch() as folder:
        tokenizer = smollm2(Metadata(paths[0]))
        got = ours(folder, paths[0], text)
        check(len(got) > 600000 and got == tokenizer.encode(text, add_special_tokens=False).ids, "SmolLM2's ids")
        published(folder, paths[0], tokenizer)
        got = ours(folder, paths[1], text)
        check(len(got) > 600000 and got == gemma(Metadata(paths[1])).encode(text), "Gemma's ids")


main()
check.done()
