#include "solvers/forward/rope.h"

#include <math.h>

static const double TWO_PI = 6.28318530717958647693;

/*
 * The reference's `llama3` rule, each step rounded to float as its tensors are. Waves longer than
 * the original context over `low_freq_factor` are stretched, those shorter than it over
 * `high_freq_factor` are kept, and a linear ramp in 1 / wavelength joins them.
 */
static float llama3_inv_freq(const sd_rope_options *o, float inv_freq)
{
    const float wavelength = (float)TWO_PI / inv_freq;
    const float longest    = (float)(o->original_positions / o->low_freq_factor);
    const float shortest   = (float)(o->original_positions / o->high_freq_factor);
    const float factor     = (float)o->factor;

    if (wavelength > longest) return inv_freq / factor;
    if (wavelength < shortest) return inv_freq;

    const float span = (float)(o->high_freq_factor - o->low_freq_factor);
    const float ramp =
        ((float)o->original_positions / wavelength - (float)o->low_freq_factor) / span;
    return (1.0f - ramp) * inv_freq / factor + ramp * inv_freq;
}

void sd_rope_inv_freq(const sd_rope_options *options, int64_t d_head, float *inv_freq)
{
    for (int64_t i = 0; i < d_head / 2; i++) {
        const float exponent = (float)(2 * i) / (float)d_head;
        const float power    = (float)pow((double)(float)options->theta, (double)exponent);
        const float plain    = 1.0f / power;

        switch (options->kind) {
        case SD_ROPE_DEFAULT: inv_freq[i] = plain; break;
        case SD_ROPE_LINEAR: inv_freq[i] = plain / (float)options->factor; break;
        case SD_ROPE_LLAMA3: inv_freq[i] = llama3_inv_freq(options, plain); break;
        }
    }
}

void sd_rope_table(int64_t length, int64_t half, const float *inv_freq, float *cosine, float *sine)
{
    for (int64_t p = 0; p < length; p++) {
        for (int64_t i = 0; i < half; i++) {
            const float angle = (float)p * inv_freq[i];

            cosine[p * half + i] = cosf(angle);
            sine[p * half + i]   = sinf(angle);
        }
    }
}

void sd_rope_apply(int64_t length, int64_t n_heads, int64_t half, const float *cosine,
                   const float *sine, float *x)
{
    for (int64_t p = 0; p < length; p++) {
        const float *c = cosine + p * half, *s = sine + p * half;

        for (int64_t h = 0; h < n_heads; h++) {
            float *low = x + (p * n_heads + h) * 2 * half, *high = low + half;

            for (int64_t i = 0; i < half; i++) {
                const float a = low[i], b = high[i];

                low[i]  = a * c[i] - b * s[i];
                high[i] = b * c[i] + a * s[i];
            }
        }
    }
}
