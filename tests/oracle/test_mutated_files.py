"""Damaged files: this program's readers accept and refuse what the reference readers do, on many thousands.

The references are the Python packages safetensors (deserialize) and gguf (GGUFReader). Files are damaged by
a counter-based choice: file k is the same whatever was made before it. Where both accept, tensors have the
same names, types, shapes and bytes.

This program differs on purpose; each difference is a function below that finds it in a file, named in
STRICTER (refused here, accepted there) and in LAXER (the other way round), with its reason. A file that has
no such difference must be judged alike, and a file that has one as the table says.
"""
import json
import os
import random
import re
import struct
import subprocess
import sys

import gguf
import numpy as np
import safetensors

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["SD_SOURCE"] + "/tests/support")
import program as p

check = p.Checks()
COUNT = int(os.environ.get("SD_MUTATED", "6000"))  # files of each format
PRINT = os.path.join(os.environ["SD_BUILD"], "tests", "print_containers")
SHOWN = 12  # differences that are printed, of each format

NUMBERS = (0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 32, 33, 64, 127, 255, 256, 65535, 2**31, 2**32 - 1, 2**32, 2**42, 2**53,
           2**62, 2**63 - 1, 2**63, 2**64 - 1)


# ---- safetensors: files to start from ----

BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8,
        "F8_E5M2FNUZ": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4, "C64": 64, "I64": 64, "U64": 64, "I32": 32,
        "U32": 32, "I16": 16, "U16": 16, "I8": 8, "U8": 8, "BOOL": 8}


