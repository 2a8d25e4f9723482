/* The loops of preprocess that see every byte or every cell. `native.py`, their only caller, says what each is for.
 *
 * Whatever the text holds, nothing beyond the arrays given is read or written. Texts are kept as Arrow keeps them, in a `View` each, on a
 * little-endian processor: https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { VALUE = 0, MISSING = 1, DOUBTFUL = 2 };  /* what a cell holds */

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

/* What is the same for all cells of a field. */
typedef struct {
    Texts missing;     /* the texts that mean "no value" */
    uint64_t lengths;  /* how long they are: bit 5 for one of five bytes, the highest one for all that are longer */
    Text group;        /* what may stand between two digits of a number's whole part; of no length when nothing may */
    int32_t point;     /* the byte before a number's fraction, or -1 */
    uint8_t trim;      /* whether white space around a text is no part of it */
    uint8_t required;  /* whether there must be a value */
} Field;

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

static inline uint64_t load(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* ---- Structure: where records and cells begin and end ---------------------------------------------------------------------------- */

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

int64_t count(const uint8_t *text, int64_t size, uint8_t byte)
{
    int64_t found = 0;
    for (int64_t i = 0; i < size; i++)
        found += text[i] == byte;
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
static int is_utf8(const uint8_t *text, int64_t size)
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
        } else if (size - at >= 8) {
            uint64_t word = load(text + at);
            length = (word | (word - EACH(1))) & EACH(0x80) ? 1 : 8;
        }
        at += length;
    }
    return 1;
}

int64_t split(const uint8_t *text, int64_t size, uint8_t delimiter, int32_t quote, int32_t width, View *const *columns, int64_t rows,
              uint8_t *unquoted)
{
    int64_t row = 0, start = 0, used = 0;
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
            int bit = __builtin_ctzll(ends);
            int64_t end = at + bit, first = start, length = end - start;
            int32_t last = (int32_t)(newlines >> bit & 1);
            if (last != (column == width - 1) || row == rows)
                return -1;
            start = end + 1;
            View *views = columns[column];
            column = last ? 0 : column + 1;
            int64_t here = row;
            row += last;
            if (!views)
                continue;
            length -= last && length && text[end - 1] == '\r';
            if (!length || text[first] != quote) {
                views[here] = view_of(text, size, first, length, 0);
                continue;
            }
            first += 1;
            length -= 2;
            if (length < 0 || text[first + length] != quote)
                return -1;
            if (!memchr(text + first, quote, (size_t)length)) {
                views[here] = view_of(text, size, first, length, 0);
                continue;
            }
            int64_t from = used;
            for (int64_t i = first; i < first + length; i += text[i] == quote ? 2 : 1)
                unquoted[used++] = text[i];
            views[here] = view_of(unquoted, used, from, used - from, 1);
        }
    }
    return start == size && !column && row == rows ? used : -1;
}

/* ---- Structure, cell by cell: every dialect, and texts whose quotes are out of place ---------------------------------------------- */

typedef struct {
    int32_t delimiter, quote, escape, comment;  /* bytes, or -1 */
    uint8_t doubled;                            /* a doubled quote within quotes is a quote */
    uint8_t lenient;                            /* a quote within a cell that does not begin with one is itself */
    uint8_t skip;                               /* spaces before a cell are no part of it */
} Dialect;

enum { DELIMITED, ENDED, TEXT_ENDED, OPEN, BROKEN };  /* how a cell ends: the last three are no end of a record */

typedef struct {
    int64_t start, length, next;  /* what is written, within its quotes; where the next cell or record begins */
    int32_t end;
    uint8_t undo;                 /* whether there are doubled quotes or escapes in it */
} Cell;

/* The byte behind a line end that begins here: LF, CRLF, or CR; 0 when the text ends before that is certain. */
static inline int64_t behind_line_end(const uint8_t *text, int64_t size, int64_t at, int32_t at_end)
{
    if (text[at] == '\n')
        return at + 1;
    if (at + 1 < size)
        return at + 1 + (text[at + 1] == '\n');
    return at_end ? size : 0;
}

