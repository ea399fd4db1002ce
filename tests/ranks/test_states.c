/* The states of a team equal, bit for bit, what one rank alone gets: norms, kept states, samples;
 * for ragged sequences, more ranks than chunks, and states that are not finite. */
#include "pipeline/states.h"

#include <string.h>

#include "solvers/base/memory.h"
#include "solvers/layer_op.h"
#include "tests/support/check.h"
#include "tests/support/made_block.h"

enum { D = 12, LAYERS = 2 };

static int rank, size;

/* ---- made input ---- */

/* Sequences of these lengths, ended by 0. */
static void make_ids(const int64_t *length, sd_ids *ids, int64_t *first)
{
    *ids     = (sd_ids){.first = first};
    first[0] = 0;
    for (; *length > 0; length++) {
        first[ids->n_sequences + 1] = first[ids->n_sequences] + *length;
        ids->n_sequences++;
    }
    ids->n_tokens = first[ids->n_sequences];
}

/* A state that depends on the token alone; every 5th stands out, and every 7th by another factor.
 */
static void made_state(int64_t token, float *x)
{
    uint64_t     state = (uint64_t)token * 2654435761u + 17;
    const double scale = token % 5 == 3 ? 50 : token % 7 == 5 ? 9 : 1;

    for (int i = 0; i < D; i++) x[i] = (float)(scale * made_number(&state));
}

static made_block layer[LAYERS];

static void make_layers(void)
{
    const made_shape shape = {D,           20,     3,    1,   4, SD_WIRING_SEQUENTIAL,
                              SD_ACT_SILU, SD_F32, true, true};

    for (int l = 0; l < LAYERS; l++) {
        make_block(&shape, (uint64_t)l + 1, &layer[l]);
        uint64_t state       = (uint64_t)l + 40;
        layer[l].block.query = made_matrix(&layer[l], &state, &shape, D, D, false);
        layer[l].block.key   = made_matrix(&layer[l], &state, &shape, 4, D, false);
    }

    made_block *last   = &layer[LAYERS - 1];
    uint64_t    state  = 77;
    last->block.post1  = (sd_norm){made_floats(last, &state, D, 1, 0.5), 1e-5};
    last->block.post2  = (sd_norm){made_floats(last, &state, D, 1, 0.5), 1e-3};
    last->block.window = 3;
}

static void free_layers(void)
{
    for (int l = 0; l < LAYERS; l++) free_block(&layer[l]);
}

/* States 0 ... LAYERS of the sequences on a team. `bad`: a token whose state 0 is NaN, or -1. */
static sd_status run_on(MPI_Comm team, const sd_poll *poll, const sd_ids *ids, int64_t bad,
                        sd_states **out)
{
    sd_status  st = SD_OK;
    sd_states *s  = NULL;

    SD_TRY(sd_states_create(team, poll, ids, &layer[0].block, LAYERS, &s));
    for (int64_t t = 0; t < s->n_local; t++) {
        made_state(s->first_token + t, s->x + t * D);
        if (s->first_token + t == bad) s->x[t * D + 3] = NAN;
    }
    SD_TRY(sd_states_record(s, 0));
    for (int64_t l = 0; l < LAYERS; l++) SD_TRY(sd_states_advance(s, &layer[l].block, l));
    *out = s;
    s    = NULL;

done:
    sd_states_destroy(&s);
    return st;
}

/* ---- one rank and many ---- */

static void kept_states_are_equal(const sd_states *many, const sd_states *one, int64_t n_tokens)
{
    int64_t others = 0;

    for (int64_t l = 0; l <= LAYERS; l++) {
        CHECK(many->kept[l].n == (rank == 0 ? one->kept[l].n : 0)); /* the leader has them alone */
        for (int64_t t = 0; t < n_tokens; t++) {
            const float *a = sd_states_kept(many, l, t), *b = sd_states_kept(one, l, t);

            if (rank != 0) CHECK(a == NULL);
            if (rank != 0) continue;
            CHECK((a == NULL) == (b == NULL));
            if (one->initial[t]) CHECK(b != NULL);
            if (a != NULL && b != NULL) CHECK(memcmp(a, b, D * sizeof *a) == 0);
            others += b != NULL && !one->initial[t];
        }
    }
    if (rank == 0 && n_tokens > 100) CHECK(others > 0); /* some do stand out */
}

static double root(int64_t n, const float *x, double eps)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return sqrt(sum / (double)n + eps);
}