def tensor_file(tensors, metadata=None, order=None, **style):
    """A file of tensors: (name, dtype, shape) in the order of their bytes; `order` is the header's."""
    header, at = ({} if metadata is None else {"__metadata__": metadata}), 0
    places = {}
    for name, dtype, shape in tensors:
        size = int(np.prod(shape, dtype=object)) * BITS[dtype] // 8
        places[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    header |= {name: places[name] for name in (order or places)}
    text = json.dumps(header, **style).encode()
    return struct.pack("<Q", len(text)) + text + bytes(i * 37 % 256 for i in range(at))


def tensor_files():
    short = {"separators": (",", ":")}
    yield tensor_file([(d, d, (2, 4)) for d in BITS], **short)
    yield tensor_file([("w", "F32", (2, 2)), ("b", "F32", (2,))], {"format": "pt"})
    yield tensor_file([("z", "F16", (3,)), ("a", "BF16", (1, 1, 2)), ("m", "F64", ())], order=["a", "m", "z"], **short)
    yield tensor_file([("e", "F32", (0, 4)), ("f", "F32", (1,)), ("g", "U8", (0,)), ("h", "F4", (2, 0))])
    yield tensor_file([("model.layers.0.mlp.up_proj.weight", "F8_E4M3", (3, 5)), ("s", "F8_E8M0", (1,))], indent=1)
    yield tensor_file([("é\"\\\n", "I32", (2,)), ("日本", "I8", (1, 3))], {"": "", "k": "v\u00e9\n"}, **short)
    yield tensor_file([("é", "F6_E2M3", (4,)), ("x", "F6_E3M2", (2, 2))], ensure_ascii=False)
    yield tensor_file([])
    yield tensor_file([], {})
    yield tensor_file([("d", "F32", (1,) * 8), ("c", "F32", (1,) * 7)], **short)
    big = tensor_file([(f"t{i:02}", "F16", (i, 2)) for i in range(12)], {"a": "b"}, **short)
    yield big
    length = struct.unpack("<Q", big[:8])[0]
    yield struct.pack("<Q", length + 7) + big[8:8 + length] + b" " * 7 + big[8 + length:]


# ---- damage ----

def spot(r, data):
    """A place in a file, mostly in its beginning."""
    return r.randrange(min(len(data), r.choice((8, 32, 400, len(data)))) or 1)


def bytes_damaged(r, data, others):
    """One change that knows no format."""
    data, at = bytearray(data), spot(r, data)
    kind = r.randrange(6)
    if not data:
        return r.randbytes(r.randrange(20))
    if kind == 0:
        data[at] ^= 1 << r.randrange(8)
    elif kind == 1:
        data[at] = r.choice(b"\x00\x01\x7f\x80\xff09\"{}[],:-eE.\\nt ")
    elif kind == 2:
        del data[at:at + r.choice((1, 1, 2, 8, len(data)))]
    elif kind == 3:
        data[at:at] = r.choice((b"\0", b" ", b"0", b"\xff", r.randbytes(4), bytes(data[at:at + r.randrange(1, 60)])))
    elif kind == 4:
        other = r.choice(others)
        start = spot(r, other)
        data[at:at + r.randrange(40)] = other[start:start + r.randrange(60)]
    else:
        data += r.choice((b"\0", b"x" * r.randrange(1, 40), r.randbytes(4)))
    return bytes(data)


def text_damaged(r, text):
    """One change of a JSON text: a number, a dtype, a sign, a key, an entry."""
    found = {"number": r"-?\d+", "string": r'"[^"\\]*"', "sign": r"[{}\[\],:]", "list": r"\[[^\[\]]*\]",
             "entry": r'"[^"\\]*":\s*\{[^{}]*\},?', "pair": r'"[^"\\]*":\s*(?:"[^"\\]*"|\[[^\[\]]*\]),?'}
    kind = r.choice(tuple(found) + ("number", "number", "number", "space"))
    if kind == "space":
        at = r.choice((0, len(text), r.randrange(len(text) + 1)))
        return text[:at] + r.choice((" ", "\n", "\t", "\r ", "\0", "\u00a0", "\ufeff", "x")) + text[at:]
    matches = list(re.finditer(found[kind], text))
    if not matches:
        return text
    m = r.choice(matches)
    old = m.group()
    if kind == "number":
        new = str(r.choice((*NUMBERS, int(old) + 1, int(old) * 2, int(old) // 2, int(old) - 1, -1, "-0", "1.0", "1e1", "01",
                            "null", "true", '"1"', "[1]", "{}", "1,1", "", "1" * 30, "1e999")))
    elif kind == "string":
        new = r.choice((*(f'"{d}"' for d in BITS), '"F31"', '""', '"a"', '"dtype"', '"shape"', '"data_offsets"',
                        '"__metadata__"', '"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\u00e9"', '"\x01"', "7", "null",
                        r.choice(matches).group(), "{\"F32\":null}"))
    elif kind == "sign":
        new = r.choice(("", "{", "}", "[", "]", ",", ":", old + old))
    elif kind == "list":
        new = r.choice(("[]", "null", "[0]", "[0,0]", "[[]]", old[:-1] + ",0]", old[:-1] + ",1]", "[" * 200 + "]" * 200,
                        r.choice(matches).group(), old.replace("[", "{").replace("]", "}")))
    else:
        new = r.choice(("", old + r.choice(("", ",")) + old, r.choice(matches).group(), old.rstrip(",") + ",\"more\":[{}],",
                        old.rstrip(",") + ",\"more\":1.5e3", old.rstrip(",") + ",\"more\":-0,"))
    return text[:m.start()] + new + text[m.end():]


def rearranged(r, text):
    """A change after which the header means the same, or nearly."""
    try:
        header = json.loads(text)
        names = [n for n in header if n != "__metadata__"]
        if not names or r.random() < 0.2:
            header["__metadata__"] = r.choice(({}, None, {"k": "v"}, {"k": 1}))
        else:
            entry = header[r.choice(names)]
            change = r.randrange(7)
            if change == 0:
                r.shuffle(entry["shape"])
            elif change == 1:
                entry["shape"].insert(r.randrange(len(entry["shape"]) + 1), 1)
            elif change == 2:
                entry["dtype"] = r.choice([d for d in BITS if BITS[d] == BITS[entry["dtype"]]])
            elif change == 3:
                entry["dtype"] = {entry["dtype"]: None}
            elif change == 4:
                header[r.choice(names)] = [*entry.values()]
            elif change == 5:
                entry["more"] = json.loads("[" * 140 + "]" * 140)
            else:
                header = {n: header[n] for n in r.sample(list(header), len(header))}
    except (ValueError, TypeError, KeyError, AttributeError):
        return text
    return json.dumps(header, indent=r.choice((None, 2)), ensure_ascii=r.random() < 0.5)


def damaged_tensors(r, files):
    data = r.choice(files)
    for _ in range(r.choice((1, 1, 1, 2, 3))):
        length = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else len(data)
        if length > len(data) - 8 or r.random() < 0.25:
            data = bytes_damaged(r, data, files)
            continue
        text = data[8:8 + length].decode("utf-8", "surrogateescape")
        change = rearranged if r.random() < 0.3 else text_damaged
        new = change(r, text)
        new = text_damaged(r, new) if change is text_damaged and r.random() < 0.1 else new
        try:
            new = new.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            new = new.encode("utf-8", "surrogatepass")
        claimed = len(new) if r.random() < 0.97 else r.choice((length, *NUMBERS, 10**8, 10**8 + 1))
        data = struct.pack("<Q", claimed) + new + data[8 + length:]
    return data


# ---- safetensors: the reference, and what differs on purpose ----

def pairs_of(data):
    """The header with all pairs of its objects kept, or None where it is no JSON for Python either."""
    length = struct.unpack("<Q", data[:8])[0]
    try:
        return json.loads(data[8:8 + length].decode("utf-8"), object_pairs_hook=lambda pairs: ("object", pairs),
                          parse_int=lambda text: ("int", text), parse_float=lambda text: ("real", text))
    except (ValueError, RecursionError):
        return None


def nodes(value):
    """A parsed header and everything in it; objects as ("object", pairs), numbers as ("int", text)."""
    yield value
    if isinstance(value, tuple) and value[0] == "object":
        for _, inner in value[1]:
            yield from nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


def objects(header):
    return [node[1] for node in nodes(header) if isinstance(node, tuple) and node[0] == "object"]


def entries(header):
    return [value for name, value in header[1] if name != "__metadata__"]


def field(entry, name):
    return dict(entry[1]).get(name) if isinstance(entry, tuple) and entry[0] == "object" else None


def has_key_twice(header):
    return any(len({k for k, _ in pairs}) < len(pairs) for pairs in objects(header))


def has_zero_byte(header):
    texts = [node for node in nodes(header) if isinstance(node, str)] + [k for pairs in objects(header) for k, _ in pairs]
    return any("\0" in text for text in texts)


def has_number_beyond(header):
    return any(isinstance(n, tuple) and n[0] == "int" and not -2**63 <= int(n[1]) < 2**63 for n in nodes(header))


def has_entry_by_position(header):
    return any(isinstance(entry, list) for entry in entries(header))


def has_dtype_as_object(header):
    return any(isinstance(field(entry, "dtype"), tuple) for entry in entries(header))


def has_many_dimensions(header):
    return any(isinstance(field(entry, "shape"), list) and len(field(entry, "shape")) > 8 for entry in entries(header))


def has_minus_zero(header):
    return any(node == ("int", "-0") for node in nodes(header))


def is_deep(header, level=0):
    inner = header if isinstance(header, list) else [v for _, v in header[1]] if isinstance(header, tuple) and \
        header[0] == "object" else []
    return level > 120 or any(is_deep(value, level + 1) for value in inner)


STRICTER_TENSORS = {
    has_key_twice: "the specification forbids it: which of the two is meant?",
    has_zero_byte: "a name or text with a zero byte has no meaning in C; nobody writes such",
    has_number_beyond: "numbers of 2^63 and more fit no file; only a shape with a zero beside them could hold one",
    has_entry_by_position: "the specification wants an object; the reference's parser takes a list of the fields as well",
    has_dtype_as_object: "the same: {\"F32\": null} for \"F32\"",
    has_many_dimensions: "no weight has more than 8 dimensions",
}
LAXER_TENSORS = {
    has_minus_zero: "-0 is the integer 0 in JSON",
    is_deep: "JSON nested deeper than 128, in a key that is passed over: to 2048 levels it does no harm",
}


def tensor_examples():
    """A header for every difference, and one or two beside it that are judged alike."""
    good = '"dtype":"F32","shape":[%s],"data_offsets":[0,4]'
    for text in ('{"a":{' + good % 1 + '}}', '{"a":{' + good % 1 + '},"a":{' + good % 1 + '}}',
                 '{"a\\u0000":{' + good % 1 + '}}', '{"__metadata__":{"a":"\\u0000"},"a":{' + good % 1 + '}}',
                 '{"z":{"dtype":"F32","shape":[0,9223372036854775808],"data_offsets":[0,0]},"a":{' + good % 1 + '}}',
                 '{"z":{"dtype":"F32","shape":[0,9223372036854775807],"data_offsets":[0,0]},"a":{' + good % 1 + '}}',
                 '{"a":["F32",[1],[0,4]]}', '{"a":{' + good.replace('"F32"', '{"F32":null}') % 1 + '}}',
                 '{"a":{' + good % "1,1,1,1,1,1,1,1" + '}}', '{"a":{' + good % "1,1,1,1,1,1,1,1,1" + '}}',
                 '{"a":{' + (good % 1).replace("[0,4]", "[-0,4]") + '}}',
                 *('{"a":{' + good % 1 + ',"more":' + "[" * n + "]" * n + '}}' for n in (100, 140))):
        yield struct.pack("<Q", len(text)) + text.encode() + b"\1\2\3\4"


def reference_tensors(data):
    """Name -> (dtype, shape, bytes) by the package, or None when it refuses."""
    try:
        return {name: (t["dtype"], tuple(t["shape"]), bytes(t["data"])) for name, t in safetensors.deserialize(data)}
    except safetensors.SafetensorError:
        return None


def widened(dtype, data, tables):
    return tables[dtype][np.frombuffer(data, np.uint8)].tobytes() if dtype in tables else data


def float8_tables():
    with open(os.environ["SD_TEST_DATA"] + "/float8.txt", encoding="utf-8") as file:
        rows = [line.split() for line in file if line[0] != "#"]
    return {name: np.array([int(row[k], 16) for row in rows], "<u4") for k, name in ((1, "F8_E4M3"), (2, "F8_E5M2"))}


# ---- this program ----

def judged(kind, files):
    """For each file None and its refusal, or its tensors and ""."""
    stdin = b"".join(struct.pack("<Q", len(data)) + data for data in files)
    result = subprocess.run([PRINT, kind], input=stdin, capture_output=True)
    check(result.returncode == 0, f"{kind}: ended by {result.returncode}: {result.stderr[-2000:]}")
    lines = iter(result.stdout.decode("utf-8", "replace").splitlines())
    for line in lines:
        verdict, rest = line.split(" ", 1)
        if verdict == "refused":
            yield None, rest
            continue
        out = {}
        for _ in range(int(rest)):
            name, form, shape, data = next(lines).split(" ")
            out[bytes.fromhex(name).decode()] = (form, tuple(map(int, filter(None, shape.split(",")))), bytes.fromhex(data))
        yield out, ""


def same_tensors(ours, theirs, tables):
    if ours.keys() != theirs.keys():
        return False
    for name, (dtype, shape, data) in theirs.items():
        form, extent, read = ours[name]
        if (form, extent) != (dtype, shape):
            return False
        if dtype in tables:  # which NaN has no agreed bits
            a, b = np.frombuffer(read, "<f4"), np.frombuffer(widened(dtype, data, tables), "<f4")
            if not np.array_equal(a, b, equal_nan=True):
                return False
        elif read != data:
            return False
    return True


class Tally:
    """What was compared, and the first differences in words."""

    def __init__(self, kind):
        self.kind, self.both, self.neither, self.by, self.shown = kind, 0, 0, {}, 0

    def wrong(self, k, data, text):
        self.shown += 1
        check(False, f"{self.kind} {k}: {text}" + (f"\n  {data[:600]}" if self.shown <= SHOWN else ""))

    def add(self, k, data, ours, says, theirs, stricter, laxer):
        for reason in (*stricter, *laxer):
            self.by[reason.__name__] = self.by.get(reason.__name__, 0) + 1
        if ours is None and theirs is None:
            self.neither += 1
        elif ours is not None and theirs is not None:
            self.both += 1
            if stricter:
                self.wrong(k, data, f"accepted in spite of {[s.__name__ for s in stricter]}")
        elif ours is None and not stricter:
            self.wrong(k, data, f"refused here alone: {says}")
        elif ours is not None and not laxer:
            self.wrong(k, data, "accepted here alone")

    def done(self, wanted):
        print(f"{self.kind}: {self.both} accepted by both, {self.neither} refused by both; differences on purpose: {self.by}")
        check(self.both > COUNT // 12 and self.neither > COUNT // 4, f"{self.kind}: too few of a sort")
        for reason in wanted:
            check(self.by.get(reason.__name__, 0) > 0, f"{self.kind}: no file had {reason.__name__}")


def compare_tensors():
    tables, files, tally = float8_tables(), list(tensor_files()), Tally("safetensors")
    for data, (ours, says) in zip(files, judged("safetensors", files)):
        check(ours is not None and same_tensors(ours, reference_tensors(data), tables), f"a good file: {says}")
    damaged = [*tensor_examples(), *(damaged_tensors(random.Random(f"safetensors {k}"), files) for k in range(COUNT))]
    for k, (data, (ours, says)) in enumerate(zip(damaged, judged("safetensors", damaged))):
        theirs = reference_tensors(data)
        differ = (ours is None) != (theirs is None)
        header = pairs_of(data) if differ else None
        known = header is not None and isinstance(header, tuple)
        stricter = [s for s in STRICTER_TENSORS if known and s(header)]
        laxer = [s for s in LAXER_TENSORS if known and s(header)]
        tally.add(k, data, ours, says, theirs, stricter, laxer)
        if ours is not None and theirs is not None and not same_tensors(ours, theirs, tables):
            tally.wrong(k, data, "other tensors")
    tally.done([*STRICTER_TENSORS, *LAXER_TENSORS])


# ---- GGUF: files to start from, as lists of fields, so that damage can find them ----

KINDS = ("<B", "<b", "<H", "<h", "<I", "<i", "<f", "<?", None, None, "<Q", "<q", "<d")
STORED = ("F32", "F16", "BF16", "F64", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
          "IQ4_NL", "IQ4_XS", "I8", "I16", "I32", "I64")
PAD = "pad"


def text_fields(value):
    return [["<Q", len(value.encode())], value.encode()]


def pair_fields(key, kind, *values):
    """An entry of the metadata; more than one value, or none, makes an array."""
    out = text_fields(key)
    if len(values) != 1:
        out += [["<I", 9], ["<I", kind], ["<Q", len(values)]]
    else:
        out += [["<I", kind]]
    for value in values:
        out += text_fields(value) if kind == 8 else [[KINDS[kind], value]]
    return out


def gguf_fields(pairs, tensors, version=3, alignment=32):
    out = [b"GGUF", ["<I", version], ["<Q", len(tensors)], ["<Q", len(pairs)]]
    for pair in pairs:
        out += pair_fields(*pair)
    at, data = 0, []
    for name, kind, dims in tensors:
        number = gguf.GGMLQuantizationType[kind]
        elements, width = gguf.GGML_QUANT_SIZES[number]
        size = int(np.prod(dims, dtype=object)) // elements * width
        out += text_fields(name) + [["<I", len(dims)], *(["<Q", d] for d in dims), ["<I", int(number)], ["<Q", at]]
        data += [bytes(i * 41 % 256 for i in range(size)), bytes(-size % alignment)]
        at += size + -size % alignment
    return out + [[PAD, alignment]] + data


def gguf_files():
    scalars = [(f"v{k}", k, 1) for k, code in enumerate(KINDS) if code]
    arrays = [(f"a{k}", k, 1, 0, 1) for k, code in enumerate(KINDS) if code]
    llama = [("general.architecture", 8, "llama"), ("llama.block_count", 4, 2), ("tokens", 8, "a", "é", "", "b c")]
    yield gguf_fields(llama + scalars + arrays, [("token_embd.weight", "F32", (4, 2)), ("blk.0.attn_norm.weight", "F32", (4,)),
                                                 ("x", "F16", (2, 1, 3))])
    yield gguf_fields([], [])
    yield gguf_fields([("general.alignment", 4, 8)], [("a", "I8", (3,)), ("b", "I64", (1,)), ("c", "F64", ())], 2, 8)
    yield gguf_fields([("general.alignment", 4, 1)], [("a", "I8", (3, 1, 1, 1)), ("b", "BF16", (5,)), ("c", "F32", (0, 2))], 3, 1)
    yield gguf_fields(llama, [(f"t.{kind}", kind, (gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]][0],))
                              for kind in STORED])
    yield gguf_fields([("empty", 4), ("none", 8), *llama], [("w", "Q4_0", (32, 2)), ("v", "Q8_0", (64,))])


