"""Small files of the kinds that people export, each with the right reading of it.

A file's right answer is its number of rows and, for each column, the types that keep its values: `integer` for a postcode with a leading
zero is wrong, however well it reads.
"""

from __future__ import annotations

from dataclasses import dataclass

STRING = frozenset({"string"})
INTEGER = frozenset({"integer"})
NUMBER = frozenset({"number"})
WHOLE = frozenset({"integer", "number"})
BOOLEAN = frozenset({"boolean", "string"})
TRUTH = frozenset({"boolean"})
DATE = frozenset({"date", "datetime"})
DATETIME = frozenset({"datetime"})
TIME = frozenset({"time", "string"})
ANY = frozenset({"string", "integer", "number", "boolean", "date", "datetime", "time", "yearmonth"})


@dataclass(frozen=True)
class Sample:
    """One file. `columns` maps each column's name to the types that are right for it."""

    body: bytes
    rows: int
    columns: dict[str, frozenset[str]]
    first: tuple[str | None, ...] = ()  # the first row as text, where reading it otherwise would be the mistake


def _lines(*lines: str, end: str = "\n") -> bytes:
    return (end.join(lines) + end).encode()


def _repeat(header: str, *rows: str, times: int = 20) -> bytes:
    return _lines(header, *(rows * times))


