"""Columns of clean rows as the numbers that trees are grown on.

Everything becomes 32-bit floating point, which is what XGBoost keeps, with NaN for a missing value: categories their place
in the run's vocabulary, booleans 0 and 1, dates days since 1970, moments days and fractions (a step of about 3 minutes in our
years), times of day seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.outcomes import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FLOAT32_MAX = float(np.finfo(np.float32).max)
_SECONDS_A_DAY = 86400.0


class Kind(StrEnum):
    """How a column is turned into numbers."""

    NUMBER = "number"
    BOOLEAN = "boolean"
    CATEGORY = "category"
    DATE = "date"
    MOMENT = "moment"
    TIME = "time"


@dataclass(frozen=True)
class Feature:
    """One column the model sees. `vocabulary` lists a category's values, the same in every shard and member."""

    name: str
    kind: Kind
    vocabulary: tuple[str, ...] = ()

    @property
    def engine_type(self) -> str:
        """XGBoost's type of the feature: `c` categorical, `q` quantitative."""
        return "c" if self.kind is Kind.CATEGORY else "q"


def build_engine_names(features: Sequence[Feature]) -> list[str]:
    """The features' names inside the engine, by position: it refuses `[`, `]` and `<` in a name, which a column's name may contain."""
    return [f"f{position}" for position in range(len(features))]


def build_features(schema: pa.Schema, names: Sequence[str], categories: Mapping[str, Sequence[str]]) -> list[Feature]:
    """The features of these names, as the shards hold them.

    Raises
    ------
    AnalysisError
        When a column is not in the shards, or of a type that no rule covers, or a text without a vocabulary.
    """
    return [_build_feature(schema, name, categories) for name in names]


def _build_feature(schema: pa.Schema, name: str, categories: Mapping[str, Sequence[str]]) -> Feature:
    index = schema.get_field_index(name)
    if index < 0:
        raise AnalysisError(
            f"the contract's feature {name!r} is not a column of the shards ({', '.join(schema.names)})"
        )
    kind = find_kind(schema.field(index).type)
    if kind is None:
        raise AnalysisError(
            f"the feature {name!r} is {schema.field(index).type}, which cannot be analysed; leave it out"
        )
    if kind is not Kind.CATEGORY:
        return Feature(name, kind)
    if name not in categories:
        raise AnalysisError(
            f"the clean manifest lists no categories for the text column {name!r}: name the features in the contract's"
            " analysis without it, or give the field fewer values"
        )
    return Feature(name, kind, tuple(categories[name]))


def find_kind(type_: pa.DataType) -> Kind | None:
    """The rule for an Arrow type; None when there is none."""
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if pa.types.is_boolean(type_):
        return Kind.BOOLEAN
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return Kind.NUMBER
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return Kind.CATEGORY
    if pa.types.is_date(type_):
        return Kind.DATE
    if pa.types.is_timestamp(type_):
        return Kind.MOMENT
    if pa.types.is_time(type_):
        return Kind.TIME
    return None


def encode(column: pa.Array[Any], feature: Feature) -> np.ndarray:
    """One column of one batch as float32, shape (rows,), NaN where the value is missing (or no number)."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if feature.kind is Kind.CATEGORY:
        vocabulary = pa.array(feature.vocabulary, column.type)
        return _to_floats(pc.index_in(column, vocabulary, skip_nulls=True))
    if feature.kind is Kind.DATE:
        return _to_floats(column.cast(pa.date32()).cast(pa.int32()))
    if feature.kind is Kind.MOMENT:
        micros = _to_doubles(column.cast(pa.timestamp("us"), safe=False).cast(pa.int64()))
        return (micros / (1e6 * _SECONDS_A_DAY)).astype(np.float32)
    if feature.kind is Kind.TIME:
        micros = _to_doubles(column.cast(pa.time64("us")).cast(pa.int64()))
        return (micros / 1e6).astype(np.float32)
    if feature.kind is Kind.BOOLEAN:
        return _to_floats(column.cast(pa.int8()))
    return _to_floats(column)


def encode_target(column: pa.Array[Any], name: str) -> np.ndarray:
    """The target of one batch as float64, shape (rows,), NaN where it is missing.

    Raises
    ------
    AnalysisError
        When a value is too large for the engine's 32-bit labels.
    """
    values = _to_doubles(column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column)
    if np.any(np.abs(values) > FLOAT32_MAX):
        raise AnalysisError(
            f"the target {name!r} holds a value beyond ±{FLOAT32_MAX:.3g}, which cannot be learnt; scale it"
        )
    return values


def _to_doubles(column: pa.Array[Any]) -> np.ndarray:
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))


def _to_floats(column: pa.Array[Any]) -> np.ndarray:
    """As float32; what is beyond its range becomes its limit, since the engine refuses infinities."""
    if pa.types.is_float32(column.type) and column.null_count == 0:
        values = np.asarray(column.to_numpy())
        return values if np.isfinite(values).all() else np.asarray(np.clip(values, -FLOAT32_MAX, FLOAT32_MAX))
    return np.asarray(np.clip(_to_doubles(column), -FLOAT32_MAX, FLOAT32_MAX), np.float32)