/* What follows a cell that ends before this byte. */
static inline void end_cell(const uint8_t *text, int64_t size, const Dialect *dialect, int32_t at_end, int64_t at, Cell *cell)
{
    cell->next = at;
    if (at >= size) {
        cell->end = TEXT_ENDED;
    } else if (text[at] == dialect->delimiter) {
        cell->end = DELIMITED;
        cell->next = at + 1;
    } else if (text[at] == '\n' || text[at] == '\r') {
        int64_t next = behind_line_end(text, size, at, at_end);
        cell->end = next ? ENDED : TEXT_ENDED;
        cell->next = next;
    } else {
        cell->end = BROKEN;
    }
}

static Cell scan_cell(const uint8_t *text, int64_t size, const Dialect *dialect, int32_t at_end, int64_t at)
{
    Cell cell = {0};
    while (dialect->skip && at < size && text[at] == ' ' && dialect->delimiter != ' ')
        at++;
    if (at >= size || text[at] != dialect->quote) {
        cell.start = at;
        for (; at < size && text[at] != dialect->delimiter && text[at] != '\n' && text[at] != '\r'; at++) {
            if (text[at] == dialect->quote && !dialect->lenient) {
                cell.end = BROKEN;
                return cell;
            }
            if (text[at] == dialect->escape) {
                cell.undo = 1;
                if (++at == size) {
                    cell.end = at_end ? BROKEN : TEXT_ENDED;
                    return cell;
                }
            }
        }
        cell.length = at - cell.start;
        end_cell(text, size, dialect, at_end, at, &cell);
        return cell;
    }
    cell.start = ++at;
    for (; at < size; at++) {
        if (text[at] == dialect->escape) {
            cell.undo = 1;
            if (++at == size) {
                cell.end = at_end ? BROKEN : TEXT_ENDED;
                return cell;
            }
        } else if (text[at] == dialect->quote) {
            if (!dialect->doubled || at + 1 == size || text[at + 1] != dialect->quote)
                break;
            cell.undo = 1;
            at++;
        } else if (dialect->escape < 0) {
            const uint8_t *next = memchr(text + at, dialect->quote, (size_t)(size - at));
            if (!next)
                break;
            at = next - text - 1;
        }
    }
    if (at >= size || text[at] != dialect->quote) {
        cell.end = OPEN;
        return cell;
    }
    cell.length = at - cell.start;
    end_cell(text, size, dialect, at_end, at + 1, &cell);
    return cell;
}

typedef struct {
    int64_t end, lines, breaks, cuts;
} Walk;

/* Where the line that begins here ends; 0 when the text ends before. */
static int64_t behind_line(const uint8_t *text, int64_t size, int64_t at, int32_t at_end)
{
    while (at < size && text[at] != '\n' && text[at] != '\r')
        at++;
    return at < size ? behind_line_end(text, size, at, at_end) : at_end ? size : 0;
}

enum { WHOLE, CUT_OFF, MALFORMED, NEVER_CLOSED, COMMENTED };  /* what begins at a position; CUT_OFF: more text is needed to tell */

int32_t next_record(const uint8_t *text, int64_t size, const Dialect *dialect, int32_t at_end, int64_t longest, int64_t start, int64_t *next)
{
    int32_t what = COMMENTED;
    *next = start;
    if (text[start] != dialect->comment) {
        Cell cell = {.next = start};
        do {
            cell = scan_cell(text, size, dialect, at_end, cell.next);
        } while (cell.end == DELIMITED);
        if (cell.end == ENDED || (cell.end == TEXT_ENDED && at_end)) {
            *next = cell.end == ENDED ? cell.next : size;
            return WHOLE;
        }
        if (cell.end == TEXT_ENDED || (cell.end == OPEN && !at_end && size - start <= longest))
            return CUT_OFF;
        what = cell.end == OPEN ? NEVER_CLOSED : MALFORMED;
    }
    int64_t stop = behind_line(text, size, start, at_end);
    if (!stop)
        return CUT_OFF;
    *next = stop;
    return what;
}

