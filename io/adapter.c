#include "io/adapter.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "solvers/base/memory.h"

/* As in solvers/matrix.c: one binary for every machine, and the same bits on all of them. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define KERNEL __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define KERNEL
#endif

enum {
    ROWS  = 4,   /* that are made at once: a column of the right factor serves all of them */
    LANES = 16,  /* columns that are made at once: their sums stay in registers            */
    PIECE = 4096 /* numbers that are read at once                                          */
};

/* What a tensor of the adapter does to one of the base. */
typedef enum { PART_A, PART_B, PART_EMBED_A, PART_EMBED_B, PART_BIAS, PART_WHOLE, N_PARTS } effect;

/* The end of an adapter's name, and that of the base's which it changes. */
static const struct {
    const char *end;
    effect      how;
    const char *target;
} ends[] = {
    {".lora_A.weight", PART_A, ".weight"},          {".lora_B.weight", PART_B, ".weight"},
    {".lora_embedding_A", PART_EMBED_A, ".weight"}, {".lora_embedding_B", PART_EMBED_B, ".weight"},
    {".lora_B.bias", PART_BIAS, ".bias"},           {".base_layer.weight", PART_WHOLE, ".weight"},
    {".base_layer.bias", PART_WHOLE, ".bias"},      {"", PART_WHOLE, ""},
};

static const char PREFIX[] = "base_model.model."; /* of all names of an adapter */

/* What becomes of one tensor of the base: `whole` in its place, then scale · left · right added to
 * it; left is rows x rank, right rank x cols, each perhaps stored transposed. */
typedef struct {
    sd_tensor_info info;
    int64_t        part[N_PARTS]; /* tensors of the adapter, plus 1; 0: none         */
    int64_t        left, right;   /* likewise; right 0 with left: a column of ones   */
    bool           transposed;
    int64_t        rows, cols, rank;
    double         scale;
    double        *held; /* `right` of an embedding in panels, or NULL */
} change;

struct sd_adapter {
    sd_checkpoint *base, *weights;
    int64_t        n; /* tensors of the base */
    change        *change;
};

/* ---- names ---- */

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), want = strlen(end);

    return length > want && strcmp(text + length - want, end) == 0;
}

/* The tensor of the base that a tensor of the adapter changes, -1: none; and how. */
static sd_status find_target(const sd_adapter *a, const char *name, effect *how, int64_t *target)
{
    sd_status st     = SD_OK;
    char     *wanted = NULL;
    int       k      = 0;

    *target = -1;
    if (strncmp(name, PREFIX, sizeof PREFIX - 1) != 0) return SD_OK;
    name += sizeof PREFIX - 1;
    while (!ends_with(name, ends[k].end) && ends[k].end[0] != '\0') k++;
    *how                = ends[k].how;
    const size_t module = strlen(name) - strlen(ends[k].end);
    const size_t bytes  = module + strlen(ends[k].target) + 1;
    SD_TRY(sd_alloc((int64_t)bytes, 1, &wanted));
    snprintf(wanted, bytes, "%.*s%s", (int)module, name, ends[k].target);
    *target = sd_checkpoint_find(a->base, wanted);

done:
    sd_free(wanted);
    return st;
}

static const char *name_of(const sd_adapter *a, int64_t part)
{
    return sd_checkpoint_tensor(a->weights, part - 1)->name;
}

static const sd_tensor_info *info_of(const sd_adapter *a, int64_t part)
{
    return sd_checkpoint_tensor(a->weights, part - 1);
}

/* The one file of the adapter's tensors. */
static const char *file_name(const sd_adapter *a)
{
    return sd_checkpoint_file_of(a->weights, 0);
}

static sd_status sort_tensors(sd_adapter *a)
{
    sd_status st = SD_OK;
    effect    how;
    int64_t   target;

    SD_REQUIRE(sd_checkpoint_count(a->weights) > 0, SD_ERR_INPUT,
               "the adapter has no tensors; copy it again");
    for (int64_t t = 0; t < sd_checkpoint_count(a->weights); t++) {
        const char *name = sd_checkpoint_tensor(a->weights, t)->name;

        SD_TRY(find_target(a, name, &how, &target));
        SD_REQUIRE(target >= 0, SD_ERR_INPUT,
                   "%s: tensor '%s' changes nothing that the base has: the adapter is of another "
                   "model, or does what is not supported",
                   file_name(a), name);
        int64_t *place = &a->change[target].part[how];
        SD_REQUIRE(*place == 0, SD_ERR_INPUT, "%s: tensors '%s' and '%s' are for the same",
                   file_name(a), name_of(a, *place), name);
        *place = t + 1;
    }

done:
    return st;
}

