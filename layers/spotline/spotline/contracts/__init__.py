"""The contract: what a clean row is, and what to analyse.

A contract is a Frictionless Table Schema (JSON); what Table Schema does not know stands under `spotline`, in the file and in
a field. `Contract.from_json` reads one or says what is wrong with it; `cells` is the law for one cell.
"""

from spotline.contracts.document import MOST_BYTES
from spotline.contracts.errors import ContractError
from spotline.contracts.model import (
    Analysis,
    Case,
    Constraints,
    Contract,
    Delivery,
    Dialect,
    Field,
    FieldType,
    Tolerance,
    Value,
)
from spotline.contracts.problems import find_problems

__all__ = [
    "MOST_BYTES",
    "Analysis",
    "Case",
    "Constraints",
    "Contract",
    "ContractError",
    "Delivery",
    "Dialect",
    "Field",
    "FieldType",
    "Tolerance",
    "Value",
    "find_problems",
]