def gguf_bytes(fields):
    out = b""
    for field in fields:
        if isinstance(field, bytes):
            out += field
        elif field[0] == PAD:
            out += bytes(-len(out) % field[1])
        elif field[0] in ("<f", "<d", "<?"):
            out += struct.pack(field[0], field[1])
        else:
            size = struct.calcsize(field[0])
            out += (field[1] % (1 << 8 * size)).to_bytes(size, "little")
    return out


def fields_damaged(r, fields, others):
    fields = [field if isinstance(field, bytes) else list(field) for field in fields]
    at = r.randrange(len(fields))
    numbers = [f for f in fields if not isinstance(f, bytes) and f[0] in ("<I", "<Q", "<B", "<H", PAD)]
    if not numbers:
        return fields
    kind = r.choice(("number", "number", "number", "number", "drop", "twice", "swap", "foreign", "text", "sizes"))
    if kind == "number":
        field = r.choice(numbers)
        field[1] = r.choice((*NUMBERS, field[1] + 1, field[1] * 2, field[1] // 2, field[1] ^ 1 << r.randrange(33), field[1] << 32,
                             *range(14), -1, r.choice(numbers)[1])) if field[0] != PAD else r.choice((1, 2, 8, 16, 64))
    elif kind == "drop":
        del fields[at:at + r.randrange(1, 4)]
    elif kind == "twice":
        fields[at:at] = fields[at:at + r.randrange(1, 8)]
    elif kind == "swap":
        other = r.randrange(len(fields))
        fields[at], fields[other] = fields[other], fields[at]
    elif kind == "foreign":
        other = r.choice(others)
        start = r.randrange(len(other))
        fields[at:at + r.randrange(4)] = other[start:start + r.randrange(1, 6)]
    elif kind == "text":
        texts = [k for k, f in enumerate(fields) if isinstance(f, bytes) and k > 0]
        if texts:
            k = r.choice(texts)
            fields[k] = bytes_damaged(r, fields[k], [b"general.alignment", b"v4", b"\xff\0\xc3"]) if fields[k] else b"\0"
            if fields[k - 1][:1] == ["<Q"] and r.random() < 0.8:
                fields[k - 1] = ["<Q", len(fields[k])]
    else:  # the same bytes in another shape, or as another type of the same size
        at = max(2, at)
        if len(fields) > at + 1 and all(not isinstance(f, bytes) and f[0] == "<Q" for f in fields[at:at + 2]):
            fields[at], fields[at + 1] = fields[at + 1], fields[at]
        field = r.choice(numbers)
        if field[0] == "<I" and field[1] in (0, 26, 27, 28, 1, 25, 30, 2, 20, 24):
            field[1] = {0: 26, 26: 0, 27: 28, 28: 27, 1: 30, 25: 1, 30: 25, 2: 20, 20: 2, 24: 24}[field[1]]
    return fields


