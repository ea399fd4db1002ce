"""Writes tests/data/linear_maps.txt: random layers and the spectra of their linear maps.

Independent of the C code: numpy in float64, Gaussian means by Gauss-Legendre quadrature. Usage:
make_linear_maps.py FOLDER. tests/support/linear_maps.h reads the file.

Format: one word or number after the other, separated by white space; '#' starts a comment that ends
with the line. A file is
    singdef-linear-maps 1
    layers K
and K times
    layer NAME
    sizes d f n_heads n_kv d_head
    wiring sequential|parallel
    act silu|gelu|gelu_tanh|relu
    gated 0|1   scaled_input 0|1   keep_biases 0|1
    scale s1 s2                                  divisors of the map `scaled`
    arrays, each as
    array WORD ROWS COLS                         followed by ROWS * COLS numbers, row by row
    named, for the weights,
        gamma1 gamma2 value out gate up down bias_gate bias_up       (gate, bias_gate only when gated)
        post1 post2                              gamma of the post-norms, eps 1e-5 (only where there are)
        direction                                a unit vector e
    and for the answers
        for MAP in layer, attention (I + A), ffn (F):
            MAP.sigma 1 d     singular values, falling
            MAP.u 1 d, MAP.v 1 d   leading pair: u's entry of largest magnitude positive, M v = sigma u
        for MAP in paper, sum, scaled:
            MAP.eigenvalue 1 2     re, im >= 0 of the eigenpair nearest to e: largest |v^H e| / |v|
            MAP.angle 1 1          acos of that, in degrees
            MAP.condition 1 1      1 / |w^H v| of unit left and right eigenvectors
            MAP.margin 1 1         |v^H e| less that of the next pair (a conjugate is the same pair)
            MAP.column 1 d         M 1, the product with the vector of ones
            MAP.norm 1 1           the 2-norm
    end
Weights are written as decimal numbers that are exact in float32.
"""
import sys

import numpy as np
import scipy
from scipy import linalg, special

RNG = np.random.default_rng(20240613)


def silu(a):
    return a * special.expit(a)


def silu_slope(a):
    s = special.expit(a)
    return s + a * s * (1 - s)


def gelu(a):
    return a * special.ndtr(a)


def gelu_slope(a):
    return special.ndtr(a) + a * np.exp(-a * a / 2) / np.sqrt(2 * np.pi)


def gelu_tanh(a):
    return 0.5 * a * (1 + np.tanh(np.sqrt(2 / np.pi) * (a + 0.044715 * a**3)))


def gelu_tanh_slope(a):
    inner = np.sqrt(2 / np.pi) * (a + 0.044715 * a**3)
    t = np.tanh(inner)
    return 0.5 * (1 + t) + 0.5 * a * (1 - t * t) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * a * a)


def relu(a):
    return np.maximum(a, 0.0)


def relu_slope(a):
    return (a > 0) * 1.0


ACTS = {"silu": (silu, silu_slope), "gelu": (gelu, gelu_slope),
        "gelu_tanh": (gelu_tanh, gelu_tanh_slope), "relu": (relu, relu_slope)}


NODES, LENGTHS = np.polynomial.legendre.leggauss(120)


def gaussian_mean(fn, mean, sigma):
    """E[fn(a)], a ~ N(mean, sigma^2), by Gauss-Legendre on pieces, split at the kink a = 0."""
    total = 0.0
    kink = min(max(-mean / sigma, -11.9), 11.9)
    edges = sorted({*np.linspace(-12, 12, 13), kink})
    for lo, hi in zip(edges, edges[1:]):
        z = (lo + hi) / 2 + (hi - lo) / 2 * NODES
        weight = (hi - lo) / 2 * LENGTHS * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
        total += weight @ fn(mean + sigma * z)
    return total


