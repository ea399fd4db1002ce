"""Holds every variable of one measured checkpoint to the float64 oracle.

States are the program's only numbers in single precision: off by EPS of their norm per token, which
is the product's promise. What follows from states is held to the bound that EPS gives it; what
follows from weights, and from what is stored beside it, to double precision.
"""
import math

import numpy as np

from phenomenon_numpy import PHASES, Direction, acute, find_phases, unit

EPS = 2e-5         # of a state, per token
ROUNDING = 1e-13   # of a map's norm: sums of a few hundred terms, 2e-16 each
RESIDUAL = 5e-10   # required of every triplet and eigenpair
DEGREE = 180 / math.pi
TRIPLETS = {"linear": "L", "attention": "I + A", "ffn": "F"}
SAMPLE = 1024      # tokens and draws behind R^2
SOLVERS = {"slepc": 1, "lapack": 2, "scalapack": 3}


def top_channel(e):
    return int(np.argmax(np.abs(e)))


def without(e, channel):
    out = np.array(e)
    out[channel] = 0
    return out


def explained(y, fit, any_length=False):
    """Share of the variance of y that fit, or its best multiple, explains, all about their means."""
    y, fit = y - y.mean(axis=0), fit - fit.mean(axis=0)
    multiple = max(0, (y * fit).sum() / (fit * fit).sum()) if any_length else 1
    return 1 - ((y - multiple * fit) ** 2).sum() / (y ** 2).sum()


class Layer:
    """The linear maps of one layer and their spectra."""

    def __init__(self, model, layer, scaled, biases):
        one = np.eye(model.d)
        self.attention, self.r1 = model.finish_map(layer, "post1", model.attention_map(layer))
        self.ffn, self.r2 = model.finish_map(layer, "post2", model.ffn_map(layer, scaled, biases))
        self.paper = (one + self.ffn) @ (one + self.attention) - one
        self.sum = self.attention + self.ffn
        self.triplet_maps = {"linear": self.paper + one, "attention": one + self.attention,
                             "ffn": self.ffn}
        self.svd = {name: np.linalg.svd(m) for name, m in self.triplet_maps.items()}

    def scaled(self, s1, s2):
        one = np.eye(len(self.ffn))
        return (one + self.ffn * self.r2 / s2) @ (one + self.attention * self.r1 / s1) - one


def nearest_eigenpair(m, e):
    """Eigenvalue, angle of its vector to e in radians, condition and sep, and the next-best overlap."""
    values, vectors = np.linalg.eig(m)
    overlaps = np.abs(vectors.conj().T @ e) / np.linalg.norm(vectors, axis=0)
    best = int(np.argmax(overlaps))
    value, x = values[best], vectors[:, best]
    others = [o for v, o in zip(values, overlaps) if min(abs(v - value), abs(v.conjugate() - value)) > 0]
    # An orthonormal basis that begins with x: the left vector and sep of what is left.
    basis = np.linalg.qr(np.column_stack([x, np.eye(len(m), dtype=complex)]))[0][:, :len(m)]
    rest = basis[:, 1:].conj().T @ m @ basis[:, 1:]
    coupling = basis[:, 0].conj() @ m @ basis[:, 1:]
    gap = value * np.eye(len(rest)) - rest
    left = np.linalg.solve(gap.T, coupling)
    angle = math.atan2(np.linalg.norm(e - (x.conj() @ e) / (x.conj() @ x) * x), overlaps[best])
    return (complex(value.real, abs(value.imag)), angle, math.hypot(1, np.linalg.norm(left)),
            np.linalg.svd(gap, compute_uv=False)[-1], max(others, default=0))


