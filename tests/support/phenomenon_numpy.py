"""High-norm tokens, phases, directions and what happens to them, in numpy, from the definitions alone.

Written from docs/notation.md and solvers/phases.h; states are [N + 1, tokens, d], layers are indices.
"""
import itertools
import math

import numpy as np

PHASES = 4


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def acute(a, b):
    """Acute angle in degrees, accurate near 0."""
    a, b = unit(a), unit(b)
    near, far = sorted((np.linalg.norm(a - b), np.linalg.norm(a + b)))
    return math.degrees(2 * math.atan2(near, far))


def stretches(flags):
    """First and last index of each run of true values."""
    at = 0
    for flag, group in itertools.groupby(flags):
        length = len(list(group))
        if flag:
            yield at, at + length - 1
        at += length


class Phase:
    def __init__(self, norm, relative, initial, members, first, last):
        self.first, self.last, self.members = first, last, members
        self.tokens = [int((members & initial).sum()), int((members & ~initial).sum())]
        rise, fall = np.median(relative[:, members], axis=1), np.median(norm[:, members], axis=1)
        peak = first + int(np.argmax(rise[first:last + 1]))
        self.ratio = rise[peak]
        self.explosion = [l for l in range(max(first - 2, 0), peak) if rise[l + 1] >= 2 * rise[l]]
        self.decay = [l for l in range(peak, min(last + 2, len(norm) - 1)) if fall[l] >= 1.5 * fall[l + 1]]
        self.plateau = (self.explosion[-1] + 1 if self.explosion else first,
                        self.decay[0] if self.decay else last)
        # Closest that a comparison comes to equality, relative: what rounding may turn around.
        up, down = rise[1:] / rise[:-1] / 2, fall[:-1] / fall[1:] / 1.5
        self.margin = min(abs(np.concatenate([up, down]) - 1).min(), self._second(rise, peak))

    def _second(self, rise, peak):
        others = np.delete(rise[self.first:self.last + 1], peak - self.first)
        return 1 - others.max() / rise[peak] if len(others) else 1


def find_phases(norm, initial):
    """Phases by falling ratio, and how close any comparison came to equality."""
    layers = len(norm) - 1
    relative = norm / np.median(norm, axis=1, keepdims=True)
    high = relative > 4
    in_run = np.zeros_like(high)
    for token in range(norm.shape[1]):
        for first, last in stretches(high[:, token]):
            in_run[first:last + 1, token] |= last - first + 1 >= math.ceil(layers / 10)
    n_high, count = in_run.any(axis=0).sum(), in_run.sum(axis=1)
    phases = [Phase(norm, relative, initial, in_run[first:last + 1].any(axis=0), first, last)
              for first, last in stretches((count > 0) & (count >= 0.05 * n_high))]
    margin = min([abs(relative / 4 - 1).min()] + [p.margin for p in phases])
    return sorted(phases, key=lambda p: -p.ratio)[:PHASES], margin


class Direction:
    """Direction over some tokens of a phase, with the error that states off by `eps` give it."""

    def __init__(self, states, kept, phase, tokens, eps):
        self.tokens = np.flatnonzero(tokens)
        plateau = range(phase.plateau[0], phase.plateau[1] + 1)
        at = {token: [l for l in plateau if kept[l, token]] for token in self.tokens}
        means = np.array([unit(states[at[t], t]).mean(axis=0) for t in self.tokens if at[t]])
        lengths = np.linalg.norm(means, axis=1)
        per_token = unit(means)
        mean = per_token.mean(axis=0)
        self.vector = unit(mean)
        # A unit vector is off by what the state is off, a normalised mean by that over its length.
        self.token_error = eps / lengths.min()
        self.error = self.token_error / np.linalg.norm(mean)
        pairs = [acute(a, b) for a, b in itertools.combinations(per_token, 2)]
        self.spread = float(np.mean(pairs)) if pairs else math.nan
