#include "io/tokenizer/pretokenizer_names.h"

#include <string.h>

#include "io/tokenizer/young_characters.h"

const char sd_gpt2_words[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* ---- patterns that several share ---- */

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define FRONT "[^\\r\\n\\p{L}\\p{N}]?"
#define LETTERS FRONT "\\p{L}+"
#define SYMBOLS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define WHITE "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
/* A word that ends in small letters, and one that begins with capitals. */
#define CAPITAL "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define SMALL "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER FRONT CAPITAL "*" SMALL "+"
#define UPPER FRONT CAPITAL "+" SMALL "*"
#define PATHS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*"

static const char LLAMA3[] = CONTRACTIONS "|" LETTERS "|\\p{N}{1,3}|" SYMBOLS "|" WHITE;
static const char QWEN2[]  = CONTRACTIONS "|" LETTERS "|\\p{N}|" SYMBOLS "|" WHITE;
static const char QWEN35[] =
    CONTRACTIONS "|" FRONT "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" WHITE;
static const char GPT4O[] =
    LOWER CONTRACTIONS "?|" UPPER CONTRACTIONS "?|\\p{N}{1,3}|" PATHS "|" WHITE;

static const char TEKKEN[] = LOWER "|" UPPER "|\\p{N}|" PATHS "|" WHITE;

static const char BLOOM[] =
    " ?[^(\\s|[.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{964}\\x{6D4}\\x{60C}])]+";

static const char LINES[] = "[\\r\\n]", HUNDREDS[] = "[0-9][0-9][0-9]";
static const char DEEPSEEK_LETTERS[] =
    "\\s?[A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}"
    "\\x{1C4}-\\x{293}\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}-\\x{377}\\x{37B}-\\x{37D}"
    "\\x{37F}\\x{386}\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}"
    "\\x{3F7}-\\x{481}\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}"
    "\\x{13F8}-\\x{13FD}\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}"
    "\\x{1D6B}-\\x{1D77}\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}"
    "\\x{1F20}-\\x{1F45}\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}\\x{1F5D}"
    "\\x{1F5F}-\\x{1F7D}\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}"
    "\\x{1FC6}-\\x{1FCC}\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}"
    "\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}\\x{2102}\\x{2107}\\x{210A}-\\x{2113}\\x{2115}"
    "\\x{2119}-\\x{211D}\\x{2124}\\x{2126}\\x{2128}\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}"
    "\\x{2139}\\x{213C}-\\x{213F}\\x{2145}-\\x{2149}\\x{214E}\\x{2183}-\\x{2184}"
    "\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}\\x{2CEB}-\\x{2CEE}\\x{2CF2}-\\x{2CF3}"
    "\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}\\x{A722}-\\x{A76F}\\x{A771}-\\x{A787}"
    "\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}\\x{FB13}-\\x{FB17}"
    "\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}"
    "\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}\\x{10CC0}-\\x{10CF2}\\x{118A0}-\\x{118DF}"
    "\\x{1E900}-\\x{1E943}]+";
static const char DEEPSEEK_MARKS[] = "\\s?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}"
                                     "\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}]+";
static const char DEEPSEEK_HAN[]   = "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+";
static const char DEEPSEEK3_HAN[]  = "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+";
static const char DEEPSEEK3[] =
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"
    "[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" WHITE;

/* ---- steps ---- */

/* A split at matches, which become pieces of their own, or one with the matches that touch it. */
typedef struct {
    const char *pattern;
    bool        is_contiguous, writes_bytes;
} split;

enum { MOST_STEPS = 6 };

/* Steps end before one that is zero. */
static const split gpt2[MOST_STEPS]         = {{sd_gpt2_words, false, true}};
static const split digits[MOST_STEPS]       = {{sd_digits_pattern, false, false},
                                               {sd_gpt2_words, false, true}};
static const split llama3[MOST_STEPS]       = {{LLAMA3, false, true}};
static const split qwen2[MOST_STEPS]        = {{QWEN2, false, true}};
static const split qwen35[MOST_STEPS]       = {{QWEN35, false, true}};
static const split gpt4o[MOST_STEPS]        = {{GPT4O, false, true}};
static const split tekken[MOST_STEPS]       = {{TEKKEN, false, true}};
static const split bloom[MOST_STEPS]        = {{BLOOM, false, true}};
static const split falcon[MOST_STEPS]       = {{sd_punctuation_pattern, true, false},
                                               {sd_gpt2_words, false, true},
                                               {sd_digits_pattern, true, false},
                                               {HUNDREDS, false, false}};
static const split deepseek_llm[MOST_STEPS] = {
    {LINES, false, false},   {DEEPSEEK_LETTERS, false, false}, {DEEPSEEK_MARKS, false, false},
    {"\\s+$", false, false}, {DEEPSEEK_HAN, false, false},     {sd_digits_pattern, false, true}};
static const split deepseek_coder[MOST_STEPS] = {{LINES, false, false},
                                                 {"\\s?\\p{L}+", false, false},
                                                 {"\\s?\\p{P}+", false, false},
                                                 {DEEPSEEK_HAN, false, false},
                                                 {sd_digits_pattern, false, true}};
static const split deepseek3[MOST_STEPS]      = {
         {"\\p{N}{1,3}", false, false}, {DEEPSEEK3_HAN, false, false}, {DEEPSEEK3, false, true}};
static const split fallback[MOST_STEPS] = {{"[\\p{P}$+<=>^~|]+", false, false},
                                           {sd_gpt2_words, false, false},
                                           {"\\p{N}+", false, false},
                                           {HUNDREDS, false, true}};

static const struct {
    const char  *name;
    const split *steps;
    bool         ignores_merges;
} known[] = {
    {"default", fallback, false},
    {"gpt-2", gpt2, false},
    {"phi-2", gpt2, false},
    {"mpt", gpt2, false},
    {"olmo", gpt2, false},
    {"smollm", digits, false},
    {"starcoder", digits, false},
    {"refact", digits, false},
    {"command-r", digits, false},
    {"codeshell", digits, false},
    {"llama-bpe", llama3, true},
    {"llama3", llama3, true},
    {"llama-v3", llama3, true},
    {"dbrx", llama3, false},
    {"smaug-bpe", llama3, false},
    {"chatglm-bpe", llama3, false},
    {"glm4", llama3, true},
    {"qwen2", qwen2, false},
    {"deepseek-r1-qwen", qwen2, false},
    {"stablelm2", qwen2, false},
    {"qwen35", qwen35, false},
    {"gpt-4o", gpt4o, false},
    {"llama4", gpt4o, false},
    {"tekken", tekken, true},
    {"bloom", bloom, false},
    {"falcon", falcon, false},
    {"deepseek-llm", deepseek_llm, false},
    {"deepseek-coder", deepseek_coder, false},
    {"deepseek-v3", deepseek3, false},
};
enum { N_KNOWN = sizeof known / sizeof known[0] };

static sd_status add_step(const char *where, const split *from, sd_pretokenizer *out)
{
    sd_status           st   = SD_OK;
    sd_pretokenize_step step = {.behaviour =
                                    from->is_contiguous ? SD_SPLIT_CONTIGUOUS : SD_SPLIT_ISOLATED,
                                .writes_bytes = from->writes_bytes};

    SD_TRY(sd_pattern_create(where, from->pattern, (int64_t)strlen(from->pattern), false,
                             &step.pattern));
    SD_TRY(sd_pretokenizer_add(out, step));

done:
    return st;
}

sd_status sd_pretokenizer_by_name(const char *where, const char *name, sd_pretokenizer *out,
                                  bool *ignores_merges)
{
    sd_status st = SD_OK;
    char      quoted[64];
    int       k = 0;

    while (k < N_KNOWN && strcmp(known[k].name, name) != 0) k++;
    SD_REQUIRE(k < N_KNOWN, SD_ERR_INPUT,
               "%s: its pre-tokeniser '%s' is not known; name a tokenizer.json with 'tokenizer' in "
               "the study, or give ready ids",
               where, sd_quote(name, (int64_t)strlen(name), quoted, sizeof quoted));
    *ignores_merges = known[k].ignores_merges;
    for (int i = 0; i < MOST_STEPS && known[k].steps[i].pattern != NULL; i++)
        SD_TRY(add_step(where, &known[k].steps[i], out));

done:
    return st;
}

const char *sd_pretokenizer_name(int i)
{
    return i < N_KNOWN ? known[i].name : NULL;
}
