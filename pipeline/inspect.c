#include "pipeline/inspect.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/checkpoint.h"
#include "io/fingerprint.h"
#include "io/finite.h"
#include "io/tensor_scan.h"
#include "pipeline/hygiene.h"
#include "pipeline/model.h"
#include "pipeline/models/family.h"
#include "solvers/base/memory.h"

static void list_families(void)
{
    for (const sd_family *const *it = sd_families; *it != NULL; it++) {
        printf("%-12s", (*it)->name);
        for (int i = 0; i < 4 && (*it)->architectures[i] != NULL; i++)
            printf(" %s", (*it)->architectures[i]);
        putchar('\n');
    }
}

/* ---- the model ---- */

static const char *rope_name(sd_rope_kind kind)
{
    switch (kind) {
    case SD_ROPE_DEFAULT: return "default";
    case SD_ROPE_LINEAR: return "linear";
    case SD_ROPE_LLAMA3: return "llama3";
    }
    return "unknown";
}

static const char *act_name(sd_act act)
{
    static const char *const names[SD_ACT_COUNT] = {[SD_ACT_SILU]         = "SiLU",
                                                    [SD_ACT_GELU]         = "GELU",
                                                    [SD_ACT_GELU_TANH]    = "GELU (tanh)",
                                                    [SD_ACT_RELU]         = "ReLU",
                                                    [SD_ACT_RELU_SQUARED] = "ReLU squared"};

    return names[act];
}

static void print_norms(const sd_family *family, const sd_model *m)
{
    printf("norms        RMS before each branch");
    if (sd_model_has(family, m, SD_T_POST1)) printf(" and behind it");
    if (sd_model_has(family, m, SD_T_NORM_Q)) printf(", of query and key heads");
    printf(", eps %g", m->norm_eps);
    if (m->norm_offset != 0) printf(", weights stored less %g", m->norm_offset);
    putchar('\n');
}

static void print_rope(const char *where, const sd_rope_options *rope)
{
    printf("positions    rotary, %s, theta %g", rope_name(rope->kind), rope->theta);
    if (rope->kind != SD_ROPE_DEFAULT) printf(", factor %g", rope->factor);
    printf("%s\n", where);
}

/* Runs of layers, from 1: "1-5, 7-11". */
static void print_local(const sd_model *m)
{
    const char *between = "";

    for (int64_t l = 0; l < m->n_layers; l++) {
        int64_t last = l;

        if (!sd_model_is_local(m, l)) continue;
        while (last + 1 < m->n_layers && sd_model_is_local(m, last + 1)) last++;
        printf("%s%" PRId64, between, l + 1);
        if (last > l) printf("-%" PRId64, last + 1);
        between = ", ";
        l       = last;
    }
}

static bool has_local(const sd_model *m)
{
    bool any = false;

    for (int64_t l = 0; l < m->n_layers; l++) any |= sd_model_is_local(m, l);
    return any;
}

/* What attention's logits and positions are. */
static void print_attention(const sd_model *m)
{
    if (m->attention_scale != 0 || m->softcap != 0)
        printf("logits       times %g",
               m->attention_scale != 0 ? m->attention_scale : 1 / sqrt((double)m->d_head));
    if (m->softcap != 0) printf(", capped at %g", m->softcap);
    if (m->attention_scale != 0 || m->softcap != 0) putchar('\n');
    if (!has_local(m)) {
        print_rope("", &m->rope);
        return;
    }
    printf("window       %" PRId64 " tokens in layers ", m->window);
    print_local(m);
    putchar('\n');
    print_rope(" (with the window)", &m->local_rope);
    print_rope(" (the other layers)", &m->rope);
}