/* ---- what a change is ---- */

static bool has_shape(const sd_tensor_info *info, int64_t rows, int64_t cols)
{
    return info->n_dims == 2 && info->shape[0] == rows && info->shape[1] == cols;
}

static sd_status check_whole(const sd_adapter *a, const change *c)
{
    sd_status             st    = SD_OK;
    const sd_tensor_info *whole = info_of(a, c->part[PART_WHOLE]);
    bool                  same  = whole->n_dims == c->info.n_dims;

    for (int k = 0; k < whole->n_dims && same; k++) same = whole->shape[k] == c->info.shape[k];
    SD_REQUIRE(same && whole->type >= 0, SD_ERR_INPUT,
               "%s: tensor '%s' has another shape than '%s' of the base, or no numbers: the "
               "vocabulary was resized, or the adapter is of another model",
               file_name(a), whole->name, c->info.name);

done:
    return st;
}

/* The product needs both of its factors, numbers in both, and a base to be added to. */
static sd_status check_pair(const sd_adapter *a, const change *c, int64_t first, int64_t second,
                            const char *missing)
{
    sd_status     st  = SD_OK;
    const int64_t one = first != 0 ? first : second;

    SD_REQUIRE(first != 0 && second != 0, SD_ERR_INPUT, "%s: tensor '%s' has no %s beside it",
               file_name(a), name_of(a, one), missing);
    SD_REQUIRE(info_of(a, first)->type >= 0 && info_of(a, second)->type >= 0, SD_ERR_INPUT,
               "%s: tensor '%s' or its other half is stored as no numbers, want F32, F16, BF16 or "
               "F64",
               file_name(a), name_of(a, first));
    SD_REQUIRE(c->info.type >= 0 && c->info.n_dims == 2, SD_ERR_INPUT,
               "%s: tensor '%s' changes '%s', which is no matrix of numbers in the base",
               file_name(a), name_of(a, first), c->info.name);

done:
    return st;
}

/* Takes A and B as left and right factor, and holds their shapes against the base and the rank. */
static sd_status take_factors(const sd_adapter *a, change *c, int64_t factor_a, int64_t factor_b)
{
    sd_status     st   = SD_OK;
    const int64_t in   = c->transposed ? c->rows : c->cols;
    const int64_t wide = c->transposed ? c->cols : c->rows;

    c->left  = c->transposed ? factor_a : factor_b;
    c->right = c->transposed ? factor_b : factor_a;
    SD_REQUIRE(has_shape(info_of(a, factor_a), c->rank, in), SD_ERR_INPUT,
               "%s: tensor '%s' does not fit, want %" PRId64 " x %" PRId64
               " by the rank in adapter_config.json and by the base",
               file_name(a), name_of(a, factor_a), c->rank, in);
    SD_REQUIRE(has_shape(info_of(a, factor_b), wide, c->rank), SD_ERR_INPUT,
               "%s: tensor '%s' does not fit, want %" PRId64 " x %" PRId64
               " by the rank in adapter_config.json and by the base",
               file_name(a), name_of(a, factor_b), wide, c->rank);

done:
    return st;
}

/* The bias as a column: rank 1, and ones on the right. */
static sd_status take_bias(const sd_adapter *a, change *c)
{
    sd_status             st   = SD_OK;
    const sd_tensor_info *bias = info_of(a, c->part[PART_BIAS]);

    SD_REQUIRE(c->info.n_dims == 1 && c->info.type >= 0 && bias->n_dims == 1 && bias->type >= 0 &&
                   bias->shape[0] == c->info.shape[0],
               SD_ERR_INPUT, "%s: tensor '%s' does not fit '%s' of the base", file_name(a),
               bias->name, c->info.name);
    c->left = c->part[PART_BIAS];
    c->rank = 1;

done:
    return st;
}

/* The module's name as the config's patterns see it: the base's, without ".weight" or ".bias". */
static int64_t module_length(const char *name)
{
    return strrchr(name, '.') - name;
}

