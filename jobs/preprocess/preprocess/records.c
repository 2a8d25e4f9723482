/* Where records and cells begin and end in a text of the usual dialects, whose quotes alone say so. */

#include "cells.h"

enum { LANES = 64, MOST_ROUNDS = 255 };  /* a byte counts to 255 */

int64_t count(const uint8_t *text, int64_t size, uint8_t byte)
{
    int64_t found = 0, at = 0;
    while (size - at >= LANES) {
        int64_t left = (size - at) / LANES, rounds = left < MOST_ROUNDS ? left : MOST_ROUNDS;
        uint8_t lanes[LANES] = {0};
        for (int64_t round = 0; round < rounds; round++, at += LANES)
            for (int lane = 0; lane < LANES; lane++)
                lanes[lane] += text[at + lane] == byte;
        for (int lane = 0; lane < LANES; lane++)
            found += lanes[lane];
    }
    for (; at < size; at++)
        found += text[at] == byte;
    return found;
}

typedef struct {
    int64_t breaks;  /* how many line ends are outside quotes */
    int32_t open;    /* whether the text ends within quotes */
} Proof;

int32_t prove(const uint8_t *text, int64_t size, uint8_t delimiter, int32_t quote, int32_t doubled, int64_t *lines, int64_t *breaks,
              Proof *proof)
{
    uint64_t inside = 0;                  /* all bits: the chunk begins within quotes */
    uint64_t may_open = 1, must_end = 0;  /* one bit, for the chunk's first byte */
    int64_t ended = 0;
    *proof = (Proof){0};
    for (int64_t at = 0; at < size; at += CHUNK) {
        uint8_t copy[CHUNK];
        const uint8_t *chunk = chunk_at(text, size, at, copy);
        uint64_t newlines = which(chunk, '\n'), enclosed = 0;
        if (quote >= 0) {
            uint64_t quotes = which(chunk, (uint8_t)quote);
            if (quotes | inside | must_end) {
                enclosed = running_parity(quotes) ^ inside;
                uint64_t opening = quotes & enclosed, closing = quotes & ~enclosed;
                uint64_t around = which(chunk, delimiter) | newlines | (doubled ? quotes : 0);
                uint64_t beyond = size - at < CHUNK ? ~UINT64_C(0) << (size - at) : 0;
                if (opening & ~(around << 1 | may_open))
                    return 0;
                if ((closing << 1 | must_end) & ~(around | which(chunk, '\r') | beyond))
                    return 0;
                must_end = closing >> (CHUNK - 1);
                inside = -(enclosed >> (CHUNK - 1));
            }
            uint8_t last = chunk[CHUNK - 1];
            may_open = last == delimiter || last == '\n' || (doubled && last == quote);
        }
        for (uint64_t rest = newlines; rest; rest &= rest - 1) {
            int bit = __builtin_ctzll(rest);
            lines[ended++] = at + bit;
            if (!(enclosed >> bit & 1))
                breaks[proof->breaks++] = at + bit;
        }
    }
    proof->open = inside != 0;
    return 1;
}

/* Where cells go: views of `text`, or of what is written to `unquoted` where doubled quotes are undone. */
typedef struct {
    const uint8_t *text;
    int64_t size;
    int32_t quote;
    uint8_t *unquoted;
    int64_t used;
} Target;

/* The view of a cell that begins with a quote; `sound` becomes 0 when it does not end with one. */
static View view_quoted(Target *target, int64_t start, int64_t length, int *sound)
{
    const uint8_t *text = target->text;
    int64_t first = start + 1, inner = length - 2;
    *sound = inner >= 0 && text[first + inner] == target->quote;
    if (!*sound || !memchr(text + first, target->quote, (size_t)inner))
        return view_of(text, target->size, first, *sound ? inner : 0, 0);
    int64_t from = target->used;
    for (int64_t i = first; i < first + inner; i += text[i] == target->quote ? 2 : 1)
        target->unquoted[target->used++] = text[i];
    return view_of(target->unquoted, target->used, from, target->used - from, 1);
}

int64_t split(const uint8_t *text, int64_t size, uint8_t delimiter, int32_t quote, int32_t width, View *const *columns, int64_t rows,
              uint8_t *unquoted)
{
    Target target = {.text = text, .size = size, .quote = quote, .unquoted = unquoted};
    int64_t row = 0, start = 0;
    int32_t column = 0;
    uint64_t inside = 0;
    if (!is_utf8(text, size))
        return -1;
    for (int64_t at = 0; at < size; at += CHUNK) {
        uint8_t copy[CHUNK];
        const uint8_t *chunk = chunk_at(text, size, at, copy);
        uint64_t newlines = which(chunk, '\n'), ends = which(chunk, delimiter) | newlines;
        if (quote >= 0) {
            uint64_t enclosed = running_parity(which(chunk, (uint8_t)quote)) ^ inside;
            inside = -(enclosed >> (CHUNK - 1));
            ends &= ~enclosed;
        }
        for (; ends; ends &= ends - 1) {
            int bit = __builtin_ctzll(ends), sound = 1;
            int64_t end = at + bit, first = start, length = end - start, here = row;
            int32_t last = (int32_t)(newlines >> bit & 1);
            if (last != (column == width - 1) || row == rows)
                return -1;
            View *views = columns[column];
            start = end + 1;
            column = last ? 0 : column + 1;
            row += last;
            if (!views)
                continue;
            length -= last && length && text[end - 1] == '\r';
            if (length && text[first] == quote)
                views[here] = view_quoted(&target, first, length, &sound);
            else
                views[here] = view_of(text, size, first, length, 0);
            if (!sound)
                return -1;
        }
    }
    return start == size && !column && row == rows ? target.used : -1;
}