void walk(const uint8_t *text, int64_t size, const Dialect *dialect, int32_t at_end, int64_t longest, int64_t *lines, int64_t *breaks,
          int64_t *cuts, Walk *found)
{
    int64_t at = 0;
    *found = (Walk){0};
    while (at < size) {
        int64_t start = at;
        int32_t what = next_record(text, size, dialect, at_end, longest, start, &at);
        if (what == CUT_OFF)
            break;
        if (what != WHOLE) {
            int64_t *cut = &cuts[3 * found->cuts++];
            cut[0] = start;
            cut[1] = at;
            cut[2] = what;
        }
        if (text[at - 1] == '\n' || text[at - 1] == '\r')
            breaks[found->breaks++] = at - 1;
    }
    found->end = at;
    for (int64_t i = 0; i < at; i++)
        if (text[i] == '\n' || (text[i] == '\r' && (i + 1 == size || text[i + 1] != '\n')))
            lines[found->lines++] = i;
}

/* The cells of one well-formed record, at most so many; their number. */
int64_t list_cells(const uint8_t *record, int64_t size, const Dialect *dialect, int64_t most, Cell *cells)
{
    int64_t found = 0, at = 0;
    while (found < most) {
        cells[found] = scan_cell(record, size, dialect, 1, at);
        at = cells[found].next;
        if (cells[found++].end != DELIMITED)
            break;
    }
    return found;
}

int64_t split_any(const uint8_t *text, int64_t size, const Dialect *dialect, int32_t width, View *const *columns, int64_t rows,
                  uint8_t *unquoted)
{
    int64_t row = 0, at = 0, used = 0;
    int32_t column = 0;
    if (!is_utf8(text, size))
        return -1;
    while (at < size) {
        Cell cell = scan_cell(text, size, dialect, 1, at);
        int last = cell.end != DELIMITED;
        if (cell.end > ENDED || last != (column == width - 1) || row == rows)
            return -1;
        at = cell.next;
        View *views = columns[column];
        column = last ? 0 : column + 1;
        int64_t here = row;
        row += last;
        if (!views)
            continue;
        if (!cell.undo) {
            views[here] = view_of(text, size, cell.start, cell.length, 0);
            continue;
        }
        int64_t from = used, end = cell.start + cell.length;
        int quoted = cell.start && text[cell.start - 1] == dialect->quote;
        for (int64_t i = cell.start; i < end; i++) {
            int doubled = quoted && dialect->doubled && text[i] == dialect->quote && i + 1 < end && text[i + 1] == dialect->quote;
            i += doubled || text[i] == dialect->escape;
            unquoted[used++] = text[i];
        }
        views[here] = view_of(unquoted, used, from, used - from, 1);
    }
    return !column && row == rows ? used : -1;
}

enum { HAS_NUL = 1, NOT_UTF8 = 2, ENDS_EMPTY = 4 };

/* How many cells each record has, and what is wrong with its bytes, or that its last cell is empty. */
void inspect(const uint8_t *text, const int64_t *ends, int64_t rows, const Dialect *dialect, int64_t *counts, uint8_t *flags)
{
    int64_t start = 0;
    for (int64_t row = 0; row < rows; row++) {
        int64_t end = ends[row], cells = 0, at = start;
        Cell cell;
        do {
            cell = scan_cell(text, end, dialect, 1, at);
            at = cell.next;
            cells++;
        } while (cell.end == DELIMITED);
        int nul = memchr(text + start, 0, (size_t)(end - start)) != NULL, wrong = 0;
        for (at = start; at < end && !wrong;) {
            int64_t length = text[at] < 0x80 ? 1 : character(text + at, end - at);
            wrong = !length;
            at += length;
        }
        counts[row] = cells;
        flags[row] = (uint8_t)((nul ? HAS_NUL : 0) | (wrong ? NOT_UTF8 : 0) | (cell.end < OPEN && !cell.length ? ENDS_EMPTY : 0));
        start = end;
    }
}