static void print_model(const sd_family *family, const sd_model *m)
{
    printf("family       %s\n", family->name);
    printf("layers       %" PRId64 "\n", m->n_layers);
    printf("hidden size  %" PRId64 "\n", m->d);
    printf("FFN          %" PRId64 " wide, gated, %s%s\n", m->f, act_name(m->act),
           m->ffn_bias ? ", with biases" : "");
    printf("attention    %" PRId64 " heads of %" PRId64 ", %" PRId64 " for keys and values%s\n",
           m->n_heads, m->d_head, m->n_kv, m->attention_bias ? ", with biases" : "");
    printf("wiring       %s\n", m->wiring == SD_WIRING_SEQUENTIAL ? "sequential" : "parallel");
    print_norms(family, m);
    print_attention(m);
    printf("vocabulary   %" PRId64 "%s", m->vocab, m->tied ? ", output tied to the input" : "");
    if (m->embedding_scale != 0) printf(", input times %g", m->embedding_scale);
    putchar('\n');
}

/* ---- the tensors ---- */

typedef struct {
    const char *format;
    int64_t     tensors, elements, bytes;
} format_row;

enum { MAX_FORMATS = 32 };

static int count_formats(const sd_checkpoint *checkpoint, format_row *row)
{
    int n = 0;

    for (int64_t i = 0; i < sd_checkpoint_count(checkpoint); i++) {
        const sd_tensor_info *t = sd_checkpoint_tensor(checkpoint, i);
        int                   k = 0;

        while (k < n && strcmp(row[k].format, t->format) != 0) k++;
        if (k == MAX_FORMATS) continue; /* there are not that many formats */
        if (k == n) row[n++] = (format_row){.format = t->format};
        row[k].tensors++;
        row[k].elements += t->elements;
        row[k].bytes += t->stored;
    }
    return n;
}

static void print_formats(const sd_checkpoint *checkpoint)
{
    format_row row[MAX_FORMATS];
    const int  n = count_formats(checkpoint, row);

    for (int k = 0; k < n; k++)
        printf("%s%-12s %" PRId64 " tensor%s, %" PRId64 " numbers, %.2f MB\n", "tensors      ",
               row[k].format, row[k].tensors, row[k].tensors == 1 ? "" : "s", row[k].elements,
               (double)row[k].bytes / 1e6);
}

/* ---- what is wrong, and what is conspicuous ---- */

typedef struct {
    bool    list, sha256; /* --tensors, --sha256 */
    int64_t damaged, constant;
} inspection;

static const char *show_shape(const sd_tensor_info *info, char out[256])
{
    size_t used = 0;

    snprintf(out, 256, "single");
    for (int k = 0; k < info->n_dims && used < 256; k++)
        used += (size_t)snprintf(out + used, 256 - used, "%s%" PRId64, k > 0 ? "x" : "",
                                 info->shape[k]);
    return out;
}

static void print_tensor(const sd_tensor_info *info, const sd_tensor_scan *scan)
{
    char shape[256], name[SD_SHOWN_LEN];

    sd_hygiene_show(info->name, name);
    printf("tensor       %s  %s  %s  xxh3-128:%s", name, info->format, show_shape(info, shape),
           scan->hex);
    if (scan->sha256[0] != '\0') printf("  sha256:%s", scan->sha256);
    putchar('\n');
}

/* Numbers that are none make a checkpoint useless; a constant tensor is told, and no more. */
static void print_findings(inspection *in, const sd_checkpoint *checkpoint, int64_t i,
                           const sd_tensor_scan *scan)
{
    const sd_tensor_info *info = sd_checkpoint_tensor(checkpoint, i);
    const int64_t         odd  = scan->n_nan + scan->n_infinite;
    char                  text[SD_FINDING_LEN], place[SD_PLACE_LEN], name[SD_SHOWN_LEN];

    if (odd > 0 && in->damaged++ < SD_TOLD) {
        sd_element_place(info, scan->first, place);
        sd_hygiene_show(info->name, name);
        printf("finding      %s: tensor '%s' holds %" PRId64 " NaN and %" PRId64
               " infinities among %" PRId64 " numbers, the first at %s\n",
               sd_checkpoint_file_of(checkpoint, i), name, scan->n_nan, scan->n_infinite,
               info->elements, place);
    }
    if (sd_hygiene_constant(info, scan, text) && in->constant++ < SD_TOLD)
        printf("finding      %s\n", text);
}

