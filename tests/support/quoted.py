"""Numbers that the pages quote: found on the page, and held to what was measured."""
import program as p


class Pages:
    """`check` as of program.Checks; `names` of pages, from the root."""

    def __init__(self, check, *names):
        self.check = check
        self.pages = {name: " ".join((p.SOURCE / name).read_text(encoding="utf-8").split())
                      for name in names}

    def __call__(self, page, sentence, values, slack=0.0, relative=0.0):
        """The sentence stands on the page, and its numbers, at {}, are the values."""
        parts = sentence.split("{}")
        text, numbers = self.pages[page], []
        at = text.find(parts[0])
        while at >= 0:  # the first place at which everything fits
            numbers, here = [], at + len(parts[0])
            for part in parts[1:]:
                end = here
                while end < len(text) and (text[end].isdigit() or text[end] in "−." and
                                           text[end:end + 2] != ". "):
                    end += 1
                numbers.append(text[here:end].rstrip(".") if part.startswith(".") else text[here:end])
                here += len(numbers[-1])
                if not numbers[-1] or not text.startswith(part, here):
                    break
                here += len(part)
            else:
                break
            at = text.find(parts[0], at + 1)
        self.check(at >= 0, f"{page} says '{sentence}'")
        if at < 0:
            return
        for word, value in zip(numbers, values, strict=True):
            digits = len(word.partition(".")[2])
            allowed = 0.5 * 10.0 ** -digits + slack + relative * abs(value) if digits else slack
            self.check(abs(float(word.replace("−", "-")) - value) <= allowed,
                       f"{page}: '{sentence}' says {word}, the run {value}")
