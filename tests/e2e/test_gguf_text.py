"""A study on a GGUF file and a text, without a tokenizer.json: the file's own tokeniser makes the ids."""
import json
import os
import shutil
import sys

import h5py

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import made_gguf
import made_llama as made
import made_sentencepiece as pieces_of
import program as p
from tokenizers import Tokenizer

check = p.Checks()
STUDY = ("text: heldout.txt\nfigures: none\nmeasure: {sequences: 4, length: 32, bos: true}\n"
         "runs:\n  - {name: base, checkpoints: [{step: 5, path: model}]}\n")


def measure(folder, name):
    result = p.run(["run", folder / "study.yaml", "-o", folder / name, "--progress", "none"])
    check(result.returncode == 0 and result.stderr == "", f"{name}: {result.returncode} {result.stderr}")
    return folder / name / "study.h5"


def fails(folder, name, words):
    result = p.run(["run", folder / "study.yaml", "-o", folder / name, "--progress", "none"])
    check(result.returncode == 3 and all(w in result.stderr for w in words), f"{name}: {result.returncode} {result.stderr}")


def of_bytes(folder, model, tokenizer, own):
    """The same numbers from safetensors with tokenizer.json, and from a file that holds both."""
    model.write(folder / "model", "F32")
    tokenizer.save(str(folder / "model/tokenizer.json"))
    first = measure(folder, "json")
    shutil.rmtree(folder / "model")
    (folder / "model").mkdir()
    made_gguf.write_llama(folder / "model/weights.gguf", model, "F32", own)
    check(p.same(first, measure(folder, "own")), "the file's own tokeniser gives the same ids")
    other = Tokenizer.from_str(tokenizer.to_str())
    other.pre_tokenizer = None
    other.save(str(folder / "model/tokenizer.json"))
    check(p.same(first, measure(folder, "both")), "its own goes before a tokenizer.json beside it")

    made_gguf.write_llama(folder / "model/weights.gguf", model, "F32")
    check(norms(first) != norms(measure(folder, "beside")), "without its own the one beside it is taken")
    made_gguf.write_llama(folder / "model/weights.gguf", model, "F32", {**own, "pre": "foo"})
    fails(folder, "unknown", ["model/weights.gguf: its pre-tokeniser 'foo' is not known", "'tokenizer'"])
    (folder / "study.yaml").write_text(STUDY + "tokenizer: good.gguf\n")
    made_gguf.write_tokenizer(folder / "good.gguf", **own)
    measure(folder, "named")
    (folder / "study.yaml").write_text(STUDY + "tokenizer: model/weights.gguf\n")
    fails(folder, "shared", ["study.yaml: 'tokenizer': ", "its pre-tokeniser 'foo' is not known"])
    (folder / "study.yaml").write_text(STUDY)
    shutil.rmtree(folder / "model")


def of_pieces(folder, model, text):
    """The same numbers from the ids that SentencePiece itself gives."""
    size = model.config["vocab_size"]
    pieces = pieces_of.train(text, size, byte_fallback=True)
    check(len(pieces) <= size, "the vocabulary fits")
    (folder / "model").mkdir()
    made_gguf.write_llama(folder / "model/weights.gguf", model, "F32", pieces_of.metadata(pieces, 0, True))
    own = measure(folder, "pieces")
    ids = pieces_of.processor(pieces, 0, True).encode((folder / "heldout.txt").read_text())
    rows = [" ".join(map(str, ids[i:i + 31])) for i in range(0, 4 * 31, 31)]
    (folder / "ids.txt").write_text("\n".join(rows) + "\n")
    (folder / "study.yaml").write_text(STUDY.replace("heldout.txt", "{ids: ids.txt}"))
    check(norms(own) == norms(measure(folder, "ids")), "the ids are SentencePiece's")


def norms(study):
    """What was measured, of files whose study has another text."""
    with h5py.File(study) as file:
        return [file[f"runs/base/norm/{name}"][:].tolist() for name in ("initial_mean", "other_median", "other_max")]


def main():
    tokenizer = Tokenizer.from_file(str(p.DEMO / "tokenizer.json"))
    size = tokenizer.get_vocab_size()
    check(json.loads(tokenizer.to_str())["pre_tokenizer"]["type"] == "ByteLevel", "the demo's words are GPT-2's")
    model = made.random_llama(made.config(2, 48, 64, 4, 2, 12, bos_token_id=1, vocab_size=size), 8)
    with p.Scratch() as folder:
        text = (p.DEMO / "heldout.txt").read_text()
        (folder / "heldout.txt").write_text(text[:4000])
        (folder / "study.yaml").write_text(STUDY)
        of_bytes(folder, model, tokenizer, made_gguf.tokenizer_of(tokenizer, "gpt-2"))
        of_pieces(folder, model, text[:60000])


main()
check.done()
