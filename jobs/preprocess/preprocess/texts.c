/* Texts copied, trimmed, and looked up among those that are known. */

#include "fields.h"

/* How many bytes the texts have that no view holds whole. */
int64_t size_of_texts(const Texts *texts)
{
    int64_t size = 0;
    for (int64_t i = 0; i < texts->count; i++) {
        int64_t length = text_of(texts, i).length;
        size += length > SHORT ? length : 0;
    }
    return size;
}

void copy_texts(const Texts *texts, uint8_t *buffer, int64_t size, View *views)
{
    int64_t used = 0;
    for (int64_t i = 0; i < texts->count; i++) {
        Text text = text_of(texts, i);
        views[i] = texts->views[i];
        if (text.length <= SHORT)
            continue;
        memcpy(buffer + used, text.at, (size_t)text.length);
        views[i] = view_of(buffer, size, used, text.length, 0);
        used += text.length;
    }
}

void read_texts(const Texts *texts, const Field *field, View *values, uint8_t *states)
{
    for (int64_t i = 0; i < texts->count; i++) {
        Text text = cell_of(texts, i, field, &states[i]);
        View view = texts->views[i];
        int64_t length = (int64_t)(view.low & UINT32_MAX);
        if (text.length != length) {
            uint64_t number = view.high & 1;
            int64_t start = length > SHORT ? text.at - texts->buffers[number] : 0;
            const uint8_t *buffer = length > SHORT ? texts->buffers[number] : text.at;
            view = view_of(buffer, start + text.length, start, text.length, number);
        }
        values[i] = view;
    }
}

/* ---- Spellings: which of some known texts a cell is ------------------------------------------------------------------------------ */

enum { SLOTS = 1024, UNKNOWN = 255 };

static inline uint64_t mixed(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static inline uint64_t slot_of(const Texts *texts, int64_t number)
{
    const View *view = &texts->views[number];
    uint64_t hash = mixed(0, view->low);
    Text text = text_of(texts, number);
    if (text.length <= SHORT)
        hash = mixed(hash, view->high);
    else
        for (int64_t at = 4; at < text.length; at += 8)
            hash = mixed(hash, load(text.at + (at + 8 <= text.length ? at : text.length - 8)));
    return hash % SLOTS;
}

void index_spellings(const Texts *known, uint8_t *slots)
{
    memset(slots, UNKNOWN, SLOTS);
    for (int64_t i = 0; i < known->count && i < UNKNOWN; i++) {
        uint64_t slot = slot_of(known, i);
        while (slots[slot] != UNKNOWN)
            slot = (slot + 1) % SLOTS;
        slots[slot] = (uint8_t)i;
    }
}

int64_t find_spellings(const Texts *texts, const Texts *known, const uint8_t *slots, uint8_t *numbers)
{
    int64_t unknown = 0;
    for (int64_t i = 0; i < texts->count; i++) {
        uint64_t slot = slot_of(texts, i);
        while (slots[slot] != UNKNOWN && !same_texts(texts, i, known, slots[slot]))
            slot = (slot + 1) % SLOTS;
        numbers[i] = slots[slot];
        unknown += slots[slot] == UNKNOWN;
    }
    return unknown;
}

/* What some numbers of spellings stand for, and where a spelling is a doubtful one; how many of those there are. */
int64_t translate(const uint8_t *numbers, int64_t count, const uint8_t *table, const uint8_t *doubtful, uint8_t *values, int64_t *places)
{
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++)
        values[i] = table[numbers[i]];
    for (int64_t i = 0; i < count; i++)
        if (doubtful[numbers[i]])
            places[found++] = i;
    return found;
}

/* How often each number occurs. */
void count_numbers(const uint8_t *numbers, int64_t count, int64_t *counts)
{
    int64_t parts[4][UINT8_MAX + 1] = {0};  /* apart, because the same number often comes several times in a row */
    for (int64_t i = 0; i < count; i++)
        parts[i % 4][numbers[i]]++;
    for (int number = 0; number <= UINT8_MAX; number++)
        counts[number] = parts[0][number] + parts[1][number] + parts[2][number] + parts[3][number];
}