def damaged_gguf(r, files):
    fields = r.choice(files)
    for _ in range(r.choice((0, 1, 1, 1, 2, 3))):
        fields = fields_damaged(r, fields, files) if fields else []
    data = gguf_bytes(fields)
    return bytes_damaged(r, data, [gguf_bytes(f) for f in files]) if r.random() < 0.3 else data


# ---- GGUF: the reference, and what differs on purpose ----

class BoundedReader(gguf.GGUFReader):
    """The reference, which cuts what reaches beyond the file's end without a word, made to refuse that."""

    def _get(self, offset, dtype, count=1, override_order=None):
        if offset + np.empty([], dtype=dtype).itemsize * int(count) > len(self.data):
            raise ValueError("beyond the end")
        return super()._get(offset, dtype, count, override_order)


def reference_gguf(path, data):
    path.write_bytes(data)
    try:
        with np.errstate(all="ignore"):
            return BoundedReader(path)
    except Exception:  # whatever it stumbles over: it has no errors of its own
        return None


def is_text(data):
    try:
        return b"\0" not in data and data.decode("utf-8") is not None
    except UnicodeDecodeError:
        return False


def metadata(reader):
    return [field for name, field in reader.fields.items() if not name.startswith("GGUF.")]


def kinds_of(field):
    """The type of a value, and of an array's elements."""
    return int(field.parts[2][0]), int(field.parts[3][0]) if int(field.parts[2][0]) == 9 else None


