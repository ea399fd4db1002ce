"""Prints the reference table of tests/unit/test_angle.c. Needs mpmath; independent of the C code."""
import mpmath as mp

mp.mp.dps = 60
HALF = mp.mpf(1) / 2


def log10_chance(d, angle):
    """log10 of I_x((d-1)/2, 1/2), x = sin^2(angle): the hypergeometric series, or the other side's integral."""
    if d == 1 or angle == 90:
        return mp.mpf(0)
    a, x = mp.mpf(d - 1) / 2, mp.sin(mp.radians(angle)) ** 2
    if x < mp.mpf("0.9"):
        value = x**a * mp.sqrt(1 - x) / (a * mp.beta(a, HALF)) * mp.hyp2f1(a + HALF, 1, a + 1, x)
    else:
        value = 1 - mp.betainc(HALF, a, 0, 1 - x, regularized=True)
    return mp.log10(value)


for d in (2, 3, 37, 576, 4096, 8192):
    for angle in ("1e-6", "0.1", "6", "30", "60", "85", "89.5", "90"):
        print(f"    {{{d}, {angle}, {mp.nstr(log10_chance(d, mp.mpf(angle)), 20)}}},")