def activation_matrix(layer):
    """A2, f x d, of the layer's rows as they are (or scaled by gamma2), by the definition E[dy/dx]."""
    phi, slope = ACTS[layer["act"]]
    fold = layer["gamma2"] if layer["scaled_input"] else np.ones(layer["d"])
    up = layer["up"] * fold
    b_up = layer["bias_up"] if layer["keep_biases"] else np.zeros(layer["f"])
    rows = []
    if not layer["gated"]:
        for w, b in zip(up, b_up):
            rows.append(gaussian_mean(slope, b, np.linalg.norm(w)) * w)
        return np.array(rows)
    gate = layer["gate"] * fold
    b_gate = layer["bias_gate"] if layer["keep_biases"] else np.zeros(layer["f"])
    for g, u, b, e in zip(gate, up, b_gate, b_up):
        s = np.linalg.norm(g)
        # c = u.x + e given a: mean e + (g.u / |g|^2)(a - b).  E[dy/dx] = E[phi'(a) c] g + E[phi(a)] u
        lean = g @ u / (s * s)
        mixed = gaussian_mean(lambda a: slope(a) * (e + lean * (a - b)), b, s)
        rows.append(mixed * g + gaussian_mean(phi, b, s) * u)
    return np.array(rows)


def weights(rows, cols, spread):
    return np.float32(RNG.standard_normal((rows, cols)) * spread).astype(np.float64)


def make_layer(name, d, f, n_heads, n_kv, d_head, wiring, act, gated, scaled_input, keep_biases,
               post_norms=False):
    layer = dict(name=name, d=d, f=f, n_heads=n_heads, n_kv=n_kv, d_head=d_head, wiring=wiring,
                 act=act, gated=gated, scaled_input=scaled_input, keep_biases=keep_biases)
    layer["gamma1"] = np.float32(0.2 + RNG.random(d)).astype(np.float64)
    layer["gamma2"] = np.float32(0.2 + RNG.random(d)).astype(np.float64)
    layer["value"] = weights(n_kv * d_head, d, d**-0.5)
    layer["out"] = weights(d, n_heads * d_head, (n_heads * d_head)**-0.5)
    layer["gate"] = weights(f, d, 2 * d**-0.5)
    layer["up"] = weights(f, d, 2 * d**-0.5)
    layer["down"] = weights(d, f, f**-0.5)
    layer["bias_gate"] = weights(1, f, 0.5)[0]
    layer["bias_up"] = weights(1, f, 0.5)[0]
    # a planted explosion: gate and up rows of one neuron along v, its column of down along u
    v = RNG.standard_normal(d)
    u = RNG.standard_normal(d)
    v, u = v / np.linalg.norm(v), u / np.linalg.norm(u)
    layer["gate"][1] = np.float32(3 * v)
    layer["up"][1] = np.float32(3 * v)
    layer["down"][:, 1] = np.float32(4 * u)
    layer["s1"], layer["s2"] = 2.75, 40.5
    if post_norms:
        layer["post1"] = np.float32(0.2 + 3 * RNG.random(d)).astype(np.float64)
        layer["post2"] = np.float32(0.2 + 9 * RNG.random(d)).astype(np.float64)
    noisy = u + 0.1 * RNG.standard_normal(d) / np.sqrt(d)
    layer["direction"] = noisy / np.linalg.norm(noisy)
    return layer


def behind_post_norm(m, gamma, s, eps=1e-5):
    """The branch at the norm's value r on N(0, I): E (M x)(M x)' = M M'; and s in place of r."""
    r = np.sqrt(np.trace(m @ m.T) / len(m) + eps)
    return np.diag(gamma) @ m / r, s / r


