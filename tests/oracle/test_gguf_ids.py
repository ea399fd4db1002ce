"""Ids by the tokeniser inside a GGUF file equal those of the packages tokenizers and sentencepiece.

Small vocabularies are trained here and written as converters do. What each pre-tokeniser's name means is said
again here, in the words of tokenizer.json, from the published files.
"""
import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.environ["SD_SOURCE"] + "/tests/support"]
import made_gguf
import made_sentencepiece as pieces_of
import make_tokenizer_text
import program as p
from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, trainers

PRINT_IDS = os.path.join(os.environ["SD_BUILD"], "tests", "print_ids")
check = p.Checks()

# ---- pre-tokenisers by name ----

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LLAMA3 = (CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
          r"\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN35 = QWEN2.replace(r"\p{L}+", r"[\p{L}\p{M}]+").replace(r"[^\s\p{L}\p{N}]", r"[^\s\p{L}\p{M}\p{N}]")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
          r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"
          r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
GPT4O = TEKKEN.replace(r"\p{M}]+|[^", r"\p{M}]+" + CONTRACTIONS + r"?|[^").replace(
    r"\p{M}]*|\p{N}|", r"\p{M}]*" + CONTRACTIONS + r"?|\p{N}{1,3}|")
# Letters with case, without most of Georgian.
CASED = ("A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377"
         "\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556"
         "\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a"
         "\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4"
         "\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc"
         "\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f"
         "\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b"
         "\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a"
         "\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2"
         "\U000118a0-\U000118df\U0001e900-\U0001e943")
HAN = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
DEEPSEEK3 = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"""
             r"\s*[\r\n]+|\s+(?!\S)|\s+")
BLOOM = " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+"

Digits, Punctuation = pre_tokenizers.Digits, pre_tokenizers.Punctuation
WORDS = pre_tokenizers.ByteLevel(add_prefix_space=False)
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def sequence(*steps):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(s), "isolated") if isinstance(s, str) else s for s in steps])


GPT2 = sequence(WORDS)
SINGLE_DIGITS = sequence(Digits(individual_digits=True), WORDS)
NAMES = {
    "gpt-2": GPT2, "phi-2": GPT2, "mpt": GPT2, "olmo": GPT2,
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r", "codeshell"), SINGLE_DIGITS),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "dbrx", "smaug-bpe", "chatglm-bpe", "glm4"), sequence(LLAMA3, BYTES)),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "stablelm2"), sequence(QWEN2, BYTES)),
    "qwen35": sequence(QWEN35, BYTES), "gpt-4o": sequence(GPT4O, BYTES), "llama4": sequence(GPT4O, BYTES),
    "tekken": sequence(TEKKEN, BYTES), "bloom": sequence(BLOOM, BYTES),
    "falcon": sequence(Punctuation("contiguous"), WORDS, Digits(individual_digits=False), "[0-9][0-9][0-9]"),
    "deepseek-llm": sequence("[\r\n]", f"\\s?[{CASED}]+", "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+",
                             r"\s+$", HAN, Digits(individual_digits=True), BYTES),
    "deepseek-coder": sequence("[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", HAN, Digits(individual_digits=True), BYTES),
    "deepseek-v3": sequence(r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", DEEPSEEK3, BYTES),
    "default": sequence(r"[\p{P}\$\+<=>\^~\|]+", WORDS, Digits(individual_digits=False), "[0-9][0-9][0-9]"),
}
IGNORE_MERGES = {"llama-bpe", "llama3", "llama-v3", "glm4", "tekken"}


def trained(text):
    """A tokeniser whose vocabulary also has words that no merge makes, and tokens that stand in the text."""
    first = Tokenizer(models.BPE())
    first.pre_tokenizer = sequence(LLAMA3, BYTES)
    trainer = trainers.BpeTrainer(vocab_size=1500, initial_alphabet=WORDS.alphabet(), show_progress=False)
    first.train_from_iterator([text[i:i + 5000] for i in range(0, len(text), 5000)], trainer)
    vocabulary, merges = first.get_vocab(with_added_tokens=False), json.loads(first.to_str())["model"]["merges"]
    for word in ("\u0120tokens", "\u0120camelCase", "return", "123"):
        vocabulary.setdefault(word, len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocabulary, [tuple(m) for m in merges]))
    tokenizer.add_special_tokens(["<|endoftext|>", "<|eot_id|>"])
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in ("abcd", "ab", "\u4e2d\u6587", "  ", "word")])
    return tokenizer


# ---- comparing ----

def ours(folder, text):
    (folder / "text.txt").write_bytes(text.encode())
    run = subprocess.run([PRINT_IDS, folder / "t.gguf", folder / "text.txt"], capture_output=True, text=True, check=False)
    return [int(line) for line in run.stdout.split()] if run.returncode == 0 else run.stderr.strip()


def compare(name, got, want):
    """Prints where the first difference is."""
    if isinstance(got, str):
        return check(False, f"{name}: {got}")
    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
    return check(got == want, f"{name}: {len(got)} ids, want {len(want)}; from id {at} on {got[at:at + 6]}, want {want[at:at + 6]}")


def documented():
    """The names that docs/config.md lists."""
    page = (p.SOURCE / "docs/config.md").read_text()
    return re.findall(r"`([^`]+)`", page.split("says how text becomes words:")[1].split(". `llama` is")[0])


def names(folder, text):
    check(sorted(documented()) == sorted(NAMES), "docs/config.md lists the names")
    tokenizer = trained(text[:60000])
    for name, steps in NAMES.items():
        tokenizer.pre_tokenizer = steps
        tokenizer.model.ignore_merges = name in IGNORE_MERGES
        made_gguf.write_tokenizer(folder / "t.gguf", **made_gguf.tokenizer_of(tokenizer, name))
        compare(name, ours(folder, text), tokenizer.encode(text, add_special_tokens=False).ids)


def sentences(folder, text):
    """Models with and without bytes, with equal scores, with tokens across spaces, without the space itself."""
    bare = pieces_of.train(text[:60000], 1200)
    full = pieces_of.train(text[:60000], 1500, byte_fallback=True)
    own = [(t, 0.0, pieces_of.USER_DEFINED) for t in ("<|endoftext|>", "abcd", "ab", "\u2581\u2581\u2581", "\u2581\u2581", "\n", "\n\n", "\u2581[MASK]")]
    ties = [(t, s if k != pieces_of.NORMAL else s // 50, k) for t, s, k in full]
    across = full + [(t, -0.5, pieces_of.NORMAL) for t in ("e\u2581", "e\u2581t", "\u00e9\u2581", "s\u2581a", "\u2581\u2581\u2581\u2581")
                     if t not in [row[0] for row in full]]
    without = [row for row in bare if row[0] != "\u2581"]
    kept = [row for row in full if row[0] not in [t for t, _, _ in own]]
    for name, model in {"bare": bare, "bytes": full, "own": kept + own, "ties": ties, "across": across, "without": without}.items():
        for prefix in (False, True):
            for drops in (False, True):
                options = {"unknown": 0, "prefix": prefix, "drops_extra": drops}
                made_gguf.write_tokenizer(folder / "t.gguf", **pieces_of.metadata(model, **options))
                reference = pieces_of.processor(model, **options)
                for part in (text, " ", "  a  b ", "\u2581", "\u2581 \u2581", "\n", "x"):
                    compare(f"{name} {options} {part[:8]!a}", ours(folder, part), reference.encode(part))


def main():
    with open(os.path.join(p.DEMO, "heldout.txt"), encoding="utf-8", newline="") as file:
        text = make_tokenizer_text.make(file.read())
    text = text[:60000] + text[200000:320000] + text[-60000:]
    with p.Scratch() as folder:
        names(folder, text)
        sentences(folder, text)


main()
check.done()
