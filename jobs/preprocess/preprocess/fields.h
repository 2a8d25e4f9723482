/* What the cells of a field say: which of them are missing, and where their texts begin and end. */

#ifndef FIELDS_H
#define FIELDS_H

#include "cells.h"

enum { VALUE = 0, MISSING = 1, DOUBTFUL = 2 };  /* what a cell holds */

/* What is the same for all cells of a field. */
typedef struct {
    Texts missing;     /* the texts that mean "no value" */
    uint64_t lengths;  /* how long they are: bit 5 for one of five bytes, the highest one for all that are longer */
    uint64_t starts;   /* what they begin with: a bit for the lowest six bits of the first byte */
    Text group;        /* what may stand between two digits of a number's whole part; of no length when nothing may */
    int32_t point;     /* the byte before a number's fraction, or -1 */
    uint8_t trim;      /* whether white space around a text is no part of it */
    uint8_t required;  /* whether there must be a value */
} Field;

/* Whether so many bytes are one character of Unicode's White_Space, in UTF-8. */
static inline int is_space(const uint8_t *at, int length)
{
    if (length == 1)
        return at[0] == ' ' || (at[0] >= '\t' && at[0] <= '\r');
    if (length == 2)
        return at[0] == 0xc2 && (at[1] == 0x85 || at[1] == 0xa0);
    if (at[0] == 0xe2 && at[1] == 0x80)
        return (at[2] >= 0x80 && at[2] <= 0x8a) || at[2] == 0xa8 || at[2] == 0xa9 || at[2] == 0xaf;
    return (at[0] == 0xe1 && at[1] == 0x9a && at[2] == 0x80) || (at[0] == 0xe2 && at[1] == 0x81 && at[2] == 0x9f) ||
           (at[0] == 0xe3 && at[1] == 0x80 && at[2] == 0x80);
}

/* Whether a byte is neither white space nor part of a character that may be. */
static inline int is_visible(uint8_t byte)
{
    return byte > ' ' && byte < 0x80;
}

static inline Text trimmed(Text text)
{
    while (text.length && !is_visible(text.at[0])) {
        int length = 1;
        while (length <= 3 && (length > text.length || !is_space(text.at, length)))
            length++;
        if (length > 3)
            break;
        text.at += length;
        text.length -= length;
    }
    while (text.length && !is_visible(text.at[text.length - 1])) {
        int length = 1;
        while (length <= 3 && (length > text.length || !is_space(text.at + text.length - length, length)))
            length++;
        if (length > 3)
            break;
        text.length -= length;
    }
    return text;
}

/* Whether a text of this length that begins with this byte may be a missing value. */
static inline int may_be_missing(const Field *field, int64_t length, uint8_t first)
{
    return field->lengths >> (length < 63 ? length : 63) & (length ? field->starts >> (first & 63) : 1) & 1;
}

/* The text of a cell as the field has it; `state` says whether it is missing, or must be there and is not. */
static inline Text cell_of(const Texts *texts, int64_t number, const Field *field, uint8_t *state)
{
    Text text = text_of(texts, number);
    if (field->trim)
        text = trimmed(text);
    *state = VALUE;
    if (!may_be_missing(field, text.length, text.length ? text.at[0] : 0))
        return text;
    for (int64_t i = 0; i < field->missing.count; i++)
        if (same(text, text_of(&field->missing, i)))
            *state = field->required ? DOUBTFUL : MISSING;
    return text;
}

#endif