/* Of the tensors that are not listed. */
static void print_counts(const inspection *in)
{
    const int64_t damaged = in->damaged - SD_TOLD, constant = in->constant - SD_TOLD;
    char          text[SD_FINDING_LEN];

    if (damaged > 0)
        printf("finding      %" PRId64 " more tensor%s NaN or infinities\n", damaged,
               damaged == 1 ? " holds" : "s hold");
    if (constant <= 0) return;
    sd_hygiene_more_constant(constant, text);
    printf("finding      %s\n", text);
}

/* Reads every tensor once. */
static sd_status read_tensors(const sd_checkpoint *checkpoint, inspection *in)
{
    sd_status     st          = SD_OK;
    const int64_t n           = sd_checkpoint_count(checkpoint);
    char(*hex)[SD_XXH128_HEX] = NULL;
    char           fingerprint[SD_FINGERPRINT_LEN];
    sd_tensor_scan scan;

    SD_TRY(sd_alloc(n, sizeof *hex, &hex));
    for (int64_t i = 0; i < n; i++) {
        SD_TRY(sd_tensor_scan_read(checkpoint, i, in->list && in->sha256, NULL, &scan));
        memcpy(hex[i], scan.hex, sizeof hex[i]);
        if (in->list) print_tensor(sd_checkpoint_tensor(checkpoint, i), &scan);
        print_findings(in, checkpoint, i, &scan);
    }
    print_counts(in);
    SD_TRY(sd_fingerprint(checkpoint, (const char(*)[SD_XXH128_HEX])hex, fingerprint));
    printf("fingerprint  %s\n", fingerprint);

done:
    sd_free(hex);
    return st;
}

/* As hubs publish them; of an adapter the base's. */
static sd_status print_file_hashes(const sd_checkpoint *checkpoint)
{
    sd_status st = SD_OK;
    char      hex[SD_SHA256_HEX];

    if (sd_checkpoint_base(checkpoint) != NULL) checkpoint = sd_checkpoint_base(checkpoint);

    for (int64_t k = 0; k < sd_checkpoint_files(checkpoint); k++) {
        SD_TRY(sd_checkpoint_file_sha256(checkpoint, k, hex));
        printf("sha256       %s  %s\n", hex, sd_checkpoint_file(checkpoint, k));
    }

done:
    return st;
}

/* Messages of a checkpoint speak of files within it: puts its own name in front, as a run does. */
static sd_status named(const char *checkpoint, sd_status st)
{
    char text[SD_MESSAGE_LEN];

    if (st == SD_OK) return st;
    snprintf(text, sizeof text, "%s", sd_message());
    sd_clear();
    return sd_fail(st, __FILE__, __LINE__, "%s: %s", checkpoint, text);
}

sd_status sd_inspect(const sd_arguments *arguments)
{
    sd_status        st         = SD_OK;
    sd_checkpoint   *checkpoint = NULL;
    inspection       in         = {arguments->tensors, arguments->sha256, 0, 0};
    const sd_family *family;
    sd_model         model;
    char             extra[SD_FINDING_LEN];

    if (arguments->families) {
        list_families();
        return SD_OK;
    }
    SD_TRY(named(arguments->operand,
                 sd_checkpoint_open_adapted(arguments->operand, arguments->base, &checkpoint)));
    printf("checkpoint   %s\n", arguments->operand);
    if (sd_checkpoint_base(checkpoint) != NULL)
        printf("adapter on   %s\n", sd_checkpoint_folder(sd_checkpoint_base(checkpoint)));
    SD_TRY(named(arguments->operand, sd_model_open(checkpoint, &family, &model)));
    print_model(family, &model);
    print_formats(checkpoint);
    if (sd_hygiene_extra(checkpoint, family, extra)) printf("finding      %s\n", extra);
    SD_TRY(named(arguments->operand, read_tensors(checkpoint, &in)));
    if (in.sha256) SD_TRY(named(arguments->operand, print_file_hashes(checkpoint)));
    SD_REQUIRE(in.damaged == 0, SD_ERR_INPUT,
               "%s: %" PRId64 " tensor%s NaN or infinities; a run would leave this checkpoint out",
               arguments->operand, in.damaged, in.damaged == 1 ? " holds" : "s hold");

done:
    sd_checkpoint_close(&checkpoint);
    return st;
}
