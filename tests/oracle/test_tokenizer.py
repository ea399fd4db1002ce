"""Ids equal those of the `tokenizers` package, on 1 MB of mixed text and on every code point.

Tokenisers of the kinds that models use are trained here, on a part of the text: seconds each.
"""
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import make_tokenizer_text  # noqa: E402

try:
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
except ImportError:
    print("skipped: this Python lacks the package 'tokenizers'")
    sys.exit(77)

SOURCE = os.environ["SD_SOURCE"]
PRINT_IDS = os.path.join(os.environ["SD_BUILD"], "tests", "print_ids")
DEMO = os.path.join(SOURCE, "configs", "demo", "tinyrun")

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
          r"\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = ["[\r\n]", r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-Ֆ]+",
            r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", "[一-龥ࠀ-一가-퟿]+"]
BLOOM = " ?[^(\\s|[.,!?…。，、।۔،])]+"

ByteLevel, Split, Digits = pre_tokenizers.ByteLevel, pre_tokenizers.Split, pre_tokenizers.Digits


def sequence(*steps):
    return pre_tokenizers.Sequence(list(steps))


def words(pattern, behaviour="isolated", invert=False):
    return sequence(Split(Regex(pattern), behaviour, invert), ByteLevel(add_prefix_space=False, use_regex=False))


def trained(pre_tokenizer, text, ignore_merges=False, vocabulary=1500):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=ByteLevel.alphabet(), show_progress=False,
                                  special_tokens=["<|endoftext|>", "<|eot_id|>"])
    tokenizer.train_from_iterator([text[i:i + 5000] for i in range(0, len(text), 5000)], trainer)
    return tokenizer


def with_added_tokens(tokenizer):
    tokenizer.add_special_tokens([AddedToken("[MASK]", lstrip=True, special=True),
                                  AddedToken("<both>", lstrip=True, rstrip=True, special=True)])
    tokenizer.add_tokens([AddedToken("<lef>", lstrip=True, normalized=False),
                          AddedToken("<rig>", rstrip=True, normalized=False),
                          AddedToken("word", single_word=True), AddedToken("ab"), AddedToken("abcd"),
                          AddedToken("abc", normalized=False), AddedToken("<norm>", normalized=True),
                          AddedToken(" <sp", normalized=False), AddedToken("中文"), AddedToken("e\u0301", single_word=True)])
    return tokenizer