/* Before the FFN: the norm's, and times what the last layer's post-norm divides the FFN by. */
static void divisors_are_those_of_the_norms(const sd_states *s)
{
    sd_block    plain    = layer[LAYERS - 1].block;
    const float relative = 1e-4f; /* floats, in sums of a few hundred */
    sd_forward *forward  = NULL;
    float       y[D];

    plain.post2.gamma = NULL;
    CHECK(sd_forward_create(&plain, 1, 1, &forward) == SD_OK);
    for (int64_t t = 0; t < s->n_local; t++) {
        const float *mid = s->mid + t * D;
        const double got = s->divisor[(2 * LAYERS - 1) * s->n_tokens + s->first_token + t];

        CHECK(sd_forward_ffn(forward, &plain, 1, mid, y) == SD_OK);
        CLOSE(got / (root(D, mid, plain.norm2.eps) * root(D, y, plain.post2.eps)), 1, relative);
    }
    for (int64_t t = 0; t < s->n_tokens; t++) /* no post-norm in the first layer */
        CLOSE(s->divisor[t], sqrt(s->norm[t] * s->norm[t] / D + layer[0].block.norm1.eps),
              1e-14 * s->norm[t]);
    sd_forward_destroy(&forward);
}

/*
 * A token in front sees itself alone: A over its divisor, as the map `scaled` takes it, is its
 * attention exactly, post-norm and all.
 */
static void attention_of_one_token_is_linear_over_its_divisor(const sd_states *s)
{
    const sd_linear_options options = {false, false};
    sd_layer_op            *op      = NULL;
    double                  x[D], y[D];

    CHECK(sd_layer_op_create(&layer[LAYERS - 1].block, &options, &op) == SD_OK);
    for (int64_t t = 0; rank == 0 && op != NULL && t < s->n_local; t++) {
        const float *before = sd_states_kept(s, LAYERS - 1, t), *mid = s->mid + t * D;
        sd_layer_map map = sd_map_scaled(op, s->divisor[(2 * LAYERS - 2) * s->n_tokens + t], 1);

        const double norm = s->norm[(LAYERS - 1) * s->n_tokens + t];

        if (!s->initial[t]) continue;
        for (int64_t i = 0; i < D; i++) x[i] = before[i];
        map.ffn = 0;
        CHECK(sd_layer_op_apply_block(op, map, 1, x, y) == SD_OK);
        for (int64_t i = 0; i < D; i++) CLOSE(x[i] + y[i], mid[i], 1e-5 * norm);
    }
    sd_layer_op_destroy(&op);
}

/* The sample of layer LAYERS - 1 goes to each rank in turn, and says the same everywhere. */
static void samples_are_equal(const sd_states *many, const sd_states *one)
{
    static float mine[1024 * D], want[1024 * D];

    CHECK(many->n_sample == (many->n_tokens < 1024 ? many->n_tokens : 1024));
    CHECK(sd_states_sample(one, 0, want) == SD_OK);
    for (int64_t i = 0; i < one->n_sample; i++) /* evenly spread over all tokens */
        CHECK(memcmp(want + i * D, one->mid + i * one->n_tokens / one->n_sample * D,
                     D * sizeof *want) == 0);
    for (int owner = 0; owner < size; owner++) {
        memset(mine, 0, sizeof mine);
        CHECK(sd_states_sample(many, owner, mine) == SD_OK);
        if (rank == owner)
            CHECK(memcmp(mine, want, (size_t)many->n_sample * D * sizeof *mine) == 0);
    }
}