def linear_maps(layer):
    d, heads = layer["d"], layer["n_heads"]
    value = layer["value"].reshape(layer["n_kv"], layer["d_head"], d)
    repeated = np.repeat(value, heads // layer["n_kv"], axis=0).reshape(heads * layer["d_head"], d)
    a = layer["out"] @ repeated @ np.diag(layer["gamma1"])
    a2 = activation_matrix(layer)
    f = layer["down"] @ (a2 if layer["scaled_input"] else a2 @ np.diag(layer["gamma2"]))
    one, s1, s2 = np.eye(d), layer["s1"], layer["s2"]
    if "post1" in layer:
        a, s1 = behind_post_norm(a, layer["post1"], s1)
        f, s2 = behind_post_norm(f, layer["post2"], s2)
    if layer["wiring"] == "sequential":
        whole = (one + f) @ (one + a)
        scaled = (one + f / s2) @ (one + a / s1) - one
    else:
        whole = one + a + f
        scaled = a / s1 + f / s2
    return {"layer": whole, "attention": one + a, "ffn": f, "paper": whole - one, "sum": a + f,
            "scaled": scaled}


def singular_answers(m):
    u, sigma, vt = np.linalg.svd(m)
    lead, partner = u[:, 0], vt[0]
    sign = np.sign(lead[np.argmax(np.abs(lead))])
    return {"sigma": sigma, "u": sign * lead, "v": sign * partner}


def eigen_answers(m, e):
    values, left, right = linalg.eig(m, left=True, right=True)
    near = np.abs(right.conj().T @ e) / np.linalg.norm(right, axis=0)
    best = np.argmax(near)
    others = np.abs(values - values[best]) > 1e-12
    others &= np.abs(values - values[best].conj()) > 1e-12
    w, v = left[:, best], right[:, best]
    return {"eigenvalue": np.array([values[best].real, abs(values[best].imag)]),
            "angle": np.array([np.degrees(np.arccos(min(1, near[best])))]),
            "condition": np.array([np.linalg.norm(w) * np.linalg.norm(v) / abs(np.vdot(w, v))]),
            "margin": np.array([near[best] - near[others].max()]),
            "column": m @ np.ones(m.shape[0]),
            "norm": np.array([np.linalg.norm(m, 2)])}


def write_array(out, word, array):
    array = np.atleast_2d(array)
    print(f"array {word} {array.shape[0]} {array.shape[1]}", file=out)
    exact32 = np.array_equal(np.float32(array).astype(np.float64), array)
    for row in array:
        print(" ".join(f"{x:.9g}" if exact32 else f"{x:.17g}" for x in row), file=out)


def write_layer(out, layer):
    print(f"layer {layer['name']}", file=out)
    print("sizes", *(layer[k] for k in ("d", "f", "n_heads", "n_kv", "d_head")), file=out)
    print(f"wiring {layer['wiring']}\nact {layer['act']}", file=out)
    print("gated %d scaled_input %d keep_biases %d" % (layer["gated"], layer["scaled_input"],
                                                       layer["keep_biases"]), file=out)
    print(f"scale {layer['s1']} {layer['s2']}", file=out)
    words = ["gamma1", "gamma2", "value", "out", "up", "down", "bias_up"]
    words += ["gate", "bias_gate"] if layer["gated"] else []
    words += ["post1", "post2"] if "post1" in layer else []
    for word in words:
        write_array(out, word, layer[word])
    write_array(out, "direction", layer["direction"])
    maps = linear_maps(layer)
    for name in ("layer", "attention", "ffn"):
        for word, answer in singular_answers(maps[name]).items():
            write_array(out, f"{name}.{word}", answer)
    for name in ("paper", "sum", "scaled"):
        for word, answer in eigen_answers(maps[name], layer["direction"]).items():
            write_array(out, f"{name}.{word}", answer)
    print("end", file=out)


def main(folder):
    layers = [
        make_layer("llama", 24, 37, 6, 2, 5, "sequential", "silu", True, False, False),
        make_layer("parallel_plain", 19, 31, 3, 3, 7, "parallel", "gelu", False, False, True),
        make_layer("scaled_biased", 21, 29, 4, 1, 6, "sequential", "gelu_tanh", True, True, True),
        make_layer("post_norms", 23, 41, 4, 1, 8, "sequential", "gelu_tanh", True, False, False, True),
        make_layer("parallel_post", 18, 27, 4, 2, 5, "parallel", "silu", True, True, True, True),
    ]
    with open(f"{folder}/linear_maps.txt", "w", encoding="ascii") as out:
        print("singdef-linear-maps 1", file=out)
        print(f"# made by tests/oracle/make_linear_maps.py with numpy {np.__version__}, scipy "
              f"{scipy.__version__}; the format is described there", file=out)
        print(f"layers {len(layers)}", file=out)
        for layer in layers:
            write_layer(out, layer)


if __name__ == "__main__":
    main(sys.argv[1])
