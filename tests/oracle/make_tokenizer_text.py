"""Makes the text of test_tokenizer.py: about 1 MB of everything that tokenisers stumble over.

The same bytes on every machine: the generator of random numbers is written out. Run alone it writes
the text to standard output. Usage: make_tokenizer_text.py HELDOUT.txt > text
"""
import sys

SPACES = [" ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\r", "\v", "\f", " \n", "\n ", "\t\t ", " " * 17, "\n" * 9,
          "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\xa0", "\u1680", "\u180e", "\u2000", "\u2003", "\u2007", "\u2009", "\u200a", "\u2028", "\u2029",
          "\u202f", "\u205f", "\u3000", "\u200b", "\u2060", "\ufeff", "\u00ad", " \u00a0 ", "\u3000\n", "\u2029 "]
CONTROLS = [chr(c) for c in list(range(1, 32)) + list(range(127, 160))] + ["\x00", "\ufffd", "\uffff", "\U0010ffff",
                                                                          "\ue000", "\ufdd0"]
CONTRACTIONS = ["it's", "IT'S", "don't", "DON'T", "we're", "We'RE", "i've", "I'VE", "i'm", "I'M", "she'll",
                "SHE'LL", "he'd", "HE'D", "a'\u017f", "'\u017f", "'\u017fay", "x''s", "'tis", "'re'", "\u2019s", "'\u212a",
                "'Ll", "'lL", "o'clock", "rock'n'roll", "''", "'''", "'s's's", "'\u0131", "'\u0130"]
WORDS = ["the", "The", "THE", "camelCase", "snake_case", "XMLHttpRequest", "naïve", "Zoë", "résumé",
         "e\u0301te\u0301", "n\u0303", "Å", "A\u030a", "\u1e9e", "straße", "ﬁne", "ﬂow", "ﬆop",
         "Ǆ", "ǅ", "ǆ", "ʼn", "ªº", "²³¹", "½", "Ⅷ", "ⅷ", "①", "㊿", "٣٤٥", "१२३", "๑๒", "𝟘𝟙", "𝔘𝔫𝔦", "ⓐⓑ", "🄰",
         "привет", "Ёлка", "γειά", "σς", "ΐ", "שָׁלוֹם", "مَرْحَبًا", "العربية", "هـــذا", "हिन्दी", "क्षत्रिय", "தமிழ்", "বাংলা",
         "ไทยภาษา", "ລາວ", "မြန်မာ", "ខ្មែរ", "བོད་ཡིག", "አማርኛ", "ქართული", "հայերեն", "ᏣᎳᎩ", "ꦗꦮ", "中文字符", "漢字かな交じり文",
         "カタカナ", "ﾊﾝｶｸ", "한국어", "\u1112\u1161\u11ab", "々〆〇", "𠀀𠮷", "ㄅㄆㄇ", "Việt", "Vie\u0323\u0302t"]
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪🇫🇷", "1️⃣", "❤️", "❤", "☺︎", "🧑🏿‍🚀", "©®™", "♥️♠♦", "🫠🪿", "⌚",
         "👨\u200d", "\u200d👩", "\ufe0f", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"]
SYMBOLS = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["...", "--", "---", "=>", "!=", "==", "**", "//", "/*", "*/", "::",
           "…", "—", "–", "“", "”", "‘", "’", "«", "»", "¿", "¡", "。", "，", "、", "「", "」", "€", "£", "¥", "°", "±", "×",
           "÷", "∑", "√", "∞", "≠", "→", "⇒", "█", "░", "‰", "§", "¶", "•", "‿", "⁀", "_", "__", "﹏", "\u0301", "\u20dd"]
DIGITS = ["0", "7", "42", "123", "1234", "12345", "1234567890", "3.14", "1,000,000", "0x1F", "1e-9", "2024-01-02", "00",
          "9" * 40, "1 2 3", "12a34", "v1.2.3", "1st", "50%", "192.168.0.1"]
CODE = [
    "def f(x, *args, **kw):\n    return {k: v for k, v in kw.items()}  # cut\n\n",
    "for (int i = 0; i < n; ++i) {\n\ta[i] = b[i] >> 2;\n}\n",
    "#include <stdio.h>\nint main(void)\n{\n    printf(\"%d\\n\", 0x7f);\n    return 0;\n}\n",
    "class A(B):\n\n    @property\n    def x(self):\n        '''doc'''\n        return self._x\n",
    "if (a && b || !c) { x->y = z ? 'a' : '\\0'; } // done\r\n",
    "SELECT * FROM t WHERE a='x' AND b<>3;\n", "<div class=\"a b\">&nbsp;</div>\n", "$ ls -la | grep '^d' > /dev/null 2>&1\n",
    "lambda x: x**2 + 1j\n", "\\begin{equation} \\alpha_{i}^{2} \\end{equation}\n", "{\"a\": [1, 2.5, null], \"b\": \"\\u00e9\"}\n",
]
SPECIAL = ["<|endoftext|>", "<|end", "oftext|>", "<|eot_id|>", "<|eot_id|><|eot_id|>", "[MASK]", " [MASK] ", "\u00a0[MASK]\n",
           "<lef>", "  <lef>  ", "\n\t<rig> \u3000x", "<rig><rig>", "word", "swordfish", " word ", "\u0301word", "word\u0301", "word_",
           "1word", "(word)", "wordword", "word word", "<both>", "  <both>  <both>\n", "ab", "abc", "abcd", "abcde",
           "xabcy", "<norm>", " <norm>", "<rig> <sp", "<rig>   <lef>", " <sp> "]


class Random:
    """A linear congruential generator: no library's algorithm may change the text."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2 ** 64
        return (self.state >> 33) % n

    def pick(self, items):
        return items[self.below(len(items))]


def mixed(random, pieces):
    groups = [SPACES, CONTROLS, CONTRACTIONS, WORDS, WORDS, EMOJI, SYMBOLS, DIGITS, CODE, SPECIAL]
    out = []
    for _ in range(pieces):
        out.append(random.pick(random.pick(groups)))
        kind = random.below(8)
        if kind < 4:
            out.append(" ")
        elif kind == 4:
            out.append(random.pick(SPACES))
    return "".join(out)


def stray(random, count):
    """Characters from everywhere, assigned or not."""
    out = []
    for _ in range(count):
        code = random.below(0x110000 if random.below(3) == 0 else 0x30000)
        if not 0xD800 <= code < 0xE000:
            out.append(chr(code))
        if random.below(6) == 0:
            out.append(random.pick(SPACES))
    return "".join(out)


def make(heldout):
    random = Random(7)
    runs = "".join(random.pick([" ", "\n", "a", "7", "'", "\t", "é", "!", "中", "\r\n"]) * random.below(300) for _ in range(300))
    return heldout + mixed(random, 75000) + stray(random, 60000) + runs + "  trailing \n \n  "


def every_character(before, after):
    """Each code point between two neighbours: shows how a pre-tokeniser classes it."""
    return "".join(before + chr(c) + after for c in range(0x110000) if not 0xD800 <= c < 0xE000)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8", newline="") as file:
        sys.stdout.buffer.write(make(file.read()).encode())