/* Pieces of a text, copied one behind another. */
void gather_pieces(const uint8_t *text, const int64_t *starts, const int64_t *ends, int64_t count, uint8_t *buffer, int64_t size, View *views)
{
    int64_t used = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t length = ends[i] - starts[i];
        memcpy(buffer + used, text + starts[i], (size_t)length);
        used += length;
    }
    used = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t length = ends[i] - starts[i];
        views[i] = view_of(buffer, size, used, length, 0);
        used += length;
    }
}

/* The position of the byte behind the line end of this number, counted from 1; 0 when there are fewer. */
int64_t behind_lines(const uint8_t *text, int64_t size, int64_t number)
{
    for (int64_t i = 0; i < size; i++)
        if ((text[i] == '\n' || (text[i] == '\r' && i + 1 < size && text[i + 1] != '\n')) && --number == 0)
            return i + 1;
    return 0;
}

/* ---- Cells: what they say -------------------------------------------------------------------------------------------------------- */

static inline Text text_of(const Texts *texts, int64_t number)
{
    const View *view = &texts->views[number];
    int64_t length = (int64_t)(view->low & UINT32_MAX);
    if (length <= SHORT)
        return (Text){(const uint8_t *)view + 4, length};
    return (Text){texts->buffers[view->high & 1] + (view->high >> 32), length};
}

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

static inline int same(Text one, Text other)
{
    return one.length == other.length && memcmp(one.at, other.at, (size_t)one.length) == 0;
}

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

