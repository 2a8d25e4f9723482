/* What the loops of preprocess share: texts as Arrow keeps them, and the bits of a chunk. `native.py` says what each loop is for.
 *
 * Whatever the text holds, nothing beyond the arrays given is read or written. Texts are kept in a `View` each, on a little-endian
 * processor: https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout
 */

#ifndef CELLS_H
#define CELLS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { SHORT = 12 };  /* bytes, of a text that its view holds whole */

typedef struct {
    uint64_t low;   /* the length in bytes, and above it the first four of them */
    uint64_t high;  /* the next eight; of a text longer than SHORT, the buffer that it is in, and above it where it begins there */
} View;

typedef struct {
    const View *views;
    int64_t count;
    const uint8_t *buffers[2];
} Texts;

typedef struct {
    const uint8_t *at;
    int64_t length;
} Text;

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

static inline uint64_t load(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* ---- Chunks of a text ------------------------------------------------------------------------------------------------------------ */

enum { CHUNK = 64 };  /* bytes that are looked at together, each of them one bit of a word, the first one the lowest */

/* Which bytes of a chunk are this one. Every x86-64 processor has SSE2; compilers know something as good for others. */
static inline uint64_t which(const uint8_t *chunk, uint8_t byte)
{
    uint64_t found = 0;
#ifdef __SSE2__
    for (int i = 0; i < CHUNK; i += 16) {
        __m128i equal = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(chunk + i)), _mm_set1_epi8((char)byte));
        found |= (uint64_t)_mm_movemask_epi8(equal) << i;
    }
#else
    uint8_t flags[CHUNK];
    for (int i = 0; i < CHUNK; i++)
        flags[i] = chunk[i] == byte;
    for (int i = 0; i < CHUNK; i += 8)
        found |= (load(flags + i) * UINT64_C(0x0102040810204080) >> 56) << i;
#endif
    return found;
}

/* Whether a chunk holds NUL or a byte that is not ASCII. */
static inline int is_strange(const uint8_t *chunk)
{
#ifdef __SSE2__
    __m128i strange = _mm_setzero_si128();
    for (int i = 0; i < CHUNK; i += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(chunk + i));
        strange = _mm_or_si128(strange, _mm_or_si128(bytes, _mm_cmpeq_epi8(bytes, _mm_setzero_si128())));
    }
    return _mm_movemask_epi8(strange) != 0;
#else
    uint64_t strange = 0;
    for (int i = 0; i < CHUNK; i += 8)
        strange |= load(chunk + i) | (load(chunk + i) - EACH(1));
    return (strange & EACH(0x80)) != 0;
#endif
}

/* For each bit, whether an odd number of bits is set up to it, itself included. */
static inline uint64_t running_parity(uint64_t bits)
{
    for (int shift = 1; shift < CHUNK; shift *= 2)
        bits ^= bits << shift;
    return bits;
}

/* The chunk at a position of a text; the last one is copied, with zeros behind it. */
static inline const uint8_t *chunk_at(const uint8_t *text, int64_t size, int64_t at, uint8_t copy[CHUNK])
{
    if (size - at >= CHUNK)
        return text + at;
    memset(copy, 0, CHUNK);
    memcpy(copy, text + at, (size_t)(size - at));
    return copy;
}

/* ---- Texts and their views ------------------------------------------------------------------------------------------------------- */

/* The first so many bytes of a word. */
static const uint64_t FIRST[] = {0, UINT64_MAX >> 56, UINT64_MAX >> 48, UINT64_MAX >> 40, UINT64_MAX >> 32, UINT64_MAX >> 24,
                                 UINT64_MAX >> 16, UINT64_MAX >> 8, UINT64_MAX};

static inline View view_of(const uint8_t *buffer, int64_t size, int64_t start, int64_t length, uint64_t number)
{
    uint8_t copy[16] = {0};
    const uint8_t *at = buffer + start;
    if (size - start < 16) {
        memcpy(copy, at, (size_t)(size - start));
        at = copy;
    }
    uint64_t first = load(at), second = load(at + 8);
    if (length > SHORT)
        return (View){(uint64_t)length | first << 32, number | (uint64_t)start << 32};
    first &= FIRST[length < 8 ? length : 8];
    second &= FIRST[length > 8 ? length - 8 : 0];
    return (View){(uint64_t)length | first << 32, first >> 32 | second << 32};
}

static inline Text text_of(const Texts *texts, int64_t number)
{
    const View *view = &texts->views[number];
    int64_t length = (int64_t)(view->low & UINT32_MAX);
    if (length <= SHORT)
        return (Text){(const uint8_t *)view + 4, length};
    return (Text){texts->buffers[view->high & 1] + (view->high >> 32), length};
}

static inline int same(Text one, Text other)
{
    return one.length == other.length && memcmp(one.at, other.at, (size_t)one.length) == 0;
}

/* Whether two texts of some columns are the same. */
static inline int same_texts(const Texts *texts, int64_t number, const Texts *others, int64_t other)
{
    const View *one = &texts->views[number], *two = &others->views[other];
    if (one->low != two->low)
        return 0;
    return (one->low & UINT32_MAX) <= SHORT ? one->high == two->high : same(text_of(texts, number), text_of(others, other));
}

/* How many bytes the character of UTF-8 (RFC 3629) has that is not ASCII and begins here; 0 when there is none. */
static inline int64_t character(const uint8_t *at, int64_t rest)
{
    uint8_t lead = at[0];
    int64_t length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (!length || length > rest)
        return 0;
    for (int64_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    int overlong = (lead == 0xe0 && at[1] < 0xa0) || (lead == 0xf0 && at[1] < 0x90);
    int surrogate = lead == 0xed && at[1] > 0x9f, beyond = lead == 0xf4 && at[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : length;
}

/* Whether a text is UTF-8 without NUL. */
static inline int is_utf8(const uint8_t *text, int64_t size)
{
    int64_t at = 0;
    while (at < size) {
        int64_t length = 1;
        if (text[at] >= 0x80) {
            length = character(text + at, size - at);
            if (!length)
                return 0;
        } else if (!text[at]) {
            return 0;
        } else if (size - at >= CHUNK && !is_strange(text + at)) {
            length = CHUNK;
        } else if (size - at >= 8) {
            uint64_t word = load(text + at);
            length = (word | (word - EACH(1))) & EACH(0x80) ? 1 : 8;
        }
        at += length;
    }
    return 1;
}

#endif
