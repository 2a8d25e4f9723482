/* Moments read from texts of a fixed width. */

#include "fields.h"

enum { YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, PARTS };

enum { WIDEST = 32, AHEAD = 16 };  /* AHEAD: so many texts are fetched from memory before they are read */

/* How a moment is written: what a byte is when `pattern` is taken away must be nothing but a digit. */
typedef struct {
    int32_t width;           /* bytes of a text */
    int32_t places[PARTS];   /* where each part is written, or -1 */
    uint8_t pattern[WIDEST]; /* a mark, or '0' for any digit */
    uint8_t excess[WIDEST];  /* what makes of ten and more sixteen and more: six for a digit */
    uint8_t wrong[WIDEST];   /* the bits that must not be set: the higher four for a digit, all for a mark */
} Layout;

/* Days from 1970-01-01 of the proleptic Gregorian calendar: whole eras of 400 years that begin in March, and the days within. */
static int64_t days_of(int year, int month, int day)
{
    int shifted = year - (month <= 2), era = shifted / 400, of_era = shifted - era * 400;
    int of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int days_in(int year, int month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

/* Copy a text of up to WIDEST bytes, in pieces of a size that the compiler knows: they may overlap. */
static inline void copy_short(uint8_t *target, const uint8_t *at, size_t length)
{
    if (length >= 16) {
        memcpy(target, at, 16);
        memcpy(target + length - 16, at + length - 16, 16);
    } else if (length >= 8) {
        memcpy(target, at, 8);
        memcpy(target + length - 8, at + length - 8, 8);
    } else {
        memcpy(target, at, length);
    }
}

static inline int read_moment(Text text, const Layout *layout, int64_t *seconds)
{
    if (text.length != layout->width)
        return 0;
    uint8_t digits[WIDEST] = {0};
    copy_short(digits, text.at, (size_t)text.length);
    uint64_t wrong = 0;
    for (int i = 0; i < WIDEST; i += 8) {
        uint64_t word = load(digits + i) ^ load(layout->pattern + i);
        wrong |= (word | (word + load(layout->excess + i))) & load(layout->wrong + i);
        memcpy(digits + i, &word, sizeof word);
    }
    if (wrong)
        return 0;
    int parts[PARTS] = {1900, 1, 1, 0, 0, 0}; /* what strptime takes where nothing is written */
    for (int part = 0; part < PARTS; part++) {
        if (layout->places[part] < 0)
            continue;
        const uint8_t *at = digits + layout->places[part];
        parts[part] = at[0] * 10 + at[1];
        if (part == YEAR)
            parts[part] = parts[part] * 100 + at[2] * 10 + at[3];
    }
    if (parts[YEAR] < 1 || parts[MONTH] < 1 || parts[MONTH] > 12 || parts[HOUR] > 23 || parts[MINUTE] > 59 || parts[SECOND] > 59)
        return 0;
    if (parts[DAY] < 1 || parts[DAY] > days_in(parts[YEAR], parts[MONTH]))
        return 0;
    *seconds = days_of(parts[YEAR], parts[MONTH], parts[DAY]) * 86400 + parts[HOUR] * 3600 + parts[MINUTE] * 60 + parts[SECOND];
    return 1;
}

void read_moments(const Texts *texts, const Field *field, const Layout *layout, int64_t *values, uint8_t *states)
{
    for (int64_t i = 0; i < texts->count; i++) {
        if (i + AHEAD < texts->count)
            __builtin_prefetch(text_of(texts, i + AHEAD).at);
        Text text = cell_of(texts, i, field, &states[i]);
        values[i] = 0;
        if (states[i] == VALUE && !read_moment(text, layout, &values[i]))
            states[i] = DOUBTFUL;
    }
}
