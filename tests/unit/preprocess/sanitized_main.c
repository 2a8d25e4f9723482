/* Gives every loop in C what standard input holds, for a build with sanitizers; `test_sanitized.py` writes the inputs.
 *
 * Each array is allocated with the very size that native.py gives it, and each cell is read once more on its own, so that the byte
 * behind it belongs to nobody.
 */

#include "dialects.c"
#include "moments.c"
#include "numbers.c"
#include "records.c"
#include "texts.c"

#include <stdio.h>

typedef struct {
    int32_t delimiter, quote, doubled, width;
    int64_t rows, size;
} Input;

static int64_t proved, walks, splits, values;

static void *allocated(int64_t count, size_t each)
{
    void *memory = malloc((size_t)count * each);
    if (!memory)
        abort();
    return memory;
}

static uint8_t *copied(const uint8_t *bytes, int64_t size)
{
    uint8_t *copy = allocated(size, 1);
    for (int64_t i = 0; i < size; i++)
        copy[i] = bytes[i];
    return copy;
}

static Text literal(const char *text)
{
    return (Text){(const uint8_t *)text, (int64_t)strlen(text)};
}

/* The layout of moments that are written as this one is, with 0 for any digit; `places` says where each part begins, or -1. */
static Layout written_as(const char *text, const int places[PARTS])
{
    Layout layout = {.width = (int32_t)strlen(text)};
    for (int part = 0; part < PARTS; part++)
        layout.places[part] = places[part];
    for (int i = 0; i < layout.width; i++) {
        int digit = text[i] == '0';
        layout.pattern[i] = (uint8_t)text[i];
        layout.excess[i] = digit ? 6 : 0;
        layout.wrong[i] = digit ? 0xf0 : 0xff;
    }
    return layout;
}

/* Every way to read cells, of several fields each. */
static void read_all(Texts texts)
{
    const Text missing[] = {literal(""), literal("NA"), literal("-999"), literal("no value at all")};
    enum { MISSING_VALUES = sizeof missing / sizeof *missing };
    View *none = allocated(MISSING_VALUES, sizeof *none);
    for (int i = 0; i < MISSING_VALUES; i++)
        none[i] = view_of(missing[i].at, missing[i].length, 0, missing[i].length, 0);
    uint8_t *longest = copied(missing[MISSING_VALUES - 1].at, missing[MISSING_VALUES - 1].length);
    const Texts some = {none, MISSING_VALUES, {longest, NULL}};
    const Texts nothing = {none, 0, {NULL, NULL}};
    const Field fields[] = {
        {.missing = some, .lengths = UINT64_MAX, .starts = UINT64_MAX, .group = literal(""), .point = '.', .trim = 1},
        {.missing = some, .lengths = UINT64_MAX, .starts = UINT64_MAX, .group = literal(","), .point = '.', .required = 1},
        {.missing = nothing, .group = literal("\xe2\x80\xaf"), .point = ',', .trim = 1},
        {.missing = nothing, .group = literal(""), .point = '.'},
        {.missing = some, .lengths = UINT64_MAX, .starts = UINT64_MAX, .group = literal("\xc2\xa0"), .point = -1, .trim = 1},
    };
    const Layout layouts[] = {
        written_as("0000-00-00", (int[]){0, 5, 8, -1, -1, -1}),
        written_as("00:00", (int[]){-1, -1, -1, 0, 3, -1}),
        written_as("a000000000000000000000000000000 ", (int[]){27, -1, -1, -1, -1, -1}),
    };
    uint8_t *states = allocated(texts.count, 1), *numbers = allocated(texts.count, 1), *slots = allocated(SLOTS, 1);
    int64_t *integers = allocated(texts.count, sizeof *integers), *places = allocated(texts.count, sizeof *places);
    int64_t *counts = allocated(UINT8_MAX + 1, sizeof *counts);
    double *doubles = allocated(texts.count, sizeof *doubles);
    View *trimmed = allocated(texts.count, sizeof *trimmed);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        read_integers(&texts, &fields[i], 0, INT64_MIN, INT64_MAX, integers, states);
        read_integers(&texts, &fields[i], 4, 0, 9999, integers, states);
        for (size_t layout = 0; layout < sizeof layouts / sizeof *layouts; layout++)
            read_moments(&texts, &fields[i], &layouts[layout], integers, states);
        read_numbers(&texts, &fields[i], -1e308, 1e308, doubles, states);
        for (int64_t row = 0; row < texts.count; row++)
            values += states[row] == VALUE;
        read_texts(&texts, &fields[i], trimmed, states);
        Texts found = {trimmed, texts.count, {texts.buffers[0], texts.buffers[1]}};
        Texts known = {trimmed, texts.count < UNKNOWN ? texts.count : UNKNOWN, {texts.buffers[0], texts.buffers[1]}};
        index_spellings(&known, slots);
        find_spellings(&found, &known, slots, numbers);
        find_spellings(&texts, &known, slots, numbers);
        translate(numbers, texts.count, slots, slots + SLOTS / 2, states, places);
        count_numbers(numbers, texts.count, counts);
    }
    free(none);
    free(longest);
    free(states);
    free(numbers);
    free(slots);
    free(integers);
    free(places);
    free(counts);
    free(doubles);
    free(trimmed);
}

/* One cell, with nothing around it. */
static void read_alone(Text text)
{
    uint8_t *bytes = copied(text.at, text.length);
    View *view = allocated(1, sizeof *view);
    *view = view_of(bytes, text.length, 0, text.length, 0);
    read_all((Texts){view, 1, {bytes, bytes}});
    free(view);
    free(bytes);
}

