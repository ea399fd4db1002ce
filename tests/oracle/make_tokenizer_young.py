"""Prints io/tokenizer/young_characters.c: what the `tokenizers` package knows beyond Unicode 14.

Needs the package, and a Python whose own tables are Unicode 14 (3.11 and 3.12 have 14 and 15; the
script says so if they are not). Usage: make_tokenizer_young.py > io/tokenizer/young_characters.c
"""
import sys
import unicodedata

import tokenizers
from tokenizers import Regex, pre_tokenizers

CATEGORIES = "Ll Lm Lo Lt Lu Mc Me Mn Nd Nl No Pc Pd Pe Pf Pi Po Ps Sc Sk Sm So Zl Zp Zs".split()
SCRIPTS = "Arabic Cyrillic Devanagari Greek Han Hangul Hebrew Hiragana Katakana Latin Thai".split()
ALL = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)


def matched(name):
    """Code points that \\p{name} matches in the package."""
    split = pre_tokenizers.Split(Regex(rf"\p{{{name}}}"), "removed", invert=True)
    return sorted(ord(c) for piece, _ in split.pre_tokenize_str(ALL) for c in piece)


def ranges(codes):
    out = []
    for code in codes:
        if out and out[-1][1] == code - 1:
            out[-1][1] = code
        else:
            out.append([code, code])
    return out


def main():
    if unicodedata.unidata_version != "14.0.0":
        sys.exit(f"this Python knows Unicode {unicodedata.unidata_version}, need 14.0.0")
    rows = []
    for name in CATEGORIES + SCRIPTS:
        young = [c for c in matched(name) if unicodedata.category(chr(c)) == "Cn"]
        rows += [f'{{0x{a:X}, 0x{b:X}, "{name}"}},' for a, b in ranges(young)]
    print(f"/* Written by tests/oracle/make_tokenizer_young.py with tokenizers {tokenizers.__version__}. */")
    print('#include "io/tokenizer/young_characters.h"\n')
    print("/* clang-format off */")
    print("const sd_young sd_young_table[SD_YOUNG_COUNT] = {")
    for i in range(0, len(rows), 3):
        print("    " + " ".join(rows[i:i + 3]))
    print("};")
    print("/* clang-format on */")
    print(len(rows), file=sys.stderr)


main()