static sd_status take_product(const sd_adapter *a, const sd_adapter_config *config, change *c)
{
    sd_status      st       = SD_OK;
    const int64_t *part     = c->part;
    const bool     linear   = part[PART_A] != 0 || part[PART_B] != 0;
    const bool     embedded = part[PART_EMBED_A] != 0 || part[PART_EMBED_B] != 0;

    c->rows = c->info.n_dims > 0 ? c->info.shape[0] : 1;
    c->cols = c->info.n_dims > 1 ? c->info.shape[1] : 1;
    SD_TRY(sd_adapter_config_scale(config, c->info.name, module_length(c->info.name), &c->rank,
                                   &c->scale));
    SD_REQUIRE(!linear || !embedded, SD_ERR_INPUT,
               "%s: '%s' of the base is changed as a matrix and as an embedding", file_name(a),
               c->info.name);
    c->transposed = embedded || sd_adapter_config_transposed(config);
    if (linear) {
        SD_TRY(
            check_pair(a, c, part[PART_A], part[PART_B], part[PART_A] != 0 ? "lora_B" : "lora_A"));
        SD_TRY(take_factors(a, c, part[PART_A], part[PART_B]));
    } else if (embedded) {
        SD_TRY(check_pair(a, c, part[PART_EMBED_A], part[PART_EMBED_B],
                          part[PART_EMBED_A] != 0 ? "lora_embedding_B" : "lora_embedding_A"));
        SD_TRY(take_factors(a, c, part[PART_EMBED_A], part[PART_EMBED_B]));
    } else {
        SD_TRY(take_bias(a, c));
    }
    c->info.type   = SD_F32;
    c->info.format = sd_dtype_name(SD_F32);
    c->info.bytes = c->info.stored = c->info.elements * (int64_t)sizeof(float);

done:
    return st;
}

static bool has_product(const change *c)
{
    for (int k = 0; k < PART_WHOLE; k++)
        if (c->part[k] != 0) return true;
    return false;
}

static sd_status make_change(const sd_adapter *a, const sd_adapter_config *config, change *c)
{
    sd_status st = SD_OK;

    if (c->part[PART_WHOLE] != 0) {
        const char *name = c->info.name;

        SD_TRY(check_whole(a, c));
        c->info      = *info_of(a, c->part[PART_WHOLE]);
        c->info.name = name;
    }
    if (has_product(c)) SD_TRY(take_product(a, config, c));

done:
    return st;
}

/* ---- reading ---- */

/* Reads `n` numbers of a tensor, from `first` on. */
static sd_status read_numbers(const sd_checkpoint *from, int64_t tensor, int64_t first, int64_t n,
                              double *out)
{
    sd_status      st   = SD_OK;
    const sd_dtype type = (sd_dtype)sd_checkpoint_tensor(from, tensor)->type;
    const int64_t  size = sd_dtype_size(type);
    double         raw[PIECE];
    float          single[PIECE];

    while (n > 0) {
        const int64_t count = n < PIECE ? n : PIECE;

        SD_TRY(sd_checkpoint_read(from, tensor, first * size, count * size, raw));
        if (type == SD_F64) {
            memcpy(out, raw, (size_t)(count * size));
        } else {
            sd_to_float(type, count, raw, single);
            for (int64_t k = 0; k < count; k++) out[k] = (double)single[k];
        }
        first += count;
        out += count;
        n -= count;
    }

done:
    return st;
}

/* The right factor lies in panels of LANES columns, each rank x LANES: numbers of one sum are
 * neighbours. Behind the last column stand zeros. */
static int64_t panels(const change *c)
{
    return (c->cols + LANES - 1) / LANES;
}

static double *in_panel(const change *c, double *right, int64_t k, int64_t j)
{
    return right + (j / LANES * c->rank + k) * LANES + j % LANES;
}

/* Reads the right factor, rank x cols or stored transposed, into panels that are zero. */
static sd_status read_right(const sd_adapter *a, const change *c, double *out)
{
    sd_status     st    = SD_OK;
    const int64_t rows  = c->transposed ? c->cols : c->rank;
    const int64_t width = c->transposed ? c->rank : c->cols;
    double       *row   = NULL;

    if (c->right == 0) {
        *in_panel(c, out, 0, 0) = 1;
        return SD_OK;
    }
    SD_TRY(sd_alloc(width, sizeof *row, &row));
    for (int64_t i = 0; i < rows; i++) {
        SD_TRY(read_numbers(a->weights, c->right - 1, i * width, width, row));
        for (int64_t k = 0; k < width; k++)
            *(c->transposed ? in_panel(c, out, k, i) : in_panel(c, out, i, k)) = row[k];
    }

done:
    sd_free(row);
    return st;
}