def kinds(text):
    """(name, tokenizer) one after the other."""
    sample = text[:40000] + text[200000:260000]
    yield "demo", Tokenizer.from_file(os.path.join(DEMO, "tokenizer.json"))
    yield "gpt2", trained(ByteLevel(add_prefix_space=False), sample)
    yield "gpt2 with prefix space", with_added_tokens(trained(ByteLevel(add_prefix_space=True), sample))
    yield "llama3", trained(words(LLAMA3), sample, ignore_merges=True)
    yield "llama3 with added tokens", with_added_tokens(trained(words(LLAMA3), sample, ignore_merges=True))
    qwen2 = trained(words(QWEN2), sample)
    qwen2.normalizer = normalizers.Sequence([])
    yield "qwen2", qwen2
    yield "gpt4o", trained(words(GPT4O), sample)
    yield "smollm2", trained(sequence(Digits(individual_digits=True), ByteLevel(add_prefix_space=False)), sample)
    yield "digits", trained(sequence(Digits(individual_digits=False), ByteLevel(add_prefix_space=True, use_regex=False)), sample)
    yield "deepseek", trained(sequence(*[Split(Regex(p), "isolated") for p in DEEPSEEK], Digits(individual_digits=True),
                                       ByteLevel(add_prefix_space=False, use_regex=False)), sample)
    yield "bloom", trained(words(BLOOM), sample)
    yield "string", trained(sequence(Split("a", "merged_with_previous"), Split("th", "removed"), ByteLevel(add_prefix_space=False)), sample)
    yield "split behind bytes", trained(sequence(ByteLevel(add_prefix_space=False), Split(Regex("[0-9][0-9][0-9]"), "isolated")), sample)
    yield "bytes twice", trained(sequence(ByteLevel(add_prefix_space=True), ByteLevel(add_prefix_space=True)), sample)
    for behaviour in ("removed", "merged_with_previous", "merged_with_next", "contiguous"):
        for invert in (False, True):
            yield f"{behaviour} {invert}", trained(words(r"[\p{L}\p{M}]+|\d{1,2}|\n*", behaviour, invert), sample)
    yield "patterns", trained(words(r"^a|e$|(?<=t)h|\u0041\x{4e2d}|\R|[^\S\n]+|\p{^L}{,2}|\P{Lu}+?|[[a-z]&\h-]++|."), sample)
    yield "scripts", trained(words(r"[\p{Han}\p{Hiragana}]+|\p{Latin}+|\p{Cyrillic}+"), sample)
    unknown = Tokenizer(models.BPE({"<u>": 0, "a": 1, "b": 2, "ab": 3, "Ġ": 4}, [("a", "b")], unk_token="<u>", fuse_unk=True))
    unknown.pre_tokenizer = ByteLevel(add_prefix_space=False)
    yield "unknown, fused", unknown
    apart = Tokenizer(models.BPE({"<u>": 0, "a": 1, "b": 2, "ab": 3, "Ġ": 4}, [("a", "b")], unk_token="<u>"))
    yield "unknown, apart, no pre-tokeniser", apart
    dropped = Tokenizer(models.BPE({"e": 1, "t": 2, "et": 3, "ete": 5, "te": 4}, [("e", "t"), ("t", "e"), ("et", "e"), ("e", "te")]))
    yield "unknown, dropped", dropped


def ours(folder, tokenizer, text):
    path, text_path = os.path.join(folder, "tokenizer.json"), os.path.join(folder, "text.txt")
    tokenizer.save(path)
    with open(text_path, "wb") as file:
        file.write(text.encode())
    run = subprocess.run([PRINT_IDS, path, text_path], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        return run.stderr.strip() or f"exit status {run.returncode}"
    return [int(line) for line in run.stdout.split()]


def differs(name, tokenizer, text, folder):
    """Prints where the first difference is."""
    got = ours(folder, tokenizer, text)
    if isinstance(got, str):
        print(f"{name}: {got}")
        return 1
    encoding = tokenizer.encode(text, add_special_tokens=False)
    if got == encoding.ids:
        return 0
    want = encoding.ids
    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
    start = encoding.offsets[at][0] if at < len(want) else len(text)
    print(f"{name}: {len(got)} ids, want {len(want)}; from id {at} on {got[at:at + 6]}, want {want[at:at + 6]}, "
          f"near {text[max(0, start - 20):start + 20]!a}")
    return 1


def single_word(after):
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    tokenizer.add_tokens([AddedToken("ab", single_word=True, lstrip=True, rstrip=True)])
    return tokenizer, make_tokenizer_text.every_character("ab" if after else "a", "a" if after else "ab")


def main():
    with open(os.path.join(DEMO, "heldout.txt"), encoding="utf-8", newline="") as file:
        text = make_tokenizer_text.make(file.read())
    size = len(text.encode())
    if size < 1_000_000:
        print(f"the text has only {size} bytes")
        sys.exit(1)
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, tokenizer in kinds(text):
            failures += differs(name, tokenizer, text, folder)
            failures += differs(f"{name}, empty text", tokenizer, "", folder)
            if name in ("gpt2", "llama3", "gpt4o", "scripts", "digits"):
                for before, after in (("a", "1"), ("A", "a"), ("1", "!"), (" ", "1")):
                    every = make_tokenizer_text.every_character(before, after)
                    failures += differs(f"{name}, every character between '{before}' and '{after}'", tokenizer, every, folder)
        for after in (False, True):
            tokenizer, every = single_word(after)
            failures += differs(f"single word, every character, {after}", tokenizer, every, folder)
    sys.exit(1 if failures else 0)


main()
