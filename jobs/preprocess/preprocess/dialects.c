/* Where records and cells begin and end, cell by cell: in every dialect, and in texts whose quotes are out of place. */

#include "cells.h"

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
        if (what == NEVER_CLOSED && !at_end)
            break;  /* the text was read so far only to see that */
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
