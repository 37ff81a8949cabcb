"""What may stand in a submission's texts and numbers: nothing that a table, a page or a spreadsheet would act on."""

import csv
import io
import re
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.errors import SubmissionError
from benchmark.results.rows import TEXTS, WHOLE_NUMBERS, read_rows

NAME = r"[a-z0-9][a-z0-9-]{0,62}"
URL = r"https?://[A-Za-z0-9.-]{1,200}(:\d{1,5})?(/[A-Za-z0-9._~/%#?=+-]{0,300})?"
IDENTIFIER = r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}"
COLUMNS = {
    "data_hash": r"[0-9a-f]{64}",
    "mujoco": r"[0-9][0-9.]{0,19}",
    "settings": r"([A-Za-z_][A-Za-z0-9_ =;:.,()'/+-]{0,999})?",
}
"""Patterns of the text columns of rows; the others are identifiers."""
MAXIMUM_ROWS = 5000
MAXIMUM_NUMBER = 1e9


def check_name(name: object) -> str:
    """A submission's name; raises SubmissionError."""
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        raise SubmissionError(
            f"the name {ascii(name)[:80]} cannot be a submission's: it takes small letters, digits and -, at most 63."
        )
    return name


def check_url(url: object) -> str:
    """An address of the web, in plain characters; raises SubmissionError."""
    if not isinstance(url, str) or not re.fullmatch(URL, url):
        raise SubmissionError(f"the url {ascii(url)[:80]} is not a plain address such as https://host/path.")
    return url


def check_authors(authors: object) -> str:
    """Names of people in any script; raises SubmissionError."""
    fine = isinstance(authors, str) and 0 < len(authors) <= 300 and authors[0].isalpha()
    if not fine or not all(
        unicodedata.category(letter)[0] in "LMN" or letter in " .,;'()-" for letter in str(authors)
    ):
        raise SubmissionError(
            f"the authors {ascii(authors)[:80]} are not names: they take letters, digits, spaces and .,;'()- and begin "
            "with a letter."
        )
    return str(authors)


def check_reason(reason: object) -> str:
    """Why there are no policies, one line; raises SubmissionError."""
    if not isinstance(reason, str) or not re.fullmatch(r"[A-Za-z0-9][ -;=?-~]{0,499}", reason):
        raise SubmissionError(
            f"the reason {ascii(reason)[:80]} takes plain characters but < and >, 500 at the most."
        )
    return reason


def plain_reason(text: str) -> str:
    """The text as a reason may be."""
    shown = "".join(letter if " " <= letter <= "~" and letter not in "<>" else " " for letter in text)
    return re.sub(r"^[^A-Za-z0-9]+", "", " ".join(shown.split()))[:500] or "no reason was given"


def parse_toml(content: bytes, where: Path) -> dict[str, Any]:
    """A TOML file; raises SubmissionError where it is none."""
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise SubmissionError(
            f"{where} is not TOML: {type(error).__name__} {ascii(str(error))[:200]}."
        ) from error


def parse_rows(content: bytes, where: Path) -> pd.DataFrame:
    """Result rows whose texts are harmless and whose numbers are finite; raises SubmissionError or ResultError."""
    try:
        text = content.decode()
    except ValueError as error:
        raise SubmissionError(f"{where} is not UTF-8 text.") from error
    lines = text.count("\n")
    if lines > MAXIMUM_ROWS + 1:
        raise SubmissionError(f"{where} has {lines} lines; a submission has {MAXIMUM_ROWS} rows at the most.")
    _refuse_torn_lines(text, lines, where)
    rows = read_rows(where, text)
    for name in TEXTS:
        pattern = COLUMNS.get(name, IDENTIFIER)
        for value in rows[name].unique():
            if not re.fullmatch(pattern, value):
                raise SubmissionError(
                    f"{where}: column {name} holds {ascii(value)[:80]}, which cannot stand there."
                )
    numbers = rows.drop(columns=list(TEXTS))
    for name in numbers.columns:
        values = numbers[name]
        kinds = "iu" if name in WHOLE_NUMBERS else "iuf"
        low = 0 if name in WHOLE_NUMBERS else -MAXIMUM_NUMBER
        if values.dtype.kind not in kinds or not np.isfinite(values).all():
            raise SubmissionError(
                f"{where}: column {name} holds something that is not a finite number of its kind."
            )
        if values.min() < low or values.max() > MAXIMUM_NUMBER:
            raise SubmissionError(f"{where}: column {name} is not within {low:g} and {MAXIMUM_NUMBER:g}.")
    return rows


def _refuse_torn_lines(text: str, lines: int, where: Path) -> None:
    """Raise SubmissionError unless every line is a row with as many cells as the head."""
    if not text.endswith("\n") or any(ord(letter) < 32 and letter != "\n" for letter in text):
        raise SubmissionError(f"{where} holds control characters, or its last line is cut off.")
    try:
        lengths = {len(cells) for cells in csv.reader(io.StringIO(text), strict=True)}
        count = sum(1 for _ in csv.reader(io.StringIO(text), strict=True))
    except csv.Error as error:
        raise SubmissionError(f"{where} is not a table: {error}.") from error
    if len(lengths) != 1 or count != lines:
        raise SubmissionError(f"{where} is not a table: its lines have {sorted(lengths)[:5]} cells.")
