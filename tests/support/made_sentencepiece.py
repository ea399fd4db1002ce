"""SentencePiece models for tests: trained, written piece by piece, and as the metadata of a GGUF file."""
import io
import struct

import sentencepiece

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)


def train(text, size, **options):
    """The pieces of a model that is trained here: (text, score, type) each."""
    out = io.BytesIO()
    lines = [line for line in text.replace("\0", "").split("\n") if line.strip()]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, model_type="bpe", vocab_size=size, minloglevel=2,
        normalization_rule_name="identity", remove_extra_whitespaces=False, max_sentence_length=100000,
        character_coverage=0.99, hard_vocab_limit=False, num_threads=1, **options)
    model = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
    return [(model.id_to_piece(i), model.get_score(i), type_of(model, i)) for i in range(model.get_piece_size())]


def type_of(model, i):
    kinds = ((model.is_unknown, UNKNOWN), (model.is_control, CONTROL), (model.is_unused, UNUSED), (model.is_byte, BYTE))
    return next((kind for test, kind in kinds if test(i)), NORMAL)


def number(field, value):
    """A field of a protocol buffer: a whole number."""
    return varint(field << 3) + varint(value)


def varint(value):
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def part(field, content):
    """A field that is a text or a message."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def processor(pieces, unknown, prefix, drops_extra=False):
    """SentencePiece itself, on a model of these pieces (sentencepiece_model.proto has the fields' numbers)."""
    out = b"".join(part(1, part(1, text.encode()) + b"\x15" + struct.pack("<f", score) + number(3, kind))
                   for text, score, kind in pieces)
    has_bytes = any(kind == BYTE for _, _, kind in pieces)
    missing = (1 << 64) - 1  # -1: no such token
    out += part(2, number(3, 2) + number(4, len(pieces)) + number(35, int(has_bytes)) + number(40, unknown) +
                number(41, missing) + number(42, missing) + number(43, missing))
    out += part(3, part(1, b"identity") + number(3, int(prefix)) + number(4, int(drops_extra)) + number(5, 1))
    return sentencepiece.SentencePieceProcessor(model_proto=out)


def metadata(pieces, unknown, prefix, drops_extra=False):
    """What converters write of such a model: arguments of made_gguf.add_tokenizer()."""
    tokens = [text.replace("\u2581", " ") if kind == USER_DEFINED else text for text, _, kind in pieces]
    return {"kind": "llama", "pre": "default", "tokens": tokens,
            "types": [kind for _, _, kind in pieces], "scores": [score for _, score, _ in pieces],
            "unknown_token_id": unknown, "add_space_prefix": prefix, "remove_extra_whitespaces": drops_extra}
