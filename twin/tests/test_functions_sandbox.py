"""What surrounds a function's code, and what is logged of it. Sources: the Lambda developer guide's pages named beside."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import pytest

from clouds.functions import FunctionsCloud, functions_cloud, package
from twin import credentials, guardian

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def cloud() -> Iterator[FunctionsCloud]:
    with functions_cloud() as cloud:
        yield cloud


class TestSandbox:
    """ "Working with Lambda environment variables" and "Working with layers for Python Lambda functions"."""

    # The page's list of defined runtime environment variables, and what the runtime sets for an invocation.
    LAMBDAS = frozenset(
        """_HANDLER _X_AMZN_TRACE_ID AWS_DEFAULT_REGION AWS_REGION AWS_EXECUTION_ENV AWS_LAMBDA_FUNCTION_NAME
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_INITIALIZATION_TYPE
        AWS_LAMBDA_LOG_GROUP_NAME AWS_LAMBDA_LOG_STREAM_NAME AWS_ACCESS_KEY AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
        AWS_SESSION_TOKEN AWS_LAMBDA_RUNTIME_API LAMBDA_TASK_ROOT LAMBDA_RUNTIME_DIR LANG PATH LD_LIBRARY_PATH
        PYTHONPATH AWS_XRAY_CONTEXT_MISSING AWS_XRAY_DAEMON_ADDRESS TZ""".split()  # noqa: SIM905  as on the page
    )
    # An endpoint instead of AWS's own; a home without the user's profiles; the guardian's mark; C locale coercion.
    TWINS = frozenset({"AWS_ENDPOINT_URL", "HOME", guardian.MARK})
    PYTHONS = frozenset({"LC_CTYPE"})

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime"
    )
    def test_the_environment_is_lambdas_the_functions_and_nothing_of_the_users(self, cloud: FunctionsCloud) -> None:
        name = cloud.deploy(
            "import os\ndef handler(event, context): return dict(os.environ)",
            Environment={"Variables": {"COLOUR": "blue"}},
            MemorySize=256,
        )
        environment = cloud.invoke(name).value
        assert set(environment) - self.PYTHONS == self.LAMBDAS | self.TWINS | {"COLOUR", "AWS_LAMBDA_LOG_FORMAT"}
        expected = {
            "_HANDLER": "app.handler",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
            "TZ": ":UTC",
            "COLOUR": "blue",
            "AWS_ENDPOINT_URL": credentials.endpoint(),
        }
        assert {key: environment[key] for key in expected} == expected

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html")
    def test_a_function_calls_with_the_credentials_of_its_role(self, cloud: FunctionsCloud) -> None:
        name = cloud.deploy(
            "import boto3\ndef handler(event, context): return boto3.client('sts').get_caller_identity()['Arn']"
        )
        assert cloud.invoke(name).value.startswith(f"arn:aws:sts::{credentials.account()}:assumed-role/works/")

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/lambda/latest/dg/adding-layers.html",
        "https://docs.aws.amazon.com/lambda/latest/dg/python-layers.html",
    )
    def test_layers_are_laid_over_each_other_in_their_order(self, cloud: FunctionsCloud) -> None:
        layers = [
            cloud.client("lambda").publish_layer_version(LayerName=layer, Content={"ZipFile": package(files)})
            for layer, files in {
                "lower": {"python/shared.py": "name = 'lower'", "python/lower.py": "here = True"},
                "upper": {"python/shared.py": "name = 'upper'"},
            }.items()
        ]
        name = cloud.deploy(
            "import shared, lower\ndef handler(event, context): return [shared.name, lower.here]",
            Layers=[layer["LayerVersionArn"] for layer in layers],
        )
        assert cloud.invoke(name).value == ["upper", True]

    @pytest.mark.ours
    @pytest.mark.parametrize("module", ["twin", "clouds"])
    def test_what_is_neither_in_the_package_nor_in_a_layer_cannot_be_imported(
        self, cloud: FunctionsCloud, module: str
    ) -> None:
        name = cloud.deploy(f"import {module}")
        assert cloud.invoke(name).value["errorMessage"].endswith(f"No module named '{module}'")


class TestLogs:
    """ "Viewing CloudWatch logs for Lambda functions"."""

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html")
    def test_an_invocation_is_logged_between_start_and_report(self, cloud: FunctionsCloud) -> None:
        name = cloud.deploy("print('loading')\ndef handler(event, context): print('working'); print('two\\nlines')")
        request_id = cloud.invoke(name).response["ResponseMetadata"]["RequestId"]
        init, loading, start, *lines, end, report = cloud.log(f"/aws/lambda/{name}")
        assert init.startswith("INIT_START Runtime Version: python:3.12")
        assert loading == "loading\n"
        assert start == f"START RequestId: {request_id} Version: $LATEST\n"
        assert lines == ["working\n", "two\n", "lines\n"]
        assert end == f"END RequestId: {request_id}\n"
        assert re.fullmatch(
            rf"REPORT RequestId: {request_id}\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\t"
            r"Max Memory Used: [1-9]\d+ MB\tInit Duration: \d+\.\d\d ms\t\n",
            report,
        )

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html",
        "https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html",
    )
    def test_a_warm_invocation_logs_to_the_same_stream_without_an_initialisation(self, cloud: FunctionsCloud) -> None:
        name = cloud.deploy("def handler(event, context): print(context.log_stream_name)")
        cloud.invoke(name)
        cloud.invoke(name)
        (stream,) = cloud.client("logs").describe_log_streams(logGroupName=f"/aws/lambda/{name}")["logStreams"]
        lines = cloud.log(f"/aws/lambda/{name}")
        assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream["logStreamName"])
        assert lines.count(f"{stream['logStreamName']}\n") == 2
        assert [("Init Duration" in line) for line in lines if line.startswith("REPORT")] == [True, False]

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html")
    def test_a_traceback_is_one_event(self, cloud: FunctionsCloud) -> None:
        name = cloud.deploy("def handler(event, context): raise ValueError('bad')")
        cloud.invoke(name)
        (event,) = [line for line in cloud.log(f"/aws/lambda/{name}") if line.startswith("[ERROR]")]
        assert event.startswith("[ERROR] ValueError: bad\nTraceback (most recent call last):\n")

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html")
    def test_the_tail_is_returned_to_who_asks_for_it(self, cloud: FunctionsCloud) -> None:
        name = cloud.deploy("def handler(event, context): print('x' * 3000); print('y' * 3000)")
        tail = base64.b64decode(cloud.invoke(name, LogType="Tail").response["LogResult"])
        assert len(tail) == 4096
        assert b"REPORT RequestId" in tail
        assert "LogResult" not in cloud.invoke(name).response

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-loggroups.html")
    def test_a_function_logs_to_the_group_it_is_configured_with(self, cloud: FunctionsCloud) -> None:
        name = cloud.deploy("def handler(event, context): print('here')", LoggingConfig={"LogGroup": "/shared/group"})
        cloud.invoke(name)
        assert "here\n" in cloud.log("/shared/group")
        (stream,) = cloud.client("logs").describe_log_streams(logGroupName="/shared/group")["logStreams"]
        assert re.fullmatch(rf"\d{{4}}/\d\d/\d\d/{name}\[\$LATEST\][0-9a-f]{{32}}", stream["logStreamName"])
