/* Numbers read from texts. */

#include "fields.h"

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

__extension__ typedef unsigned __int128 Wide;

/* The number that eight digits write, whose values are the bytes of a word. */
static inline uint64_t join_digits(uint64_t digits)
{
    digits = digits * 10 + (digits >> 8);  /* pairs of them, in every second byte */
    uint64_t first = (digits & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064);
    uint64_t second = (digits >> 16 & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001);
    return (first + second) >> 32;
}

/* Whether each byte of a word is a digit's value. */
static inline int are_digits(uint64_t word)
{
    return !((word | (word + EACH(6))) & EACH(0xf0));
}

/* Where a byte stands first among so many; that many when it does not. */
static inline int64_t find_byte(Wide bytes, uint8_t byte, int64_t length)
{
    for (int half = 0; half < 2; half++) {
        uint64_t other = (uint64_t)(bytes >> 64 * half) ^ EACH(byte);
        uint64_t found = (other - EACH(1)) & ~other & EACH(0x80);
        if (found)
            return half * 8 + __builtin_ctzll(found) / 8;
        if (length <= 8)
            break;
    }
    return length;
}

/* What is written with digits, a sign before them and a point among them. */
typedef struct {
    uint64_t number;   /* the digits, without the point */
    int64_t decimals;  /* how many of them stand behind it */
    int negative;
} Plain;

/* Read a number that its view holds whole and that is written plainly; `point` is -1 where none may be, and white space never.
 *
 * What is read so is no white space, and no missing value; whatever else a text may be is left to the loops that go byte by byte.
 */
static inline int read_plain(const View *view, const Field *field, int32_t point, Plain *plain)
{
    int64_t length = (int64_t)(view->low & UINT32_MAX);
    Wide bytes = (Wide)view->high << 32 | view->low >> 32;
    uint8_t first = (uint8_t)bytes;
    if (length > SHORT || may_be_missing(field, length, first))
        return 0;
    int sign = first == '-' || first == '+';
    plain->negative = first == '-';
    plain->decimals = 0;
    bytes >>= 8 * sign;
    length -= sign;
    if (point >= 0) {
        int64_t at = find_byte(bytes, (uint8_t)point, length);
        if (at < length) {
            Wide before = ((Wide)1 << 8 * at) - 1;
            bytes = (bytes & before) | (bytes >> 8 & ~before);
            length--;
            plain->decimals = length - at;
        }
    }
    if (length < 1)
        return 0;
    uint64_t low = (uint64_t)bytes, high = 0;
    if (length <= 8) {
        low = (low ^ EACH('0')) << 8 * (8 - length);
        plain->number = join_digits(low);
    } else {
        bytes = (bytes ^ ((Wide)EACH('0') << 64 | EACH('0'))) << 8 * (16 - length);
        low = (uint64_t)bytes;
        high = (uint64_t)(bytes >> 64);
        plain->number = join_digits(low) * 100000000 + join_digits(high);
    }
    return are_digits(low) && are_digits(high);
}

/* Read an integer byte by byte; say whether the text is one. */
static int read_integer(Text text, const Field *field, int32_t exactly, int64_t *value)
{
    int sign = text.length && (text.at[0] == '-' || text.at[0] == '+');
    int negative = sign && text.at[0] == '-';
    text = behind(text, sign);
    uint64_t number = 0;
    int64_t digits = 0;
    int whole = read_digits(text, field->group, &number, &digits) == text.length;
    int fits = exactly ? !sign && digits == exactly : digits >= 1 && digits <= 18;
    *value = !fits ? 0 : negative ? -(int64_t)number : (int64_t)number;
    return whole && fits;
}

void read_integers(const Texts *texts, const Field *field, int32_t exactly, int64_t least, int64_t most, int64_t *values, uint8_t *states)
{
    for (int64_t i = 0; i < texts->count; i++) {
        Plain plain;
        int64_t value = 0;
        int good = 1;
        states[i] = VALUE;
        if (!exactly && read_plain(&texts->views[i], field, -1, &plain)) {
            value = plain.negative ? -(int64_t)plain.number : (int64_t)plain.number;
        } else {
            Text text = cell_of(texts, i, field, &states[i]);
            good = states[i] != VALUE || read_integer(text, field, exactly, &value);
        }
        good = states[i] != VALUE || (good && value >= least && value <= most);
        states[i] = good ? states[i] : DOUBTFUL;
        values[i] = states[i] == VALUE ? value : 0;
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
    int plainly = field->point < 0 || (is_visible((uint8_t)field->point) && !is_digit((uint8_t)field->point));
    for (int64_t i = 0; i < texts->count; i++) {
        Plain plain;
        double value = 0;
        int good = 1;
        states[i] = VALUE;
        if (plainly && read_plain(&texts->views[i], field, field->point, &plain)) {
            value = (double)plain.number / TENS[plain.decimals];
            value = plain.negative ? -value : value;
        } else {
            Text text = cell_of(texts, i, field, &states[i]);
            good = states[i] != VALUE || read_number(text, field, &value);
        }
        good = states[i] != VALUE || (good && value >= least && value <= most);
        states[i] = good ? states[i] : DOUBTFUL;
        values[i] = states[i] == VALUE ? value : 0;
    }
}
