"""One twin: moto's server, the parts that bring it to life, and the template deployed into it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, ClassVar, cast

from moto.core.base_backend import BackendDict
from moto.core.config import default_user_config
from moto.core.model_instances import reset_model_data
from moto.iam.models import iam_backends

from twin import (
    compute,
    credentials,
    deployment,
    events,
    executions,
    faults,
    functions,
    guardian,
    iam,
    patches,
    schedules,
    storage,
)
from twin.clock import Clock
from twin.options import TwinOptions
from twin.patches import cloudformation, core
from twin.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from twin.deployment import Stack


# Each brings one service to life. Whoever calls comes after whoever is called, so that callers stop first.
_PARTS = (iam, faults, storage, functions, compute, events, schedules, executions)


class Twin:
    """An AWS account on this machine, from ``with Twin(...) as twin`` to the end of the block.

    moto keeps its resources in the process, so a process has one twin at a time; two twins are two processes.

    Examples
    --------
    >>> with Twin(TwinOptions(time_scale=60, resolve_image=FolderImages(Path("images")))) as twin:  # doctest: +SKIP
    ...     stack = twin.deploy(Path("template.yaml"), stack_name="orders", parameters={"Stage": "test"})
    ...     twin.client("s3").put_object(Bucket=stack.outputs["Inbox"], Key="order.json", Body=b"{}")

    Raises
    ------
    PortTaken
        Another program listens on the port.
    RuntimeError
        This process has a twin already.
    """

    _running: ClassVar[Twin | None] = None

    def __init__(self, options: TwinOptions | None = None) -> None:
        self.options = options or TwinOptions()
        self.clock = Clock(self.options.time_scale)
        self._server: Server | None = None
        self._exit = contextlib.ExitStack()

    @property
    def url(self) -> str:
        """The address for ``AWS_ENDPOINT_URL``."""
        return credentials.endpoint()

    def environment(self) -> dict[str, str]:
        """Environment variables that make any AWS SDK, and the ``aws`` command, call this twin as an administrator."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": credentials.region(),
            "AWS_DEFAULT_REGION": credentials.region(),
            **credentials.administrator(),
        }

    def client(self, service: str) -> Any:
        """A boto3 client of `service`, as administrator."""
        return credentials.internal_client(service)

    def deploy(self, template: Path, *, stack_name: str, parameters: Mapping[str, str] | None = None) -> Stack:
        """Deploy a SAM or CloudFormation template and the local artefacts it names, unchanged.

        Raises
        ------
        DeploymentError
            The template is wrong, or names what the twin does not model; the message names the logical id and type.
        """
        return deployment.deploy(template, stack_name=stack_name, parameters=parameters or {})

    def __enter__(self) -> Twin:
        if Twin._running is not None:
            raise RuntimeError("this process has a twin already; a second one needs a process of its own")
        with contextlib.ExitStack() as starting:
            server = Server(self.options.port)
            starting.callback(server.stop)
            starting.enter_context(_empty_account())
            # State machines are to run, not only to be kept.
            starting.enter_context(_moto_switched("stepfunctions", "execute_state_machine"))
            starting.enter_context(
                # A profile of the user's that does not exist here would break the sessions that moto and SAM make.
                _environment(MOTO_PORT=str(server.port), AWS_DEFAULT_REGION=credentials.region(), AWS_PROFILE=None)
            )
            credentials.connect(server.url)
            starting.callback(credentials.disconnect)
            starting.callback(patches.restore)
            starting.callback(guardian.stop)
            core.forget_what_is_gone()
            core.list_services_once()
            cloudformation.install()
            for part in _PARTS:
                part.install(self.options, self.clock)
                starting.callback(part.stop)
            server.start()
            Twin._running = self
            self._exit = starting.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._exit.close()
        finally:
            Twin._running = None


@contextlib.contextmanager
def _empty_account() -> Iterator[None]:
    """What moto holds is the process's; one twin must not find the resources of another."""
    _forget_everything()
    with _moto_switched("iam", "load_aws_managed_policies"):
        # Deployed roles attach AWS's managed policies. moto would load all of them for each partition of the world.
        _ = iam_backends[credentials.account()]["aws"].managed_policies
    try:
        yield
    finally:
        _forget_everything()


def _forget_everything() -> None:
    BackendDict.reset()
    reset_model_data()


@contextlib.contextmanager
def _moto_switched(service: str, switch: str) -> Iterator[None]:
    """Turn one of moto's switches on."""
    switches = cast("dict[str, dict[str, Any]]", default_user_config)[service]
    old = switches[switch]
    switches[switch] = True
    try:
        yield
    finally:
        switches[switch] = old


@contextlib.contextmanager
def _environment(**variables: str | None) -> Iterator[None]:
    """Set environment variables of this process, or take them away, and put the old ones back."""
    old = {name: os.environ.get(name) for name in variables}
    _put(variables)
    try:
        yield
    finally:
        _put(old)


def _put(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