/* The text of a cell as the field has it; `state` says whether it is missing, or must be there and is not. */
static inline Text cell_of(const Texts *texts, int64_t number, const Field *field, uint8_t *state)
{
    Text text = text_of(texts, number);
    if (field->trim)
        text = trimmed(text);
    *state = VALUE;
    if (!(field->lengths >> (text.length < 63 ? text.length : 63) & 1))
        return text;
    for (int64_t i = 0; i < field->missing.count; i++)
        if (same(text, text_of(&field->missing, i)))
            *state = field->required ? DOUBTFUL : MISSING;
    return text;
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

static inline int is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* Read digits, with a `group` between two of them here and there; say how many bytes that were. */
static inline int64_t read_digits(Text text, Text group, uint64_t *number, int64_t *digits)
{
    int64_t at = 0;
    while (at < text.length) {
        int64_t next = at + group.length;
        if (is_digit(text.at[at])) {
            *number = *number * 10 + (uint64_t)(text.at[at] - '0');
            *digits += 1;
            at++;
        } else if (group.length && at && next < text.length && is_digit(text.at[next]) &&
                   memcmp(text.at + at, group.at, (size_t)group.length) == 0) {
            at = next;
        } else {
            break;
        }
    }
    return at;
}

static inline Text behind(Text text, int64_t length)
{
    return (Text){text.at + length, text.length - length};
}

void read_integers(const Texts *texts, const Field *field, int32_t exactly, int64_t least, int64_t most, int64_t *values, uint8_t *states)
{
    for (int64_t i = 0; i < texts->count; i++) {
        Text text = cell_of(texts, i, field, &states[i]);
        values[i] = 0;
        if (states[i] != VALUE)
            continue;
        int sign = text.length && (text.at[0] == '-' || text.at[0] == '+');
        int negative = sign && text.at[0] == '-';
        text = behind(text, sign);
        uint64_t number = 0;
        int64_t digits = 0;
        int whole = read_digits(text, field->group, &number, &digits) == text.length;
        int fits = exactly ? !sign && digits == exactly : digits >= 1 && digits <= 18;
        int64_t value = !fits ? 0 : negative ? -(int64_t)number : (int64_t)number;
        if (whole && fits && value >= least && value <= most)
            values[i] = value;
        else
            states[i] = DOUBTFUL;
    }
}

/* The powers of ten that a double holds exactly. */
static const double TENS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                              1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* The double nearest to digits times a power of ten, by the C library. Locales that write numbers another way make it fail. */
static int nearest(Text whole, Text fraction, int64_t exponent, double *value)
{
    char written[128];
    size_t used = 0;
    if (whole.length + fraction.length > (int64_t)sizeof written - 16)
        return 0;
    for (int64_t i = 0; i < whole.length; i++)
        if (is_digit(whole.at[i]))
            written[used++] = (char)whole.at[i];
    for (int64_t i = 0; i < fraction.length; i++)
        written[used++] = (char)fraction.at[i];
    written[used++] = 'e';
    if (exponent < 0)
        written[used++] = '-';
    uint64_t rest = (uint64_t)(exponent < 0 ? -exponent : exponent);
    for (uint64_t tens = 10000; tens; tens /= 10)
        written[used++] = (char)('0' + rest / tens % 10);
    written[used] = 0;
    char *end;
    *value = strtod(written, &end);
    return *end == 0;
}

/* Read `123.4e5`; say whether the whole text is a number. */
static inline int read_number(Text text, const Field *field, double *value)
{
    int sign = text.length && (text.at[0] == '-' || text.at[0] == '+');
    int negative = sign && text.at[0] == '-';
    text = behind(text, sign);
    const Text ungrouped = {0};
    uint64_t number = 0;
    int64_t digits = 0, exponent = 0;
    Text whole = {text.at, read_digits(text, field->group, &number, &digits)}, fraction = {text.at, 0};
    text = behind(text, whole.length);
    if (text.length && text.at[0] == field->point) {
        text = behind(text, 1);
        int64_t before = digits;
        fraction = (Text){text.at, read_digits(text, ungrouped, &number, &digits)};
        exponent = before - digits;
        text = behind(text, fraction.length);
    }
    if (!digits)
        return 0;
    if (text.length && (text.at[0] == 'e' || text.at[0] == 'E')) {
        text = behind(text, 1);
        int minus = text.length && text.at[0] == '-';
        text = behind(text, minus || (text.length && text.at[0] == '+'));
        uint64_t power = 0;
        int64_t length = 0;
        text = behind(text, read_digits(text, ungrouped, &power, &length));
        if (!length || length > 4)
            return 0;
        exponent += minus ? -(int64_t)power : (int64_t)power;
    }
    if (text.length)
        return 0;
    if (digits <= 19 && number <= UINT64_C(1) << 53 && exponent >= -22 && exponent <= 22)
        *value = exponent < 0 ? (double)number / TENS[-exponent] : (double)number * TENS[exponent];
    else if (!nearest(whole, fraction, exponent, value))
        return 0;
    if (negative)
        *value = -*value;
    return 1;
}

void read_numbers(const Texts *texts, const Field *field, double least, double most, double *values, uint8_t *states)
{
    for (int64_t i = 0; i < texts->count; i++) {
        Text text = cell_of(texts, i, field, &states[i]);
        values[i] = 0;
        if (states[i] != VALUE)
            continue;
        double value;
        if (read_number(text, field, &value) && value >= least && value <= most)
            values[i] = value;
        else
            states[i] = DOUBTFUL;
    }
}

enum { YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, PARTS };

enum { WIDEST = 32 };

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

static inline int read_moment(Text text, const Layout *layout, int64_t *seconds)
{
    if (text.length != layout->width)
        return 0;
    uint8_t digits[WIDEST] = {0};
    memcpy(digits, text.at, (size_t)layout->width);
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
        Text text = cell_of(texts, i, field, &states[i]);
        values[i] = 0;
        if (states[i] == VALUE && !read_moment(text, layout, &values[i]))
            states[i] = DOUBTFUL;
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

static inline int same_spelling(const Texts *texts, int64_t number, const Texts *known, int64_t other)
{
    const View *one = &texts->views[number], *two = &known->views[other];
    if (one->low != two->low)
        return 0;
    return (one->low & UINT32_MAX) <= SHORT ? one->high == two->high : same(text_of(texts, number), text_of(known, other));
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
        while (slots[slot] != UNKNOWN && !same_spelling(texts, i, known, slots[slot]))
            slot = (slot + 1) % SLOTS;
        numbers[i] = slots[slot];
        unknown += slots[slot] == UNKNOWN;
    }
    return unknown;
}
