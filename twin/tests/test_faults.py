"""API calls of deployed roles get into trouble on demand; nobody else's do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from clouds.steps import trust
from twin import Twin, TwinOptions, faults
from twin.credentials import role_credentials
from twin.faults import Fault, FaultInjector, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

EVERYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]},
)
CALLS: dict[str, tuple[str, Callable[[Any], Any], str, str]] = {
    # action: (service, a call, how the service says "too many calls", how it says "my fault")
    "batch:DescribeJobs": (
        "batch",
        lambda client: client.describe_jobs(jobs=["j"]),
        "TooManyRequestsException",
        "ServerException",
    ),
    "dynamodb:ListTables": (
        "dynamodb",
        lambda client: client.list_tables(),
        "ThrottlingException",
        "InternalServerError",
    ),
    "events:ListRules": ("events", lambda client: client.list_rules(), "ThrottlingException", "InternalException"),
    "lambda:ListFunctions": (
        "lambda",
        lambda client: client.list_functions(),
        "TooManyRequestsException",
        "ServiceException",
    ),
    "logs:DescribeLogGroups": (
        "logs",
        lambda client: client.describe_log_groups(),
        "ThrottlingException",
        "InternalFailure",
    ),
    "s3:ListAllMyBuckets": ("s3", lambda client: client.list_buckets(), "SlowDown", "InternalError"),
    "secretsmanager:ListSecrets": (
        "secretsmanager",
        lambda client: client.list_secrets(),
        "ThrottlingException",
        "InternalServiceError",
    ),
    "sns:ListTopics": ("sns", lambda client: client.list_topics(), "Throttled", "InternalError"),
    "sqs:ListQueues": ("sqs", lambda client: client.list_queues(), "ThrottlingException", "InternalFailure"),
    "states:ListStateMachines": (
        "stepfunctions",
        lambda client: client.list_state_machines(),
        "ThrottlingException",
        "InternalFailure",
    ),
    "sts:GetCallerIdentity": ("sts", lambda client: client.get_caller_identity(), "Throttling", "InternalFailure"),
}


@pytest.fixture(scope="module")
def role(twin: Twin) -> str:
    """A deployed role that may do everything."""
    iam = twin.client("iam")
    arn = iam.create_role(RoleName="worker", AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))["Role"]["Arn"]
    iam.put_role_policy(RoleName="worker", PolicyName="everything", PolicyDocument=EVERYTHING)
    return str(arn)


@pytest.fixture
def worker(twin: Twin, role: str) -> Callable[..., Any]:
    """Makes clients of a service that call with the role's credentials, once or as often as `attempts` says."""

    def client(service: str, attempts: int = 1) -> Any:
        keys = {name.lower(): value for name, value in role_credentials(role).items()}
        make: Any = boto3.client  # the stubs know services by literal name only
        return make(
            service,
            region_name="us-east-1",
            endpoint_url=twin.url,
            config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}),
            **keys,
        )

    return client


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as raised:
        call()
    return str(raised.value.response["Error"]["Code"])


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeJobs.html",
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html",
    "https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListRules.html",
    "https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html",
    "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/CommonErrors.html",
    "https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
    "https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html",
    "https://docs.aws.amazon.com/sns/latest/api/API_ListTopics.html",
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html",
    "https://docs.aws.amazon.com/step-functions/latest/apireference/CommonErrors.html",
    "https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html",
)
@pytest.mark.parametrize("action", CALLS)
def test_a_service_throttles_and_fails_in_its_own_words(worker: Callable[..., Any], action: str) -> None:
    service, call, throttled, failed = CALLS[action]
    client = worker(service)
    with faults.injected(Fault(action, 1)):
        assert code_of(lambda: call(client)) == throttled
    with faults.injected(Fault(action, 1, Trouble.FAILED)):
        assert code_of(lambda: call(client)) == failed
    call(client)


@pytest.mark.ours
def test_what_was_not_answered_was_done_all_the_same(twin: Twin, worker: Callable[..., Any]) -> None:
    sqs = worker("sqs")
    with faults.injected(Fault("sqs:CreateQueue", 1, Trouble.UNANSWERED)) as injector:
        assert code_of(lambda: sqs.create_queue(QueueName="unanswered")) == "InternalFailure"
    assert twin.client("sqs").get_queue_url(QueueName="unanswered")
    assert injector.struck == {("sqs:CreateQueue", Trouble.UNANSWERED): 1}


@pytest.mark.ours
def test_what_failed_was_not_done(twin: Twin, worker: Callable[..., Any]) -> None:
    s3 = worker("s3")
    twin.client("s3").create_bucket(Bucket="struck")
    with faults.injected(Fault("s3:PutObject", 1, Trouble.FAILED)):
        assert code_of(lambda: s3.put_object(Bucket="struck", Key="k", Body=b"x" * 100_000)) == "InternalError"
    assert "Contents" not in twin.client("s3").list_objects_v2(Bucket="struck")


@pytest.mark.documented("https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html")
@pytest.mark.parametrize("trouble", Trouble)
def test_an_sdk_repeats_what_was_struck(worker: Callable[..., Any], trouble: Trouble) -> None:
    with faults.injected(Fault("dynamodb:*", 0.5, trouble), seed=3) as injector:
        for _ in range(4):
            worker("dynamodb", attempts=10).list_tables()
    assert injector.struck["dynamodb:ListTables", trouble] > 0


@pytest.mark.ours
def test_nobody_but_roles_is_struck(twin: Twin, worker: Callable[..., Any]) -> None:
    with faults.injected(Fault("*", 1)):
        twin.client("s3").list_buckets()
        assert code_of(lambda: worker("s3").list_buckets()) == "SlowDown"


@pytest.mark.ours
def test_other_actions_are_spared(worker: Callable[..., Any]) -> None:
    with faults.injected(Fault("states:Start*", 1)):
        worker("stepfunctions").list_state_machines()


@pytest.mark.ours
def test_the_same_seed_strikes_the_same_calls() -> None:
    def strikes(seed: int) -> list[Trouble | None]:
        injector = FaultInjector([Fault("states:*", 0.2), Fault("*", 0.1, Trouble.FAILED)], seed)
        return [injector.strikes("states:StartExecution") for _ in range(1000)]

    assert strikes(1) == strikes(1) != strikes(2)
    assert strikes(1).count(Trouble.THROTTLED) == pytest.approx(200, abs=60)
    assert strikes(1).count(Trouble.FAILED) == pytest.approx(80, abs=40)


@pytest.mark.ours
@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_a_probability(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Fault("*", share)


@pytest.mark.ours
def test_a_twin_has_the_faults_of_its_options_until_it_ends(worker: Callable[..., Any]) -> None:
    # Given a twin whose options have a fault
    faults.install(TwinOptions(faults=(Fault("s3:*", 1),)))
    # Then its calls are struck, and counted
    assert code_of(lambda: worker("s3").list_buckets()) == "SlowDown"
    assert faults.struck() == {("s3:ListAllMyBuckets", Trouble.THROTTLED): 1}
    # And not those of the next one
    faults.stop()
    worker("s3").list_buckets()
    assert faults.struck() == {}