static void many_ranks_equal_one(const int64_t *length)
{
    int64_t    first[512];
    sd_ids     ids;
    sd_states *many = NULL, *one = NULL;

    make_ids(length, &ids, first);
    CHECK(run_on(MPI_COMM_WORLD, NULL, &ids, -1, &many) == SD_OK);
    CHECK(run_on(MPI_COMM_SELF, NULL, &ids, -1, &one) == SD_OK);
    if (many == NULL || one == NULL) return;

    const size_t norms = (size_t)((LAYERS + 1) * ids.n_tokens) * sizeof(double);
    int64_t      local = many->n_local;
    CHECK(memcmp(many->norm, one->norm, norms) == 0);
    CHECK(memcmp(many->divisor, one->divisor, (size_t)(2 * LAYERS * ids.n_tokens) * 8) == 0);
    CHECK(memcmp(many->x, one->x + many->first_token * D,
                 (size_t)(many->n_local * D) * sizeof(float)) == 0);
    kept_states_are_equal(many, one, ids.n_tokens);
    divisors_are_those_of_the_norms(many);
    attention_of_one_token_is_linear_over_its_divisor(many);
    samples_are_equal(many, one);
    MPI_Allreduce(MPI_IN_PLACE, &local, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    CHECK(local == ids.n_tokens); /* every token has one owner */
    sd_states_destroy(&many);
    sd_states_destroy(&one);
}

/* Norms are those of the states, the kept ones too, and what stands out is above 4 medians. */
static void norms_are_of_the_states(void)
{
    const int64_t length[] = {30, 30, 30, 0};
    int64_t       first[8];
    sd_ids        ids;
    sd_states    *s = NULL;
    float         x[D];

    make_ids(length, &ids, first);
    CHECK(run_on(MPI_COMM_SELF, NULL, &ids, -1, &s) == SD_OK);
    for (int64_t t = 0; s != NULL && t < ids.n_tokens; t++) {
        const float *kept = sd_states_kept(s, 0, t);
        double       sum  = 0;

        made_state(t, x);
        for (int i = 0; i < D; i++) sum += (double)x[i] * x[i];
        CLOSE(s->norm[t], sqrt(sum), 4e-16 * sqrt(sum) * D); /* D roundings */
        if (t % 30 == 0 || t % 5 == 3) CHECK(kept != NULL && memcmp(kept, x, sizeof x) == 0);
        if (t % 30 != 0 && t % 5 != 3 && t % 7 != 5) CHECK(kept == NULL);
    }
    CHECK(s != NULL && sd_states_kept(s, 0, ids.n_tokens) == NULL);
    sd_states_destroy(&s);
}

/* ---- what goes wrong ---- */

/* Whoever holds the token: every rank refuses it with the same words. */
static void a_state_that_is_not_finite_is_everybodys(void)
{
    const int64_t length[] = {600, 600, 600, 600, 5, 0};
    const int64_t bad[]    = {0, 700, 1900, 2404};
    int64_t       first[16];
    sd_ids        ids;
    char          want[256];

    make_ids(length, &ids, first);
    for (int i = 0; i < 4; i++) {
        sd_states *s = NULL;

        sd_clear();
        snprintf(want, sizeof want, "state 0 of token %d is not finite", (int)bad[i]);
        CHECK(run_on(MPI_COMM_WORLD, NULL, &ids, bad[i], &s) == SD_ERR_INPUT && s == NULL);
        CHECK(strncmp(sd_message(), want, strlen(want)) == 0);
    }
    sd_clear();
}

static int calls;

static sd_status stop_on_last(void *context)
{
    (void)context;
    calls++;
    return rank == size - 1 ? sd_fail(SD_INTERRUPTED, __FILE__, __LINE__, "stop") : SD_OK;
}

/* One rank is told to stop, all leave the layer; a rank without chunks never asks. */
static void a_stop_of_one_rank_stops_all(void)
{
    const int64_t length[] = {600, 600, 600, 600, 600, 0};
    const sd_poll poll     = {stop_on_last, NULL};
    int64_t       first[16];
    sd_ids        ids;
    sd_states    *s = NULL;

    make_ids(length, &ids, first);
    sd_clear();
    CHECK(run_on(MPI_COMM_WORLD, &poll, &ids, -1, &s) == SD_INTERRUPTED && s == NULL);
    CHECK(calls > 0);
    sd_clear();
}

/* The k-th allocation fails on one rank; the others must not wait for it. */
static void a_shortage_of_one_rank_is_everybodys(void)
{
    const int64_t length[] = {600, 600, 600, 5, 0};
    sd_status     st       = SD_ERR_RESOURCE;
    int64_t       first[16], k = 0;
    sd_ids        ids;

    make_ids(length, &ids, first);
    while (st == SD_ERR_RESOURCE) {
        sd_states *s = NULL;
        int        least, most;

        sd_clear();
        k++;
        if (rank == size / 2) sd_alloc_fail_at(k);
        st    = run_on(MPI_COMM_WORLD, NULL, &ids, -1, &s);
        least = most = (int)st;
        MPI_Allreduce(MPI_IN_PLACE, &least, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
        MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
        CHECK(least == most && (st == SD_OK || st == SD_ERR_RESOURCE));
        sd_states_destroy(&s);
    }
    sd_alloc_fail_at(0);
    CHECK(k > 10);
}

int main(int argc, char **argv)
{
    int64_t ragged[301];

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    make_layers();

    for (int i = 0; i < 300; i++) ragged[i] = 1 + (i * 37) % 29;
    ragged[300] = 0;
    norms_are_of_the_states();
    many_ranks_equal_one((const int64_t[]){1, 0});       /* one chunk: most ranks have none */
    many_ranks_equal_one((const int64_t[]){7, 1, 3, 0}); /* one chunk again, ragged         */
    many_ranks_equal_one((const int64_t[]){1500, 3, 1024, 1, 1023, 2, 0}); /* longer than a chunk */
    many_ranks_equal_one((const int64_t[]){600, 600, 600, 600, 600, 600, 600, 0});
    many_ranks_equal_one(ragged);
    a_state_that_is_not_finite_is_everybodys();
    a_stop_of_one_rank_stops_all();
    a_shortage_of_one_rank_is_everybodys();
    free_layers();

    MPI_Allreduce(MPI_IN_PLACE, &check_failures, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    MPI_Finalize();
    return REPORT();
}
