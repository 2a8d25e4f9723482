"""A fake AWS client that takes only calls which the service's own model allows."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore import xform_name
from botocore.validate import ParamValidator

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.model import StructureShape


class Modelled:
    """A fake behind botocore's model of the service: a call with a parameter that is missing, unknown or of another type fails.

    Parameters
    ----------
    service
        The service as botocore names it.
    fake
        The client in memory that answers.
    always
        Parameters that every call must have, as `TableName="runs"`.
    """

    def __init__(self, service: str, fake: Any, **always: Any) -> None:
        self._service, self._fake, self._always = service, fake, always
        self.exceptions = getattr(fake, "exceptions", None)

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return self._check(method, getattr(self._fake, method))

    def get_paginator(self, method: str) -> Any:
        """The fake's paginator, whose calls are checked as well."""
        return SimpleNamespace(paginate=self._check(method, self._fake.get_paginator(method).paginate))

    def _check(self, method: str, answer: Callable[..., Any]) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            parameters = {name: value for name, value in arguments.items() if name != "PaginationConfig"}
            report = ParamValidator().validate(parameters, _find_input(self._service, method)).generate_report()
            assert report == "", report
            assert parameters.items() >= self._always.items() or method == "transact_write_items", parameters
            return answer(**arguments)

        return call


@cache
def _find_input(service: str, method: str) -> StructureShape:
    """The shape of what a client's method takes."""
    model = botocore.session.get_session().get_service_model(service)
    [operation] = [name for name in model.operation_names if xform_name(name) == method]
    shape = model.operation_model(operation).input_shape
    assert shape is not None
    return shape
