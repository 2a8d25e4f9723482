"""What a function is while it runs: its configuration, and its code and layers unpacked as they lie on Lambda."""

from __future__ import annotations

import hashlib
import io
import shutil
import threading
import uuid
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from moto.awslambda.models import lambda_backends

from twin import guardian

if TYPE_CHECKING:
    from collections.abc import Callable

    from moto.awslambda.models import LambdaFunction


class UnsupportedFunction(Exception):
    """The function is of a kind that the twin does not run."""


@dataclass(frozen=True)
class Definition:
    """One version of a function as Lambda starts it. Two equal definitions can share a warm instance.

    Parameters
    ----------
    timeout_seconds, memory_mib
        The function's own limits.
    task_root, layers_root
        The folders that are ``/var/task`` and ``/opt`` on Lambda. Another package or other layers have another folder.
    """

    name: str
    arn: str
    version: str
    handler: str
    runtime: str
    role_arn: str
    timeout_seconds: int
    memory_mib: int
    task_root: Path
    layers_root: Path
    environment: tuple[tuple[str, str], ...]
    log_group: str
    log_format: str

    @property
    def account(self) -> str:
        """The account it is deployed in."""
        return self.arn.split(":")[4]

    @property
    def region(self) -> str:
        """The region it is deployed in."""
        return self.arn.split(":")[3]


def find_unsupported(package_type: str, runtime: str) -> str | None:
    """Why the twin does not run such a function; None when it does."""
    if package_type != "Zip":
        return "is a container image: the twin runs functions of type Zip"
    if not runtime.startswith("python"):
        return f"has the runtime {runtime}: the twin runs Python functions"
    return None


def read_definition(function: LambdaFunction) -> Definition:
    """The definition of a function that moto holds.

    Raises
    ------
    UnsupportedFunction
        It is an image, its runtime is not Python, or a layer of it was deleted.
    """
    runtime = str(function.run_time)
    if problem := find_unsupported(function.package_type, runtime):
        raise UnsupportedFunction(f"{function.function_name} {problem}")
    return Definition(
        name=function.function_name,
        arn=":".join(function.function_arn.split(":")[:7]),
        version=str(function.version),
        handler=str(function.handler),
        runtime=runtime,
        role_arn=function.role,
        timeout_seconds=int(function.timeout),
        memory_mib=int(function.memory_size),
        task_root=_unpacked("task", function.code_sha_256, lambda: [function.code_bytes]),
        layers_root=_layers_root(function),
        environment=tuple(sorted((name, str(value)) for name, value in function.environment_vars.items())),
        log_group=function.logs_group_name,
        log_format=getattr(function, "logging_config", {}).get("LogFormat", "Text"),
    )


_unpacking = threading.Lock()


def _layers_root(function: LambdaFunction) -> Path:
    """The layers in their order, a later one over an earlier."""
    backend = lambda_backends[function.account_id][function.region]
    arns = [layer["Arn"] for layer in function.layers]

    def packages() -> list[bytes]:
        versions = {arn: backend.layers_versions_by_arn(arn) for arn in arns}
        missing = [arn for arn, version in versions.items() if version is None]
        if missing:
            raise UnsupportedFunction(f"{function.function_name} uses layers that are gone: {', '.join(missing)}")
        return [version.code_bytes for version in versions.values() if version is not None]

    return _unpacked("opt", "\n".join(arns), packages)


def _unpacked(kind: str, key: str, packages: Callable[[], list[bytes]]) -> Path:
    folder = guardian.scratch(kind) / hashlib.sha256(key.encode()).hexdigest()[:16]
    with _unpacking:
        if not folder.exists():
            half_way = folder.with_name(uuid.uuid4().hex)
            try:
                half_way.mkdir()
                for package in packages():
                    _extract(package, half_way)
                shutil.move(half_way, folder)
            except BaseException:
                shutil.rmtree(half_way, ignore_errors=True)  # a full disk must not get fuller with every attempt
                raise
    return folder


def _extract(package: bytes, folder: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        for member in archive.infolist():
            path = Path(archive.extract(member, folder))
            mode = member.external_attr >> 16 & 0o777
            if mode and not member.is_dir():
                path.chmod(mode | 0o600)