FILES: dict[str, Sample] = {
    # ---- plain tables
    "plain": Sample(
        _lines("id,name,price", "1,Ann,3.5", "2,Bob,4.25"), 2, {"id": INTEGER, "name": STRING, "price": NUMBER}
    ),
    "crlf": Sample(_lines("a,b", "1,x", "2,y", end="\r\n"), 2, {"a": INTEGER, "b": STRING}),
    "cr-only": Sample(_lines("a,b", "1,x", "2,y", end="\r"), 2, {"a": INTEGER, "b": STRING}),
    "no-last-line-end": Sample(b"a,b\n1,x\n2,y", 2, {"a": INTEGER, "b": STRING}),
    "byte-order-mark": Sample(b"\xef\xbb\xbfa,b\n1,x\n2,y\n", 2, {"a": INTEGER, "b": STRING}),
    "utf-16": Sample("a,b\n1,ä\n2,ö\n".encode("utf-16"), 2, {"a": INTEGER, "b": STRING}),
    "utf-16-le-without-mark": Sample(
        "a,b\n1,ä\n2,Москва\n".encode("utf-16-le"), 2, {"a": INTEGER, "b": STRING}, ("1", "ä")
    ),
    "utf-16-be-without-mark": Sample(
        "a,b\r\n1,ä\r\n2,ö\r\n".encode("utf-16-be"), 2, {"a": INTEGER, "b": STRING}, ("1", "ä")
    ),
    "windows-1252": Sample(
        "name,price\nMüller,3\nCafé “Zoë”,4\n€uro,5\n".encode("windows-1252"),
        3,
        {"name": STRING, "price": INTEGER},
        ("Müller", "3"),
    ),
    "latin-1-late": Sample(
        _lines("id,name", *(f"{number},Ann" for number in range(60_000, 260_000))) + "7,Ås\n".encode("latin-1"),
        200_001,
        {"id": INTEGER, "name": STRING},
        ("60000", "Ann"),
    ),
    "one-column": Sample(_lines("n", "1", "2", "3"), 3, {"n": INTEGER}),
    "one-text-column": Sample(_lines("name", "Ann", "Bob"), 2, {"name": STRING}),
    "one-column-with-commas": Sample(_lines("text", '"a, b"', '"c, d, e"'), 2, {"text": STRING}),
    # ---- delimiters
    "semicolon": Sample(_lines("a;b;c", "1;x;2", "3;y;4"), 2, {"a": INTEGER, "b": STRING, "c": INTEGER}),
    "tab": Sample(_lines("a\tb", "1\tx", "2\ty"), 2, {"a": INTEGER, "b": STRING}),
    "pipe": Sample(_lines("a|b|c", "1|x|2", "3|y|4"), 2, {"a": INTEGER, "b": STRING, "c": INTEGER}),
    "caret": Sample(_lines("a^b^c", "1^x^2", "3^y^4"), 2, {"a": INTEGER, "b": STRING, "c": INTEGER}),
    "tilde": Sample(_lines("a~b", "1~x", "2~y"), 2, {"a": INTEGER, "b": STRING}),
    "semicolon-decimal-comma": Sample(
        _lines("v;w", "1,5;2,25", "3,5;4,75"), 2, {"v": NUMBER, "w": NUMBER}, ("1.5", "2.25")
    ),
    "semicolon-text-with-commas": Sample(
        _lines("name;city", "Doe, Jane;Rome, Italy", "Roe, Rick;Bonn, Germany"), 2, {"name": STRING, "city": STRING}
    ),
    "times-do-not-delimit": Sample(_lines("at,n", "10:30:00,1", "11:45:00,2"), 2, {"at": TIME, "n": INTEGER}),
    # ---- quotes and escapes
    "quoted": Sample(_lines("a,b", '"1","x, y"', '"2","z"'), 2, {"a": INTEGER, "b": STRING}),
    "doubled-quotes": Sample(_lines("a,b", '1,"say ""hi"""', '2,"x"'), 2, {"a": INTEGER, "b": STRING}),
    "quoted-line-end": Sample(b'a,b\n1,"x\ny"\n2,z\n', 2, {"a": INTEGER, "b": STRING}),
    "backslash-escape": Sample(_lines("a,b", '1,"say \\"hi\\""', '2,"it, \\"no\\""'), 2, {"a": INTEGER, "b": STRING}),
    "single-quotes": Sample(_lines("a,b", "1,'x, y'", "2,'z, w'"), 2, {"a": INTEGER, "b": STRING}),
    "inch-marks": Sample(
        _lines("id,pipe,note", '1,5" pipe,"long, thin"', '2,7" pipe,"short"', "3,none,plain"),
        3,
        {"id": INTEGER, "pipe": STRING, "note": STRING},
        ("1", '5" pipe', "long, thin"),
    ),
    "quoted-after-space": Sample(
        _lines("id, name, city", '1, "Ann", "Rome, IT"', "2, Bob, Oslo"),
        2,
        {"id": INTEGER, "name": STRING, "city": STRING},
        ("1", "Ann", "Rome, IT"),
    ),
    "trailing-delimiters": Sample(_lines("a,b,c", "1,2,x,", "4,5,y,"), 2, {"a": INTEGER, "b": INTEGER, "c": STRING}),
    "trailing-delimiters-in-header": Sample(
        _lines("a;b;c;", "1;2;x;", "4;5;y;"), 2, {"a": INTEGER, "b": INTEGER, "c": STRING}
    ),
    "inches": Sample(_lines("size,n", '5",1', '7",2', '9",3'), 3, {"size": STRING, "n": INTEGER}),
    # ---- identifiers that look like numbers
    "postcodes": Sample(_lines("zip,n", "02138,1", "10001,2"), 2, {"zip": STRING, "n": INTEGER}),
    "phones": Sample(_lines("phone,n", "+4930123456,1", "+33142685300,2"), 2, {"phone": STRING, "n": INTEGER}),
    "long-ids": Sample(
        _lines("id,n", "12345678901234567890,1", "12345678901234567891,2"), 2, {"id": STRING, "n": INTEGER}
    ),
    "ids-within-64-bits": Sample(
        _lines("id,n", "9007199254740993,1", "9007199254740995,2"), 2, {"id": INTEGER, "n": INTEGER}
    ),
    "long-id-once": Sample(_repeat("id", "1", "2", "3") + b"99999999999999999999\n", 61, {"id": STRING}),
    "codes-with-exponent": Sample(_lines("code,n", "1E5,1", "12E3,2", "7E2,3"), 3, {"code": STRING, "n": INTEGER}),
    "all-zeros": Sample(_lines("branch,n", "000,1", "000,2"), 2, {"branch": STRING, "n": INTEGER}),
    "card-numbers": Sample(_lines("card", "4111 1111 1111 1111", "5500 0000 0000 0004"), 2, {"card": STRING}),
    "ip-addresses": Sample(_lines("ip,n", "10.0.0.1,1", "192.168.1.20,2"), 2, {"ip": STRING, "n": INTEGER}),
    "versions": Sample(_lines("version,n", "1.9,1", "1.10,2", "1.1,3"), 3, {"version": STRING | NUMBER, "n": INTEGER}),
    # ---- numbers
    "negative-and-decimal": Sample(_lines("v", "-1.5", "2", ".5", "3e-2"), 4, {"v": NUMBER}),
    "integer-over-number": Sample(_lines("n", "28.5", *(str(n) for n in range(200))), 201, {"n": NUMBER}),
    "thousands-comma": Sample(
        _lines("v,p", '"9,600",a', '"24,155",b', '"1,234",c'), 3, {"v": WHOLE | STRING, "p": STRING}, ("9600", "a")
    ),
    "thousands-and-decimals": Sample(_lines("v;p", "1,234.50;a", "24,155.25;b"), 2, {"v": NUMBER}, ("1234.5", "a")),
    "european-thousands": Sample(_lines("v;p", "1.234,50;a", "24.155,25;b"), 2, {"v": NUMBER}, ("1234.5", "a")),
    "swiss-thousands": Sample(_lines("v;p", "1'234.50;a", "24'155.25;b"), 2, {"v": NUMBER | STRING}),
    "indian-thousands": Sample(_lines("v;p", "1,23,456;a", "24,15,500;b"), 2, {"v": WHOLE | STRING, "p": STRING}),
    "percent": Sample(_lines("v,n", "5%,1", "7%,2"), 2, {"v": STRING, "n": INTEGER}),
    "currency": Sample(_lines("v,n", "$5.00,1", "$7.50,2"), 2, {"v": STRING, "n": INTEGER}),
    "one-strange-cell": Sample(_lines("n", *(["1"] * 99), "many"), 100, {"n": WHOLE | STRING}),
    # ---- dates
    "iso-dates": Sample(_lines("d,n", "2024-04-03,1", "2024-12-31,2"), 2, {"d": DATE, "n": INTEGER}),
    "ambiguous-dates": Sample(_lines("d,n", "03/04/2024,1", "05/06/2024,2"), 2, {"d": STRING, "n": INTEGER}),
    "us-dates": Sample(_lines("d,n", "12/31/2024,1", "01/02/2024,2"), 2, {"d": DATE}, ("2024-12-31", "1")),
    "european-dates": Sample(_lines("d,n", "31/12/2024,1", "01/02/2024,2"), 2, {"d": DATE}, ("2024-12-31", "1")),
    "dotted-dates": Sample(_lines("d;n", "31.12.2024;1", "01.02.2024;2"), 2, {"d": DATE, "n": INTEGER}),
    "utc-datetimes": Sample(_lines("t", "2024-04-03T10:00:00Z", "2024-04-03T11:30:00Z"), 2, {"t": DATETIME}),
    "local-datetimes": Sample(_lines("t,n", "2024-04-03 10:00:00,1", "2024-04-03 11:30:00,2"), 2, {"t": DATETIME}),
    "datetimes-with-offset": Sample(
        _lines("t", "2024-04-03T10:00:00+02:00", "2024-04-03T11:30:00+02:00"), 2, {"t": DATETIME}
    ),
    "compact-dates": Sample(_lines("d,n", "20240403,1", "20241231,2"), 2, {"d": ANY, "n": INTEGER}),
    "year-month": Sample(
        _lines("m,n", "2024-04,1", "2024-12,2"), 2, {"m": frozenset({"yearmonth", "string"}), "n": INTEGER}
    ),
    # ---- words for no value
    "namibia": Sample(
        _lines("code,pop", "NA,2500000", "NE,24000000", "NG,213000000"),
        3,
        {"code": STRING, "pop": INTEGER},
        ("NA", "2500000"),
    ),
    "missing-numbers": Sample(_lines("v,n", "1.5,1", "NA,2", "2.5,3", "NA,4"), 4, {"v": NUMBER, "n": INTEGER}),
    "empty-cells": Sample(_lines("a,b", "1,", ",x", "3,y"), 3, {"a": INTEGER, "b": STRING}),
    "none-as-name": Sample(_lines("name,n", "None,1", "Ann,2", "null,3"), 3, {"name": STRING}, ("None", "1")),
    "dashes": Sample(_lines("v,n", "1,1", "-,2", "3,3"), 3, {"v": WHOLE, "n": INTEGER}),
    # ---- truth values
    "true-false": Sample(_lines("ok,n", "true,1", "false,2"), 2, {"ok": TRUTH, "n": INTEGER}),
    "yes-no": Sample(_lines("ok,n", "yes,1", "no,2"), 2, {"ok": BOOLEAN, "n": INTEGER}),
    "zero-one": Sample(_lines("ok,n", "0,10", "1,20"), 2, {"ok": WHOLE | TRUTH, "n": INTEGER}),
    # ---- where the table stands
    "headerless": Sample(
        _lines("1,Ann,3.5", "2,Bob,4.5", "3,Cid,2.5"), 3, {"0": INTEGER, "1": STRING, "2": NUMBER}, ("1", "Ann", "3.5")
    ),
    "preamble": Sample(
        _lines("Report of sales", "Made on 2024-04-03", "", "id,v", "1,2.5", "2,3.5", "3,4.5", "4,5.5"),
        4,
        {"id": INTEGER, "v": NUMBER},
    ),
    "comments": Sample(_lines("# made by hand", "a,b", "1,x", "2,y"), 2, {"a": INTEGER, "b": STRING}),
    "year-columns": Sample(
        _lines("country,2019,2020,2021", "DE,1.5,2.5,3.5", "FR,4.5,5.5,6.5"),
        2,
        {"country": STRING, "2019": NUMBER, "2020": NUMBER, "2021": NUMBER},
    ),
    "padded": Sample(_lines("a, b, c", "1, x, 2.5", "2, y, 3.5"), 2, {"a": INTEGER, "b": STRING, "c": NUMBER}),
    "blank-header-name": Sample(_lines(",a,b", "0,1,x", "1,2,y"), 2, {"#0": INTEGER, "a": INTEGER, "b": STRING}),
    "doubled-header-name": Sample(_lines("a,a,b", "1,2,x", "3,4,y"), 2, {"#0": INTEGER, "#1": INTEGER, "b": STRING}),
    "row-names-of-r": Sample(
        _lines("a,b,c", "r1,1,2,x", "r2,3,4,y"), 2, {"#0": STRING, "a": INTEGER, "b": INTEGER, "c": STRING}
    ),
    "header-only-text": Sample(_lines("first,last", "Ann,Lee", "Bob,Ray"), 2, {"first": STRING, "last": STRING}),
}
