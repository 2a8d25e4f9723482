"""The instances in which functions run. Sources: the Lambda developer guide's pages named beside."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from clouds.functions import FunctionsCloud, eventually, functions_cloud, package
from clouds.processes import alive
from twin import guardian

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def cloud() -> Iterator[FunctionsCloud]:
    with functions_cloud() as cloud:
        yield cloud


@pytest.mark.ours
def test_stopping_leaves_no_process_and_no_thread() -> None:
    # Given functions at work: one idle, one in the middle of an invocation, one about to be tried again in a minute
    before = set(threading.enumerate())
    with functions_cloud(time_scale=1.0) as cloud:
        pids = [cloud.invoke(cloud.deploy("import os\ndef handler(event, context): return os.getpid()")).value]
        flag = guardian.scratch("busy") / "pid"
        busy = cloud.deploy(
            "import os, pathlib, time\ndef handler(event, context):\n"
            "    path = pathlib.Path(event); path.with_suffix('.new').write_text(str(os.getpid()))\n"
            "    path.with_suffix('.new').rename(path); time.sleep(60)",
            Timeout=60,
        )
        cloud.invoke(busy, str(flag), InvocationType="Event")
        assert eventually(flag.exists)
        pids.append(int(flag.read_text()))
        cloud.invoke(cloud.deploy("def handler(event, context): raise ValueError"), InvocationType="Event")
        # When they are stopped
        started = time.monotonic()
    # Then it is quick, and nothing is left
    assert time.monotonic() - started < 5
    assert not any(alive(pid) for pid in pids)
    assert eventually(lambda: not [t for t in threading.enumerate() if t not in before and t.name.startswith("twin-")])


class TestInstances:
    """ "Understanding the Lambda execution environment lifecycle"."""

    COUNTS = "import os\nn = 0\ndef handler(event, context):\n    global n; n += 1\n    return [os.getpid(), n]"

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html")
    def test_a_second_invocation_finds_the_instance_warm(self, cloud: FunctionsCloud) -> None:
        name = cloud.deploy(self.COUNTS)
        (pid, first), (other_pid, second) = cloud.invoke(name).value, cloud.invoke(name).value
        assert (pid, first, second) == (other_pid, 1, 2)

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html")
    def test_concurrent_invocations_have_an_instance_each(self, cloud: FunctionsCloud) -> None:
        # Given a function whose invocations wait until three of them run
        name = cloud.deploy(
            "import os, time, pathlib\n"
            "def handler(event, context):\n"
            "    here = pathlib.Path(event)\n"
            "    (here / str(os.getpid())).touch()\n"
            "    while len(list(here.iterdir())) < 3: time.sleep(0.01)\n"
            "    return os.getpid()"
        )
        folder = guardian.scratch("together")
        # When it is invoked three times at once
        with concurrent.futures.ThreadPoolExecutor(3) as threads:
            answers = list(threads.map(lambda _: cloud.invoke(name, str(folder)), range(3)))
        # Then they met
        assert len({answer.value for answer in answers}) == 3

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html")
    def test_an_instance_stands_still_between_invocations(self, cloud: FunctionsCloud) -> None:
        # Given a handler that leaves a thread behind
        name = cloud.deploy(
            "import threading, time\nticks = []\n"
            "def tick():\n    while True: ticks.append(1); time.sleep(0.01)\n"
            "threading.Thread(target=tick, daemon=True).start()\n"
            "def handler(event, context):\n    time.sleep(0.1)\n    return len(ticks)"
        )
        before = cloud.invoke(name).value
        # When a second passes in which it could have ticked a hundred times
        time.sleep(1.0)
        # Then it ticked during the invocations only
        assert cloud.invoke(name).value - before < 50

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html#troubleshooting-invocation-newversion"
    )
    def test_new_code_runs_in_a_new_instance(self, cloud: FunctionsCloud) -> None:
        name = cloud.deploy("def handler(event, context): return 'old'")
        cloud.invoke(name)
        code = package({"app.py": "def handler(event, context): return 'new'"})
        cloud.client("lambda").update_function_code(FunctionName=name, ZipFile=code)
        assert cloud.invoke(name).value == "new"

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionConfiguration.html")
    def test_new_configuration_runs_in_a_new_instance(self, cloud: FunctionsCloud) -> None:
        name = cloud.deploy("import os\ndef handler(event, context): return os.environ.get('COLOUR')")
        cloud.invoke(name)
        cloud.client("lambda").update_function_configuration(
            FunctionName=name, Environment={"Variables": {"COLOUR": "blue"}}
        )
        assert cloud.invoke(name).value == "blue"

    @pytest.mark.ours
    def test_an_idle_instance_that_somebody_killed_is_replaced(self, cloud: FunctionsCloud) -> None:
        name = cloud.deploy(self.COUNTS)
        pid, _ = cloud.invoke(name).value
        psutil.Process(pid).kill()
        eventually(lambda: not alive(pid))
        assert cloud.invoke(name).value[1] == 1