class Comparison:
    """One checkpoint that stands alone in its run, so that phases have their own numbers."""

    def __init__(self, check, name, run, model, sequences, scaled=False, biases=False, solver=None):
        self.check, self.name, self.run, self.model = check, name, run, model
        self.solver, self.scaled_input = solver, scaled
        self.layers = [Layer(model, l, scaled, biases) for l in range(model.layers)]
        self.states, self.middle = model.states(sequences)
        self.norm = np.linalg.norm(self.states, axis=2)
        self.lengths = [len(s) for s in sequences]
        self.initial = np.zeros(self.norm.shape[1], dtype=bool)
        self.initial[np.cumsum([0] + self.lengths[:-1])] = True
        # States are kept of initial tokens and of those that stand out.
        self.kept = self.initial | (self.norm > 4 * np.median(self.norm, axis=1, keepdims=True))
        self.phases, self.margin = find_phases(self.norm, self.initial)

    def get(self, path):
        return self.run[path][0]

    def close(self, path, got, want, tolerance):
        """Everywhere within the tolerance, and missing where it should be."""
        got, want = np.asarray(got, dtype=float), np.asarray(want, dtype=float)
        off = np.abs(got - want)
        good = np.where(np.isnan(want), np.isnan(got), off <= tolerance)
        if not np.all(good):
            at = tuple(int(i) for i in np.argwhere(~good)[0]) if good.ndim else ()
            allowed = np.broadcast_to(tolerance, good.shape)[at]
            self.check(False, f"{self.name} {path}{list(at)}: {got[at]!r}, want {want[at]!r} "
                              f"+- {allowed:.2g}; {int(np.sum(~good))} of {good.size} are off")

    def per_phase(self, path):
        """A place for expectations, NaN where there is no phase."""
        return np.full(self.get(path).shape, np.nan)

    def all(self):
        self.norms()
        self.phase_variables()
        for layer in range(self.model.layers):
            for group in TRIPLETS:
                self.triplets(group, layer)
            self.linearity(layer)
        self.angles()
        self.truth()
        for kind in ("paper", "sum", "scaled"):
            self.eigenpairs(kind)
        self.real_states()
        if "subspace" in self.run:
            self.subspace()
        self.derived()

    # ---- states ----

    def norms(self):
        want = {"initial_mean": self.norm[:, self.initial].mean(axis=1),
                "other_median": np.median(self.norm[:, ~self.initial], axis=1),
                "other_max": self.norm[:, ~self.initial].max(axis=1)}
        for key, value in want.items():
            self.close(f"norm/{key}", self.get(f"norm/{key}"), value, EPS * value)
        mean = unit(self.states[:, self.initial]).mean(axis=1)
        error = EPS / np.linalg.norm(mean, axis=1) + 1e-7  # stored in single precision
        off = np.linalg.norm(self.get("direction/per_state") - unit(mean), axis=1)
        self.close("direction/per_state", off, 0 * off, error)

    def phase_variables(self):
        n, hidden = len(self.phases), self.model.d
        integers = {"first": [p.first for p in self.phases], "last": [p.last for p in self.phases],
                    "plateau_first": [p.plateau[0] for p in self.phases],
                    "plateau_last": [p.plateau[1] for p in self.phases]}
        for key, value in integers.items():
            self.close(f"phase/{key}", self.get(f"phase/{key}"), value + [-1] * (PHASES - n), 0)
        tokens = [p.tokens for p in self.phases] + [[-1, -1]] * (PHASES - n)
        self.close("phase/tokens", self.get("phase/tokens"), tokens, 0)
        ratio = np.array([p.ratio for p in self.phases] + [np.nan] * (PHASES - n))
        self.close("phase/ratio", self.get("phase/ratio"), ratio, 2.1 * EPS * ratio)
        for role in ("explosion", "decay"):
            want = np.zeros(self.model.layers)
            for k in reversed(range(n)):
                want[getattr(self.phases[k], role)] = k + 1
            self.close(f"layer_role/{role}", self.get(f"layer_role/{role}"), want, 0)
        self.directions = []
        missing = np.full(hidden, np.nan)
        for k in range(PHASES):
            both = [None, None]
            for i, kind in enumerate((self.initial, ~self.initial)):
                if k < n and self.phases[k].tokens[i] > 0:
                    both[i] = Direction(self.states, self.kept, self.phases[k],
                                        self.phases[k].members & kind, EPS)
            main = both[0] or both[1]
            self.directions.append(main)
            for key, it in (("direction", main), ("direction_other", both[1])):
                got = self.get(f"phase/{key}")[k]
                self.close(f"phase/{key}[{k}]", np.linalg.norm(got - (it.vector if it else missing)),
                           0 if it else np.nan, it.error if it else 0)
            self.close(f"phase/spread[{k}]", self.get("phase/spread")[k],
                       main.spread if main else np.nan, 2 * main.token_error * DEGREE if main else 0)

    # ---- spectra ----

    def triplets(self, group, layer):
        m = self.layers[layer].triplet_maps[group]
        left, sigma, right = self.layers[layer].svd[group]
        got, residual = self.get(f"{group}/sigma")[layer], self.get(f"{group}/residual")[layer]
        at = f"{group} of layer {layer + 1}"
        self.close(f"{at} sigma", got, sigma[:len(got)], 1e-10 * sigma[0])
        checked = residual[:1] if self.solver == "scalapack" else residual
        self.check(np.all(checked <= RESIDUAL), f"{self.name} {at}: residuals {checked}")
        if self.solver == "scalapack":
            self.check(np.all(np.isnan(residual[1:])), f"{self.name} {at}: residuals without vectors")
        u, v = self.get(f"{group}/u")[layer], self.get(f"{group}/v")[layer]
        true = max(np.linalg.norm(m @ v - got[0] * u), np.linalg.norm(m.T @ u - got[0] * v)) / sigma[0]
        self.close(f"{at} residual as found here", true, residual[0], 2 * ROUNDING)
        self.close(f"{at} lengths", [np.linalg.norm(u), np.linalg.norm(v)], 1, 1e-14 * len(u))
        self.check(u[top_channel(u)] > 0, f"{self.name} {at}: the sign of u")
        # Wedin: the sine of either angle is at most sqrt(2) residual / gap.
        gap = (sigma[0] - sigma[1]) / sigma[0]
        bound = math.sqrt(2) * (residual[0] + ROUNDING) / gap
        sign = math.copysign(1, left[top_channel(u), 0])
        self.check(bound < 0.1, f"{self.name} {at}: the gap is too small to compare vectors")
        self.close(f"{at} u", np.linalg.norm(u - sign * left[:, 0]), 0, 1.01 * bound)
        self.close(f"{at} v", np.linalg.norm(v - sign * right[0]), 0, 1.01 * bound)
        if group == "ffn":
            gap = sigma[0] / sigma[1]
            self.close(f"weight gap of layer {layer + 1}", self.get("layer_role/weight_gap")[layer],
                       gap, 1e-10 * (gap + gap ** 2))

    def linearity(self, layer):
        model, fit = self.model, self.layers[layer].ffn
        gaussian, real = self.get("linear/r2")[layer]
        x = self.middle[layer]
        x = x[np.arange(min(SAMPLE, len(x))) * len(x) // min(SAMPLE, len(x))]
        y, linear = model.ffn(layer, x), model.norm(x) @ fit.T
        want = explained(y, linear, model.has_post)
        # A state off by EPS moves its normed vector by EPS sqrt(d), and y - fit by the Jacobian's.
        moved = EPS * math.sqrt(model.d) * np.array(
            [[np.linalg.norm(j, 2), np.linalg.norm(j - fit, 2)]
             for j in (model.ffn_jacobian(layer, row) for row in x)])
        total = np.linalg.norm(y - y.mean(axis=0))
        of_y, of_left = np.linalg.norm(moved, axis=0) / total
        share = 1 - want
        tolerance = 2 * math.sqrt(share) * of_left + of_left ** 2 + 2 * share * of_y
        if model.has_post:  # the squared cosine of an angle: how far do y and linear turn?
            off = EPS * math.sqrt(model.d * len(x)) * np.linalg.norm(fit, 2)
            turned = of_y + off / np.linalg.norm(linear - linear.mean(axis=0))
            tolerance = 2 * math.sqrt(want * share) * turned + turned ** 2
        self.close(f"r2 of layer {layer + 1}, real", real, want, 1.1 * tolerance)
        # The population that the fit is made for: without gamma2 where it is applied afterwards.
        # The program's own draws are one block among others: six of the blocks' standard deviations.
        random = np.random.default_rng(layer)
        gamma = model.weight(layer, "norm2")
        seen, carried = (gamma, 1) if self.scaled_input else (1, gamma)
        blocks = []
        for _ in range(20):
            x = model.norm(random.standard_normal((SAMPLE, model.d)))
            blocks.append(explained(model.ffn_rows(layer, x * seen), x @ (fit / carried).T, model.has_post))
        self.close(f"r2 of layer {layer + 1}, gaussian", gaussian, np.mean(blocks), 6 * np.std(blocks))
        want = SOLVERS.get(self.solver)
        if want:
            self.check(self.get("linear/solver")[layer] == want, f"{self.name}: the solver is named")

    # ---- against the stored directions, which phase_variables() has compared ----

    def angles(self):
        e, u = self.get("phase/direction"), self.get("linear/u")
        want = {key: self.per_phase(f"linear/{key}") for key in ("angle", "angle_axis", "angle_deflated")}
        for layer in range(self.model.layers):
            axis = np.zeros(self.model.d)
            axis[np.argmax(self.model.reach(layer))] = 1
            for k in range(len(self.phases)):
                top = top_channel(e[k])
                want["angle"][layer, k] = acute(u[layer], e[k])
                want["angle_axis"][layer, k] = acute(axis, e[k])
                want["angle_deflated"][layer, k] = acute(without(u[layer], top), without(e[k], top))
        for key, value in want.items():
            self.close(f"linear/{key}", self.get(f"linear/{key}"), value, 1e-11)

    def truth(self):
        change, ratio = self.per_phase("decay/true_change"), self.per_phase("decay/norm_ratio")
        scale, tolerance = self.per_phase("decay/scale"), self.per_phase("decay/true_change")
        scale_off = scale.copy()
        rms = lambda norm: np.sqrt(norm ** 2 / self.model.d + self.model.eps)
        between = np.linalg.norm(self.middle, axis=2)
        for k in range(len(self.phases)):
            direction = self.directions[k]
            tokens, e = direction.tokens, direction.vector
            for layer in range(self.model.layers):
                before, after = self.norm[layer, tokens], self.norm[layer + 1, tokens]
                ratio[layer, k] = np.mean(after / before)
                behind, off = self.behind(layer, tokens)
                divisors = [rms(before), rms(between[layer, tokens])] * behind
                scale[layer, k] = divisors.mean(axis=1)
                scale_off[layer, k] = (divisors * (EPS + off)).mean(axis=1)
                change[layer, k], tolerance[layer, k] = self.true_change(layer, tokens, e, direction.error)
        self.close("decay/norm_ratio", self.get("decay/norm_ratio"), ratio, 2.1 * EPS * ratio)
        self.close("decay/scale", self.get("decay/scale"), scale, 1.1 * scale_off)
        self.close("decay/true_change", self.get("decay/true_change"), change, tolerance)

    def behind(self, layer, tokens):
        """What post-norms divide the branches' outputs at some tokens by, and its relative error."""
        model, cuts = self.model, np.cumsum(self.lengths)[:-1]
        attended = np.concatenate([model.attention_output(layer, x)
                                   for x in np.split(self.states[layer], cuts)])[tokens]
        x = self.middle[layer, tokens]
        fed = model.ffn_output(layer, model.norm(x) * model.weight(layer, "norm2"))
        if not model.has_post:
            return np.ones((2, len(tokens))), np.zeros((2, len(tokens)))
        self.check(self.initial[tokens].all(), f"{self.name}: attention is linear for initial tokens alone")
        slope = [np.full(len(tokens), np.linalg.norm(model.attention_map(layer), 2)),
                 [np.linalg.norm(model.output_jacobian(layer, row), 2) for row in x]]
        behind = np.array([model.divisor(attended), model.divisor(fed)])
        return behind, EPS * np.array(slope) / behind

    def true_change(self, layer, tokens, e, error):
        """Over the tokens whose states are kept; NaN where less than a tenth of them lies along e."""
        tokens = [t for t in tokens if self.kept[layer, t] and self.kept[layer + 1, t]]
        if not tokens:
            return np.nan, 0
        was, now = self.states[layer, tokens] @ e, self.states[layer + 1, tokens] @ e
        before, after = self.norm[layer, tokens], self.norm[layer + 1, tokens]
        if np.mean(np.abs(was) / before) < 0.1:
            return np.nan, 0
        off = (EPS + error) * (after / np.abs(was) + np.abs(now) * before / was ** 2)
        return np.mean(now / was - 1), 1.1 * off.mean()

    def map_of(self, kind, layer, k):
        if kind == "scaled":
            return self.layers[layer].scaled(*self.get("decay/scale")[layer, k])
        return getattr(self.layers[layer], kind)

    def eigenpairs(self, kind):
        e, n = self.get("phase/direction"), len(self.phases)
        value, angle = self.get(f"decay/{kind}/eigenvalue"), self.get(f"decay/{kind}/angle")
        residual, method = self.get(f"decay/{kind}/residual"), self.get(f"decay/{kind}/method")
        rayleigh = self.per_phase(f"decay/{kind}/rayleigh")
        for layer in range(self.model.layers):
            for k in range(n):
                m = self.map_of(kind, layer, k)
                at = f"decay/{kind} of layer {layer + 1}, phase {k + 1}"
                rayleigh[layer, k] = e[k] @ m @ e[k]
                self.check(residual[layer, k] <= RESIDUAL, f"{self.name} {at}: {residual[layer, k]}")
                full = layer in self.phases[k].explosion + self.phases[k].decay
                self.check(method[layer, k] == 2 if full else method[layer, k] in (1, 2),
                           f"{self.name} {at}: method {method[layer, k]}")
                self.eigenpair(at, m, e[k], complex(*value[layer, k]), angle[layer, k], residual[layer, k])
        self.check(np.isnan(value[:, n:]).all() and np.isnan(angle[:, n:]).all()
                   and np.isnan(residual[:, n:]).all() and (method[:, n:] == -1).all(),
                   f"{self.name} decay/{kind}: missing where there is no phase")
        size = max(np.linalg.norm(l.paper, 2) for l in self.layers)
        self.close(f"decay/{kind}/rayleigh", self.get(f"decay/{kind}/rayleigh"), rayleigh, ROUNDING * size)

    def eigenpair(self, at, m, e, value, angle, residual):
        """First-order bounds: condition of the eigenvalue, sep of the vector, times the backward error."""
        want, want_angle, condition, sep, second = nearest_eigenpair(m, e)
        backward = (residual + len(m) * 2.3e-16) * np.linalg.norm(m, 2) * 2
        turned = backward / sep
        if math.cos(want_angle) - second <= 2 * turned:
            self.check(False, f"{self.name} {at}: two eigenpairs are equally near")
        self.close(at, [value.real, value.imag], [want.real, want.imag], condition * backward)
        self.close(f"{at}, angle", angle, want_angle * DEGREE, turned * DEGREE)

    def real_states(self):
        left, against = self.per_phase("decay/left_over"), self.per_phase("decay/opposition")
        left_off, against_off = left.copy(), left.copy()
        for k in range(len(self.phases)):
            for layer in range(self.model.layers):
                tokens = [t for t in self.directions[k].tokens if self.kept[layer, t]]
                if not tokens:
                    continue
                x, m = unit(self.states[layer, tokens]), self.layers[layer].paper
                moved = x @ m.T
                left[layer, k] = np.linalg.norm(x + moved, axis=1).mean()
                near, far = (np.linalg.norm(unit(moved) + s * x, axis=1) for s in (1, -1))
                against[layer, k] = np.mean(2 * np.arctan2(near, far)) * DEGREE
                left_off[layer, k] = 1.1 * EPS * self.layers[layer].svd["linear"][1][0]
                against_off[layer, k] = 1.1 * EPS * DEGREE * np.mean(
                    1 + np.linalg.norm(m, 2) / np.linalg.norm(moved, axis=1))
        self.close("decay/left_over", self.get("decay/left_over"), left, left_off)
        self.close("decay/opposition", self.get("decay/opposition"), against, against_off)

    # ---- the response to singular vectors ----

    def subspace(self):
        explosion = {layer for phase in self.phases for layer in phase.explosion}
        self.check(len(explosion) > 0, f"{self.name}: no explosion layer to look at")
        sigma, residual = self.get("subspace/sigma"), self.get("subspace/residual")
        response = self.get("subspace/response")
        for layer in range(self.model.layers):
            if layer not in explosion:
                self.check(np.isnan(sigma[layer]).all() and np.isnan(residual[layer]).all()
                           and np.isnan(response[layer]).all(),
                           f"{self.name} subspace: missing at layer {layer + 1}")
                continue
            left, want, right = self.layers[layer].svd["ffn"]
            at = f"subspace of layer {layer + 1}"
            self.close(f"{at} sigma", sigma[layer], want, 1e-10 * want[0])
            self.check(np.all(residual[layer] <= RESIDUAL), f"{self.name} {at}: {residual[layer].max()}")
            self.responses(at, layer, left.T, want, right, response[layer])

    def responses(self, at, layer, left, sigma, right, got):
        """At every v that the gap to its neighbours defines; the null space has no v of its own."""
        model, compared = self.model, 0
        for i, v in enumerate(right):
            gap = np.abs(np.delete(sigma, i) - sigma[i]).min() / sigma[0]
            if gap * 1e-3 < ROUNDING:
                continue
            compared += 1
            v = v * math.copysign(1, left[i, top_channel(left[i])])
            turned = 1.01 * math.sqrt(2) * ROUNDING / gap
            for k, x in enumerate((v, -v)):
                slope = np.linalg.norm(model.ffn_jacobian(layer, x)) * math.sqrt(model.d)
                self.close(f"{at}, vector {i + 1}, sign {k}", got[i, k],
                           np.linalg.norm(model.ffn(layer, x)),
                           np.linalg.norm(self.single_precision(layer, x)) + slope * turned)
        self.check(compared > len(right) // 2, f"{self.name} {at}: only {compared} vectors compared")

    def single_precision(self, layer, x):
        """What single precision may do to the FFN's outputs at x: EPS of each sum's magnitude.

        Sums of a few hundred terms err by that many times 6e-8, below EPS, and so does a value of the
        activation; its slope carries on the error of what it is given.
        """
        model, step = self.model, 1e-6
        y = model.norm(x) * model.weight(layer, "norm2")
        gate, up = (model.linear(layer, part, y) for part in ("gate", "up"))
        of_gate, of_up = (EPS * (np.abs(model.weight(layer, part)) @ np.abs(y)
                                 + np.abs(model.bias(layer, part))) for part in ("gate", "up"))
        slope = np.abs(model.phi(gate + step) - model.phi(gate - step)) / (2 * step)
        hidden = np.abs(model.phi(gate) * up)
        of_hidden = EPS * hidden + 1.1 * (slope * of_gate * np.abs(up) + np.abs(model.phi(gate)) * of_up)
        error = np.abs(model.weight(layer, "down")) @ (EPS * hidden + of_hidden) + EPS * np.abs(model.bias(layer, "down"))
        return model.finish_error(layer, model.ffn_output(layer, y), error)

    def derived(self):
        """Of a run of one checkpoint: the dominant direction, and nothing to compare it with but itself."""
        e = self.get("phase/direction")[0]
        there = len(self.phases) > 0
        self.check(np.array_equal(self.get("direction/vector"), e, equal_nan=True),
                   f"{self.name}: direction/vector is the dominant phase's")
        self.close("direction/participation", self.get("direction/participation"),
                   1 / (e ** 4).sum(), 1e-12 * self.model.d)
        self.check(self.get("direction/top_channel") == (top_channel(e) if there else -1),
                   f"{self.name}: direction/top_channel")
        self.close("direction/to_final", self.get("direction/to_final"), 0 if there else np.nan, 0)
        for key in ("to_previous", "to_parent"):
            self.close(f"direction/{key}", self.get(f"direction/{key}"), np.nan, 0)