/* n rows of the left factor, from row i on, each of `rank` numbers. */
static sd_status read_left(const sd_adapter *a, const change *c, int64_t i, int64_t n, double *out)
{
    sd_status st = SD_OK;
    double    column[ROWS];

    if (!c->transposed || c->right == 0)
        return read_numbers(a->weights, c->left - 1, i * c->rank, n * c->rank, out);
    for (int64_t k = 0; k < c->rank; k++) {
        SD_TRY(read_numbers(a->weights, c->left - 1, k * c->rows + i, n, column));
        for (int64_t r = 0; r < n; r++) out[r * c->rank + k] = column[r];
    }

done:
    return st;
}

/* sum[r] = left[r] · panel for ROWS rows; each sum goes through k upwards. */
KERNEL static void multiply(int64_t rank, const double *left, const double *panel,
                            double sum[ROWS][LANES])
{
    double acc[ROWS][LANES] = {{0}};

    for (int64_t k = 0; k < rank; k++)
        for (int r = 0; r < ROWS; r++)
            for (int lane = 0; lane < LANES; lane++)
                acc[r][lane] += left[r * rank + k] * panel[k * LANES + lane];
    memcpy(sum, acc, sizeof acc);
}

/* Work space of one call. */
typedef struct {
    double *right; /* panels                                      */
    double *left;  /* ROWS x rank; unused rows are left as they are */
    double *base;  /* ROWS x cols                                 */
    float  *out;   /* likewise                                    */
} space;

/* Adds the product to what `base` holds of n rows, columns [first, first + width); into `out`. */
static void add_product(const change *c, int64_t n, int64_t first, int64_t width, const space *s)
{
    double        sum[ROWS][LANES];
    const int64_t end = first + width;

    for (int64_t panel = first / LANES; panel * LANES < end; panel++) {
        const int64_t begin = panel * LANES > first ? panel * LANES : first;
        const int64_t stop  = (panel + 1) * LANES < end ? (panel + 1) * LANES : end;

        multiply(c->rank, s->left, s->right + panel * c->rank * LANES, sum);
        for (int64_t r = 0; r < n; r++)
            for (int64_t j = begin; j < stop; j++) {
                const int64_t at = r * width + j - first;

                s->out[at] = (float)(s->base[at] + c->scale * sum[r][j - panel * LANES]);
            }
    }
}

/* Makes n rows from row i on, columns [first, first + width): all of them unless n is 1. */
static sd_status make_rows(const sd_adapter *a, int64_t tensor, int64_t i, int64_t n, int64_t first,
                           int64_t width, const space *s)
{
    sd_status            st   = SD_OK;
    const change        *c    = &a->change[tensor];
    const bool           own  = c->part[PART_WHOLE] != 0;
    const sd_checkpoint *from = own ? a->weights : a->base;

    SD_TRY(read_numbers(from, own ? c->part[PART_WHOLE] - 1 : tensor, i * c->cols + first,
                        n * width, s->base));
    SD_TRY(read_left(a, c, i, n, s->left));
    add_product(c, n, first, width, s);

done:
    return st;
}

static sd_status make_space(const sd_adapter *a, const change *c, space *s)
{
    sd_status st = SD_OK;

    SD_TRY(sd_alloc(ROWS * c->rank, sizeof *s->left, &s->left));
    SD_TRY(sd_alloc(ROWS * c->cols, sizeof *s->base, &s->base));
    SD_TRY(sd_alloc(ROWS * c->cols, sizeof *s->out, &s->out));
    if (c->held != NULL) {
        s->right = c->held;
    } else {
        SD_TRY(sd_alloc(panels(c) * LANES * c->rank, sizeof *s->right, &s->right));
        SD_TRY(read_right(a, c, s->right));
    }

done:
    return st;
}

static void release_space(const change *c, space *s)
{
    if (c->held == NULL) sd_free(s->right);
    sd_free(s->left);
    sd_free(s->base);
    sd_free(s->out);
}

