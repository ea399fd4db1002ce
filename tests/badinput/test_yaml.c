/* Study files that are no YAML, or more YAML than a study needs, are refused with their line. */
#include <string.h>

#include "io/yaml.h"
#include "tests/support/shortage.h"

static void refused(const char *text, int64_t length, const char *want)
{
    sd_yaml_document *document = NULL;

    sd_clear();
    CHECK(sd_yaml_parse(text, length, "study.yaml", &document) == SD_ERR_USAGE);
    CHECK(document == NULL);
    if (strcmp(sd_message(), want) != 0) {
        check_failures++;
        fprintf(stderr, "%.40s:\n  says '%s'\n  want '%s'\n", text, sd_message(), want);
    }
}

static void bad_text_is_refused_with_its_line(void)
{
    static const struct {
        const char *text, *want;
    } bad[] = {
        {"", "study.yaml: is empty"},
        {"# a comment\n", "study.yaml: is empty"},
        {"a: 1\nb: 2\na: 3\n", "study.yaml:3: the key 'a' is there twice; see line 1"},
        {"x:\n  - {k: 1, l: 2,\n     k: 3}\n",
         "study.yaml:3: the key 'k' is there twice; see line 2"},
        {"a: 1\n---\nb: 2\n", "study.yaml:2: a second document begins here, want one"},
        {"a: &x 1\nb: *x\n", "study.yaml:1: anchors (&) are not supported"},
        {"a: &x [1]\n", "study.yaml:1: anchors (&) are not supported"},
        {"a: 1\nb: *x\n", "study.yaml:2: aliases (*) are not supported"},
        {"a: 1\nb: !!int 3\n", "study.yaml:2: tags (!) are not supported"},
        {"a: !x {}\n", "study.yaml:1: tags (!) are not supported"},
        {"? [1, 2]\n: 3\n", "study.yaml:1: a key has to be plain text"},
        {"a: 1\n\tb: 2\n",
         "study.yaml:2: found a tab character that violates indentation while scanning a plain "
         "scalar"},
        {"a:\n\tb: 2\n",
         "study.yaml:2: found character that cannot start any token while scanning for the next "
         "token"},
        {"a: [1, 2\nb: 3\n",
         "study.yaml:2: did not find expected ',' or ']' while parsing a flow sequence"},
        {"a: 'x\n", "study.yaml:2: found unexpected end of stream while scanning a quoted scalar"},
        {"a: 1\n b: 2\n", "study.yaml:2: mapping values are not allowed in this context"},
        {"a: 1\nb: \xff\n", "study.yaml:2: invalid leading UTF-8 octet"},
        {"a: 1\n\nb: \x01\n", "study.yaml:3: control characters are not allowed"},
        {"a: \"x\\0y\"\n", "study.yaml:1: a text holds a zero byte"},
        {"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "study.yaml:1: is nested deeper than 16"},
        {"{a: {b: {c: {d: {e: {f: {g: {h: {i: {j: {k: {l: {m: {n: {o: {p: {q: 1}}}}}}}}}}}}}}}}}",
         "study.yaml:1: is nested deeper than 16"},
    };

    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++)
        refused(bad[k].text, (int64_t)strlen(bad[k].text), bad[k].want);
    refused("a: 1\nb: \0 2\n", 11, "study.yaml:2: control characters are not allowed");
}

static void too_many_entries_are_refused(void)
{
    enum { MANY = 1000001 };
    char *text = NULL;

    CHECK(sd_alloc(2 * MANY + 2, 1, &text) == SD_OK);
    text[0] = '[';
    for (int64_t i = 0; i < MANY; i++) memcpy(text + 1 + 2 * i, "1,", 2);
    text[2 * MANY + 1] = ']';
    refused(text, 2 * MANY + 2, "study.yaml:1: has more than 1000000 entries");
    sd_free(text);
}

static sd_status parse_once(void)
{
    static const char *const text = "title: x\nruns:\n  - {name: a, steps: [1, 2]}\n  - name: ~\n";
    sd_status                st   = SD_OK;
    sd_yaml_document        *document = NULL;

    SD_TRY(sd_yaml_parse(text, (int64_t)strlen(text), "study.yaml", &document));

done:
    sd_yaml_destroy(&document);
    return st;
}

int main(void)
{
    bad_text_is_refused_with_its_line();
    too_many_entries_are_refused();
    walk_shortages(parse_once);
    return REPORT();
}