def has_other_bytes(reader):
    at = reader.data_offset
    for t in reader.tensors:
        if t.data_offset != at:
            return True
        at += t.n_bytes + -t.n_bytes % int(reader.alignment)
    return len(reader.data) > at


def has_bad_text(reader):
    values = [bytes(f.parts[-1]) for f in metadata(reader) if kinds_of(f)[0] == 8]
    names = [bytes(f.parts[1]) for f in metadata(reader)] + [t.name.encode() for t in reader.tensors]
    return not all(map(is_text, values + names))


def has_bad_truth(reader):
    return any(kinds_of(f)[0] == 7 and f.parts[-1].view(np.uint8)[0] > 1 for f in metadata(reader))


def has_array_of_arrays(reader):
    return any(kinds_of(f)[1] == 9 for f in metadata(reader))


def has_unknown_empty_array(reader):
    return any((kinds_of(f)[1] or 0) > 12 for f in metadata(reader))


def has_empty_key(reader):
    return "" in reader.fields


def has_long_name(reader):
    return any(len(t.name.encode()) > 64 for t in reader.tensors)


def has_many_sides(reader):
    return any(len(t.shape) > 4 for t in reader.tensors)


def has_unsupported_type(reader):
    return any(t.tensor_type.name not in STORED for t in reader.tensors)