/* Goes through the range in groups of whole rows; what is left of a row at either end goes alone.
 */
static sd_status read_product(const sd_adapter *a, int64_t tensor, int64_t offset, int64_t count,
                              char *out)
{
    sd_status     st   = SD_OK;
    const change *c    = &a->change[tensor];
    const int64_t size = (int64_t)sizeof(float);
    const int64_t end  = (offset + count + size - 1) / size;
    space         s    = {0};

    SD_TRY(make_space(a, c, &s));
    for (int64_t at = offset / size; at < end;) {
        const int64_t i = at / c->cols, first = at % c->cols, rest = end - at;
        const int64_t n     = first == 0 && rest >= ROWS * c->cols ? ROWS : 1;
        const int64_t width = n == ROWS ? c->cols : rest < c->cols - first ? rest : c->cols - first;

        SD_TRY(make_rows(a, tensor, i, n, first, width, &s));
        const int64_t skip  = offset > at * size ? offset - at * size : 0;
        const int64_t have  = n * width * size - skip;
        const int64_t bytes = have < count ? have : count;
        memcpy(out, (const char *)s.out + skip, (size_t)bytes);
        out += bytes;
        offset += bytes;
        count -= bytes;
        at += n * width;
    }

done:
    release_space(c, &s);
    return st;
}

sd_status sd_adapter_read(const sd_adapter *adapter, int64_t i, int64_t offset, int64_t count,
                          void *out)
{
    const change *c = &adapter->change[i];

    if (c->left != 0) return read_product(adapter, i, offset, count, out);
    if (c->part[PART_WHOLE] == 0) return sd_checkpoint_read(adapter->base, i, offset, count, out);
    return sd_checkpoint_read(adapter->weights, c->part[PART_WHOLE] - 1, offset, count, out);
}

/* ---- the whole ---- */

/* An embedding is read row by row, in no order: its factor would be read as often. */
static sd_status hold_factor(const sd_adapter *a, change *c)
{
    sd_status st = SD_OK;

    if (c->part[PART_EMBED_A] == 0) return SD_OK;
    SD_TRY(sd_alloc(panels(c) * LANES * c->rank, sizeof *c->held, &c->held));
    SD_TRY(read_right(a, c, c->held));

done:
    return st;
}

sd_status sd_adapter_create(const sd_adapter_config *config, sd_checkpoint *base,
                            sd_checkpoint *weights, sd_adapter **out)
{
    sd_status   st = SD_OK;
    sd_adapter *a  = NULL;

    *out = NULL;
    SD_TRY(sd_alloc(1, sizeof *a, &a));
    *a   = (sd_adapter){.base = base, .weights = weights};
    base = weights = NULL;
    SD_TRY(sd_alloc(sd_checkpoint_count(a->base), sizeof *a->change, &a->change));
    a->n = sd_checkpoint_count(a->base);
    for (int64_t i = 0; i < a->n; i++) a->change[i].info = *sd_checkpoint_tensor(a->base, i);
    SD_TRY(sort_tensors(a));
    for (int64_t i = 0; i < a->n; i++) {
        SD_TRY(make_change(a, config, &a->change[i]));
        SD_TRY(hold_factor(a, &a->change[i]));
    }
    *out = a;
    a    = NULL;

done:
    sd_checkpoint_close(&base);
    sd_checkpoint_close(&weights);
    sd_adapter_destroy(&a);
    return st;
}

void sd_adapter_destroy(sd_adapter **adapter)
{
    sd_adapter *a = *adapter;

    if (a == NULL) return;
    for (int64_t i = 0; i < a->n; i++) sd_free(a->change[i].held);
    sd_free(a->change);
    sd_checkpoint_close(&a->base);
    sd_checkpoint_close(&a->weights);
    sd_free(a);
    *adapter = NULL;
}

const sd_checkpoint *sd_adapter_base(const sd_adapter *adapter)
{
    return adapter->base;
}

const sd_tensor_info *sd_adapter_tensor(const sd_adapter *adapter, int64_t i)
{
    return &adapter->change[i].info;
}

const char *sd_adapter_file_of(const sd_adapter *adapter, int64_t i)
{
    const change *c = &adapter->change[i];

    if (c->left == 0 && c->part[PART_WHOLE] == 0) return sd_checkpoint_file_of(adapter->base, i);
    return file_name(adapter);
}
