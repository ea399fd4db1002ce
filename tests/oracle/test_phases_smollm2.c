/* On SmolLM2-135M-Instruct the rule finds the two phases that an independent program found. */
#include "solvers/base/memory.h"
#include "solvers/phases.h"
#include "tests/support/check.h"
#include "tests/support/plain_safetensors.h"

/*
 * The file holds the high tokens and each state's median over all tokens. The others only enter
 * through that median: here they are two at the median and as many below and above as keep it
 * there.
 */
static void fill_state(int64_t n_high, const float *high, double median, int64_t n, double *norm)
{
    int64_t below = n / 2 - 1;

    for (int64_t t = 0; t < n_high; t++) {
        norm[t] = high[t];
        below -= high[t] < median ? 1 : 0;
    }
    for (int64_t t = n_high; t < n; t++) {
        const int64_t k = t - n_high;

        norm[t] = k < below ? 0.5 * median : k < below + 2 ? median : 1.5 * median;
    }
}

static bool marks(const bool *layer, int64_t n_layers, const int *want)
{
    for (int64_t l = 1; l <= n_layers; l++)
        if (layer[l - 1] != (l == want[0] || l == want[1])) return false;
    return true;
}

int main(void)
{
    char        path[4096];
    const char *data = getenv("SD_TEST_DATA");

    if (data == NULL) plain_fail("SD_TEST_DATA", "not set");
    snprintf(path, sizeof path, "%s/phases/smollm2.safetensors", data);
    plain_file         file  = plain_open(path);
    const plain_tensor saved = plain_get(&file, "norm"), median = plain_get(&file, "median");
    const int64_t      n_high = saved.shape[1], n_states = saved.shape[0];
    const int64_t      n       = *(const int64_t *)plain_get(&file, "n_tokens").data;
    const int64_t     *initial = plain_get(&file, "initial").data;
    double            *norm;
    bool              *is_initial;
    sd_phases         *p = NULL;

    CHECK(n_high == 949 && n_states == 31 && n == 48384);
    CHECK(sd_alloc(n_states * n, sizeof *norm, &norm) == SD_OK);
    CHECK(sd_alloc(n, sizeof *is_initial, &is_initial) == SD_OK);
    for (int64_t t = 0; t < n_high; t++) is_initial[t] = initial[t] != 0;
    for (int64_t l = 0; l < n_states; l++)
        fill_state(n_high, (const float *)saved.data + l * n_high, ((const double *)median.data)[l],
                   n, norm + l * n);

    CHECK(sd_phases_find(&(sd_norms){n_states - 1, n, norm, is_initial}, &p) == SD_OK);
    CHECK(p->n_phases == 2);
    if (p->n_phases != 2) return REPORT();
    const sd_phase *large = &p->phase[0], *small = &p->phase[1];

    CHECK(large->first == 12 && large->last == 30);
    CHECK(large->plateau_first == 12 && large->plateau_last == 28);
    CHECK(large->tokens[0] == 216 && large->tokens[1] == 217 - 216);
    CHECK(marks(large->explosion, 30, (int[]){12, 12}) && marks(large->decay, 30, (int[]){29, 30}));
    CHECK(small->first == 2 && small->last == 9);
    CHECK(small->plateau_first == 3 && small->plateau_last == 9);
    CHECK(small->tokens[0] == 216 && small->tokens[1] == 948 - 216);
    CHECK(marks(small->explosion, 30, (int[]){2, 3}) && marks(small->decay, 30, (int[]){10, 11}));
    /* norms from a forward pass in float agree to 1e-4 between implementations; a ratio has two */
    CLOSE(large->ratio / 167.3248291015625, 1, 2e-4);
    CLOSE(small->ratio / 7.577969074249268, 1, 2e-4);

    sd_phases_destroy(&p);
    CHECK(p == NULL);
    sd_free(norm);
    sd_free(is_initial);
    plain_close(&file);
    return REPORT();
}