STRICTER_GGUF = {
    has_other_bytes: "tensors follow each other in the header's order, and nothing follows the last: as llama.cpp wants it",
    has_bad_text: "strings are UTF-8 by the specification, and a zero byte has no meaning in them",
    has_bad_truth: "a bool is 0 or 1 by the specification",
    has_array_of_arrays: "llama.cpp refuses them as well; no model has one",
    has_unknown_empty_array: "an empty array of a type that does not exist",
    has_empty_key: "llama.cpp refuses it as well",
    has_long_name: "a tensor's name has at most 64 bytes by the specification",
    has_many_sides: "a tensor has at most 4 dimensions by the specification",
    has_unsupported_type: "known by name, and not read by this program",
}


def gguf_examples():
    """A file for every difference, and one that is read alike."""
    fields = gguf_fields([("b", 7, True)], [])
    yield gguf_bytes(fields)
    fields[fields.index(["<?", True])] = b"\2"
    yield gguf_bytes(fields)
    yield gguf_bytes(gguf_fields([("u", 8, "\xff")], [])).replace(b"\xc3\xbf", b"\xc3\xff")
    fields = gguf_fields([("n", 9)], [])
    yield gguf_bytes(fields)
    fields[-2:-1] = [["<Q", 1], ["<I", 4], ["<Q", 2], ["<I", 0], ["<I", 0]]
    yield gguf_bytes(fields)
    yield gguf_bytes(gguf_fields([("n", 13)], []))
    yield gguf_bytes(gguf_fields([("", 4, 1)], []))
    yield gguf_bytes(gguf_fields([], [("x" * 64, "F32", (1,))]))
    yield gguf_bytes(gguf_fields([], [("x" * 65, "F32", (1,))]))
    yield gguf_bytes(gguf_fields([], [("five", "F32", (1,) * 5)]))
    fields = gguf_fields([], [("w", "F32", (0, 7))])
    fields[fields.index(["<Q", 7])] = fields[fields.index(["<Q", 0], 5)] = ["<Q", 2**32]
    yield gguf_bytes(fields)
    yield gguf_bytes(gguf_fields([], [("q", "IQ2_XXS", (256,))]))
    yield gguf_bytes(gguf_fields([], [("a", "F32", (1,))])) + b"x"
    twice = gguf_fields([], [("a", "F32", (1,)), ("a", "F32", (1,))])
    yield gguf_bytes(twice)


