#include "pipeline/hygiene.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/model.h"

enum { NAMED = 3 }; /* tensors that a line names */

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), want = strlen(end);

    return length >= want && strcmp(text + length - want, end) == 0;
}

void sd_hygiene_show(const char *name, char out[SD_SHOWN_LEN])
{
    size_t length = strlen(name);

    if (length > SD_SHOWN_LEN - 1) {
        length = SD_SHOWN_LEN - 1;
        while (length > 0 && ((unsigned char)name[length] & 0xc0) == 0x80) length--;
    }
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)name[i], next = (unsigned char)name[i + 1];
        /* U+0080 to U+009F are control characters of two bytes, the first of them 0xc2. */
        const bool is_second = i > 0 && (unsigned char)name[i - 1] == 0xc2 && c < 0xa0;

        out[i] = c < ' ' || c == 0x7f || (c == 0xc2 && next < 0xa0) || is_second ? '?' : name[i];
    }
    out[length] = '\0';
}

bool sd_hygiene_constant(const sd_tensor_info *info, const sd_tensor_scan *scan,
                         char text[SD_FINDING_LEN])
{
    const double value = (double)scan->value;
    char         shown[SD_SHOWN_LEN];

    if (!scan->constant || scan->n_nan + scan->n_infinite > 0) return false;
    if (info->n_dims < 2 && (value == 1 || (value == 0 && !ends_with(info->name, ".weight"))))
        return false;
    sd_hygiene_show(info->name, shown);
    if (value == 0)
        snprintf(text, SD_FINDING_LEN, "every number of tensor '%s' is zero", shown);
    else
        snprintf(text, SD_FINDING_LEN, "every number of tensor '%s' is %g", shown, value);
    return true;
}

void sd_hygiene_more_constant(int64_t n, char text[SD_FINDING_LEN])
{
    snprintf(text, SD_FINDING_LEN, "tensors of one number only: %" PRId64 " more", n);
}

/* What blocks do not need, and what frameworks save beside the weights. */
static bool is_harmless(const char *name)
{
    static const char *const ends[] = {"norm.weight",           "norm.bias",
                                       "lm_head.weight",        "lm_head.bias",
                                       "rotary_emb.inv_freq",   "rotary_emb.cos_cached",
                                       "rotary_emb.sin_cached", "attn.bias",
                                       "attn.masked_bias",      "attention.bias",
                                       "attention.masked_bias", "embeddings.position_ids"};

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with(name, ends[i]) && (i > 1 || strstr(name, ".layers.") == NULL)) return true;
    return false;
}

bool sd_hygiene_extra(const sd_checkpoint *checkpoint, const sd_family *family,
                      char text[SD_FINDING_LEN])
{
    int64_t n                                 = 0;
    size_t  used                              = 0;
    char    names[NAMED * (SD_SHOWN_LEN + 4)] = "", shown[SD_SHOWN_LEN];

    for (int64_t i = 0; i < sd_checkpoint_count(checkpoint); i++) {
        const char *name = sd_checkpoint_tensor(checkpoint, i)->name;

        if (sd_family_knows(family, name) || is_harmless(name)) continue;
        if (n++ >= NAMED) continue;
        sd_hygiene_show(name, shown);
        used +=
            (size_t)snprintf(names + used, sizeof names - used, "%s'%s'", n > 1 ? ", " : "", shown);
    }
    snprintf(text, SD_FINDING_LEN, "%" PRId64 " tensor%s not of the family %s: %s%s", n,
             n == 1 ? " is" : "s are", family->name, names, n > NAMED ? ", ..." : "");
    return n > 0;
}
