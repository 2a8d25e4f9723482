"""Patches to moto's authorisation (5.2.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.iam.access_control import PermissionResult
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.s3.models import FakeBucket

from twin.patches import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Guard = Callable[[Any, dict[str, Any], Any], Iterable[bytes]]


def install(guard: Guard | None) -> None:
    """Apply every patch; `guard` stands before moto's server, if IAM is enforced."""
    replace(FakeBucket, "get_permission", _leave_bucket_policies_to_the_guard)
    if guard is not None:
        replace(DomainDispatcherApplication, "__call__", lambda original: _ask_first(original, guard))


def _leave_bucket_policies_to_the_guard(_: Callable[..., Any]) -> Callable[..., Any]:
    """Moto applies a bucket's policy even where IAM is not enforced, and takes a Deny whose condition fails for a Deny."""

    def get_permission(_bucket: FakeBucket, _action: str, _resource: str) -> PermissionResult:
        return PermissionResult.PERMITTED

    return get_permission


def _ask_first(original: Callable[..., Any], guard: Guard) -> Callable[..., Any]:
    """Moto's own enforcement knows no resources for most services, few conditions, and denies nearly everything."""

    def call(self: DomainDispatcherApplication, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return guard(lambda *request: original(self, *request), environ, start_response)

    return call