def gguf_tensors(reader):
    return {t.name: (t.tensor_type.name, tuple(reversed(t.shape.tolist())),
                     bytes(reader.data[t.data_offset:t.data_offset + t.n_bytes])) for t in reader.tensors}


def compare_gguf(folder):
    files, tally, path = list(gguf_files()), Tally("gguf"), folder / "m.gguf"
    whole = [gguf_bytes(fields) for fields in files]
    for data, (ours, says) in zip(whole, judged("gguf", whole)):
        check(ours is not None and ours == gguf_tensors(reference_gguf(path, data)), f"a good file: {says}")
    damaged = [*gguf_examples(), *(damaged_gguf(random.Random(f"gguf {k}"), files) for k in range(COUNT))]
    for k, (data, (ours, says)) in enumerate(zip(damaged, judged("gguf", damaged))):
        reader = reference_gguf(path, data)
        stricter = [] if reader is None else [s for s in STRICTER_GGUF if s(reader)]
        tally.add(k, data, ours, says, reader, stricter, [])
        if ours is not None and reader is not None and ours != gguf_tensors(reader):
            tally.wrong(k, data, "other tensors")
    tally.done(STRICTER_GGUF)


def main():
    with p.Scratch() as folder:
        compare_tensors()
        compare_gguf(folder)


main()
check.done()
