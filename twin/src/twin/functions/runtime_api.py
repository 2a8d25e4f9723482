"""The Lambda Runtime API: what `awslambdaric` in a function's process asks for work and reports to.

Source: "Using the Lambda runtime API for custom runtimes" (Lambda developer guide), version 2018-06-01.

Each process has an address of its own, as it has its own sandbox on Lambda, but one thread serves them all.
"""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_HEADERS_LIMIT = 4 * 1024 * 1024  # the runtime sends a failure's X-Ray cause, up to 1 MiB, as one header
_READ_SIZE = 65536
_ERROR_TYPE_HEADER = "lambda-runtime-function-error-type"

Result = TypeVar("Result")


@dataclass(frozen=True)
class Invocation:
    """One piece of work for a runtime."""

    request_id: str
    payload: bytes
    deadline_epoch_ms: int
    function_arn: str
    trace_id: str
    client_context: str | None = None


@dataclass(frozen=True)
class Idle:
    """The runtime asks for its next invocation: it is initialised, or done with the last one."""


@dataclass(frozen=True)
class InitFailed:
    """The runtime could not load the handler."""

    error_type: str
    body: bytes


@dataclass(frozen=True)
class Answered:
    """The handler returned."""

    body: bytes


@dataclass(frozen=True)
class Failed:
    """The handler raised."""

    error_type: str
    body: bytes


@dataclass(frozen=True)
class Ended:
    """The runtime's process is gone."""


Signal = Idle | InitFailed | Answered | Failed | Ended


class RuntimeApi:
    """The thread that serves every runtime of the twin."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="twin-functions-runtime-api", daemon=True)
        self._thread.start()

    def open(self, signal: Callable[[Signal], None], output: Callable[[bytes], None]) -> Desk:
        """A new address for one runtime.

        Parameters
        ----------
        signal, output
            Receives, on the API's thread, what the runtime reports and what its process prints; `output` has seen all
            that was printed before an answer when `signal` gets the answer.
        """
        desk = Desk(self, signal, output)
        self.run(desk.start())
        return desk

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do something on the API's thread and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def soon(self, work: Callable[..., object], *arguments: object) -> None:
        """Do something on the API's thread without waiting."""
        self._loop.call_soon_threadsafe(work, *arguments)

    def close(self) -> None:
        """End the thread, once every desk is closed."""
        self.run(_cancel_everything())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_everything() -> None:
    """A process that was killed while it connected leaves a conversation that no desk knows."""
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Desk:
    """Where one runtime fetches its invocations; made by `RuntimeApi.open`."""

    def __init__(self, api: RuntimeApi, signal: Callable[[Signal], None], output: Callable[[bytes], None]) -> None:
        self._api = api
        self._signal = signal
        self._output = output
        self._invocations: asyncio.Queue[Invocation] = asyncio.Queue()
        self._conversations: set[asyncio.Future[None]] = set()
        self._pipe: int | None = None
        self.address = ""

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._converse, "127.0.0.1", 0, limit=_HEADERS_LIMIT)
        self.address = "{}:{}".format(*self._server.sockets[0].getsockname())

    def offer(self, invocation: Invocation) -> None:
        """Hand the runtime an invocation as soon as it asks for one."""
        self._api.soon(self._invocations.put_nowait, invocation)

    def read_output(self, pipe: int) -> None:
        """Take over the reading end of the process's output; its end means the end of the process."""
        os.set_blocking(pipe, False)
        self._api.run(self._listen(pipe))

    def flush(self) -> None:
        """Take what the process has printed until now."""
        self._api.run(self._flush())

    def close(self) -> None:
        """Take what the process has printed last, and give address and connections back."""
        self._api.run(self._stop())

    async def _listen(self, pipe: int) -> None:
        self._pipe = pipe
        asyncio.get_running_loop().add_reader(pipe, self._drain)

    async def _flush(self) -> None:
        self._drain()

    async def _stop(self) -> None:
        self._drain()
        self._close_pipe()
        self._server.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    def _drain(self) -> None:
        """Pass on what the process has printed until now."""
        while self._pipe is not None:
            try:
                data = os.read(self._pipe, _READ_SIZE)
            except BlockingIOError:
                return
            if data:
                self._output(data)
            else:
                self._close_pipe()
                self._signal(Ended())

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            asyncio.get_running_loop().remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe = None

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.ensure_future(self._serve(reader, writer))
        self._conversations.add(conversation)
        conversation.add_done_callback(self._conversations.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _request(reader, writer)) is not None:
                await self._answer(request, writer)
        except ConnectionError:
            return
        finally:
            writer.close()

    async def _answer(self, request: _Request, writer: asyncio.StreamWriter) -> None:
        if request.path.endswith("/runtime/invocation/next"):
            self._drain()
            self._signal(Idle())
            invocation = await self._invocations.get()
            writer.write(_response("200 OK", _invocation_headers(invocation), invocation.payload))
        else:
            signal = _reported(request)
            self._drain()
            if signal is not None:
                self._signal(signal)
            writer.write(_response("404 Not Found" if signal is None else "202 Accepted", {}, b""))
        await writer.drain()


@dataclass(frozen=True)
class _Request:
    path: str
    headers: dict[str, str]
    body: bytes


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _Request | None:
    """The next request of a connection, or None at its end."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b"".join([chunk async for chunk in _chunks(reader)])
        else:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
    except asyncio.IncompleteReadError:
        return None
    return _Request(first.split(" ")[1], headers, body)


async def _chunks(reader: asyncio.StreamReader) -> Any:
    while size := int((await reader.readline()).split(b";")[0], 16):
        yield await reader.readexactly(size)
        await reader.readline()
    while (await reader.readline()).strip():
        continue


def _reported(request: _Request) -> Signal | None:
    """What a POST of the runtime says; None for a path that the Runtime API does not have."""
    path, error_type = request.path, request.headers.get(_ERROR_TYPE_HEADER, "Unhandled")
    if path.endswith("/runtime/init/error"):
        return InitFailed(error_type, request.body)
    if path.endswith("/error"):
        return Failed(error_type, request.body)
    if path.endswith("/response"):
        return Answered(request.body)
    return None


def _invocation_headers(invocation: Invocation) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
        "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_epoch_ms),
        "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
        "Lambda-Runtime-Trace-Id": invocation.trace_id,
    }
    if invocation.client_context is not None:
        headers["Lambda-Runtime-Client-Context"] = invocation.client_context
    return headers


def _response(status: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("latin-1") + body