/* The input's dialect; with `unusual` bits set, one that has escapes, comments, lenient quotes or spaces before cells. */
static Dialect dialect_of(Input input, int unusual)
{
    return (Dialect){
        .delimiter = input.delimiter,
        .quote = input.quote,
        .escape = unusual & 1 ? '.' : -1,
        .comment = unusual & 1 ? '5' : -1,
        .doubled = (uint8_t)input.doubled,
        .lenient = (unusual & 2) != 0,
        .skip = (unusual & 4) != 0,
    };
}

static void split_and_read(const uint8_t *text, Input input, int unusual)
{
    const Dialect dialect = dialect_of(input, unusual);
    View **columns = allocated(input.width, sizeof *columns);
    uint8_t *unquoted = allocated(input.size, 1);
    for (int32_t i = 0; i < input.width; i++)
        columns[i] = i % 3 == 2 ? NULL : allocated(input.rows, sizeof **columns);
    int64_t used =
        unusual < 0
            ? split(text, input.size, (uint8_t)input.delimiter, input.quote, input.width, columns, input.rows, unquoted)
            : split_any(text, input.size, &dialect, input.width, columns, input.rows, unquoted);
    if (used >= 0) {
        uint8_t *kept = copied(unquoted, used);
        splits++;
        for (int32_t i = 0; i < input.width; i++) {
            if (!columns[i])
                continue;
            Texts texts = {columns[i], input.rows, {text, kept}};
            read_all(texts);
            for (int64_t row = 0; row < input.rows; row++)
                read_alone(text_of(&texts, row));
            int64_t size = size_of_texts(&texts);
            uint8_t *buffer = allocated(size, 1);
            View *views = allocated(input.rows, sizeof *views);
            copy_texts(&texts, buffer, size, views);
            free(buffer);
            free(views);
        }
        free(kept);
    }
    for (int32_t i = 0; i < input.width; i++)
        free(columns[i]);
    free(columns);
    free(unquoted);
}

static void inspect_and_read(const uint8_t *text, Input input)
{
    int64_t rows = count(text, input.size, '\n') + 1, row = 0, start = 0;
    int64_t *ends = allocated(rows, sizeof *ends), *counts = allocated(rows, sizeof *counts);
    uint8_t *flags = allocated(rows, 1);
    for (int64_t at = 0; at < input.size; at++)
        if (text[at] == '\n')
            ends[row++] = at + 1;
    ends[row] = input.size;
    for (int unusual = 0; unusual < 8; unusual++) {
        const Dialect dialect = dialect_of(input, unusual);
        inspect(text, ends, rows, &dialect, counts, flags);
    }
    for (row = 0; row < rows; start = ends[row++])
        read_alone((Text){text + start, ends[row] - start - (row < rows - 1)});
    free(ends);
    free(counts);
    free(flags);
}

static void prove_all(const uint8_t *text, Input input)
{
    int64_t ends = count(text, input.size, '\n');
    int64_t *lines = allocated(ends, sizeof *lines), *breaks = allocated(ends, sizeof *breaks);
    Proof proof;
    proved += prove(text, input.size, (uint8_t)input.delimiter, input.quote, input.doubled, lines, breaks, &proof);
    free(lines);
    free(breaks);
}

/* Record by record, in every dialect. */
static void walk_all(const uint8_t *text, Input input)
{
    int64_t most = count(text, input.size, '\n') + count(text, input.size, '\r') + 1;
    int64_t *lines = allocated(most, sizeof *lines), *breaks = allocated(most, sizeof *breaks), *cuts = allocated(3 * most, sizeof *cuts);
    Walk found;
    for (int unusual = 0; unusual < 16; unusual++) {
        const Dialect dialect = dialect_of(input, unusual);
        walk(text, input.size, &dialect, unusual > 7, input.rows, lines, breaks, cuts, &found);
        int64_t start = 0;
        for (int64_t row = 0; row < found.breaks; row++) {
            int64_t size = breaks[row] + 1 - start;
            uint8_t *record = copied(text + start, size);
            Cell *cells = allocated(size + 1, sizeof *cells);
            list_cells(record, size, &dialect, size + 1, cells);
            free(cells);
            free(record);
            start = breaks[row] + 1;
        }
        walks += found.breaks > 0;
        uint8_t *buffer = allocated(found.end, 1);
        View *views = allocated(1, sizeof *views);
        gather_pieces(text, &(int64_t){0}, &found.end, 1, buffer, found.end, views);
        free(buffer);
        free(views);
        behind_lines(text, input.size, unusual + 1);
    }
    free(lines);
    free(breaks);
    free(cuts);
}

int main(void)
{
    Input input;
    int64_t inputs = 0;
    while (fread(&input, sizeof input, 1, stdin) == 1) {
        uint8_t *text = allocated(input.size, 1);
        if (fread(text, 1, (size_t)input.size, stdin) != (size_t)input.size)
            return 1;
        prove_all(text, input);
        inspect_and_read(text, input);
        walk_all(text, input);
        for (int unusual = -1; unusual < 8; unusual += 4)
            split_and_read(text, input, unusual);
        free(text);
        inputs++;
    }
    printf("%lld inputs, %lld proved, %lld walked, %lld split, %lld values\n", (long long)inputs, (long long)proved,
           (long long)walks, (long long)splits, (long long)values);
    return 0;
}
