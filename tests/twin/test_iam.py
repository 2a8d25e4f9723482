"""IAM as it is enforced. Sources: the pages of the IAM user guide and the Service Authorization Reference named beside."""

from __future__ import annotations

import contextlib
import io
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data

from twin import credentials, iam, patches
from twin.iam import conditions, permissions
from twin.iam.policies import Ask, Caller, Decision, Policies, decide, parse
from twin.iam.requests import Call, read, signature
from twin.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(60)

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/worker"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/twin"
CALLER = Caller(SESSION, ACCOUNT, frozenset({SESSION, ROLE}))
BUCKET = "arn:aws:s3:::bucket"


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def decision(
    ask: Ask, *statements: dict[str, Any], context: conditions.Context | None = None, **others: Any
) -> Decision:
    policies = Policies(identity=(parse("policy p of worker", document(*statements)),), **others)
    return decide(ask, CALLER, policies, {**(context or {}), **ask.context})


class TestConditions:
    """ "IAM JSON policy elements: Condition operators", "Conditions with multiple context keys or values"."""

    CONTEXT = {  # noqa: RUF012  a table
        "s3:prefix": ("runs/a",),
        "aws:securetransport": ("true",),
        "aws:principalarn": (ROLE,),
        "aws:tagkeys": ("team", "cost"),
        "s3:max-keys": ("10",),
        "aws:sourceip": ("127.0.0.1",),
        "aws:currenttime": ("2026-03-01T12:00:00Z",),
        "aws:username": ("jane",),
    }

    @pytest.mark.parametrize(
        ("operator", "key", "wanted", "holds"),
        [
            ("StringEquals", "s3:prefix", "runs/a", True),
            ("StringEquals", "s3:prefix", ["runs/b", "runs/a"], True),
            ("StringEquals", "s3:prefix", "runs/*", False),
            ("StringEquals", "S3:PREFIX", "runs/a", True),
            ("StringEqualsIgnoreCase", "s3:prefix", "RUNS/A", True),
            ("StringNotEquals", "s3:prefix", ["runs/b", "runs/c"], True),
            ("StringNotEquals", "s3:prefix", ["runs/b", "runs/a"], False),
            ("StringLike", "s3:prefix", "runs/?", True),
            ("StringLike", "s3:prefix", "runs/*", True),
            ("StringLike", "s3:prefix", "run?/b", False),
            ("StringNotLike", "s3:prefix", "runs/*", False),
            ("StringLike", "s3:prefix", "${aws:username}/*", False),
            ("StringEquals", "aws:username", "${aws:username}", True),
            ("ArnLike", "aws:principalarn", f"arn:aws:iam::{ACCOUNT}:role/*", True),
            ("ArnLike", "aws:principalarn", "arn:*:role/*", False),  # a wildcard does not span a colon
            ("ArnEquals", "aws:principalarn", "arn:aws:iam::*:role/work*", True),
            ("ArnNotEquals", "aws:principalarn", ROLE, False),
            ("Bool", "aws:securetransport", "false", False),
            ("Bool", "aws:securetransport", True, True),
            ("Null", "s3:delimiter", "true", True),
            ("Null", "s3:prefix", "true", False),
            ("Null", "s3:prefix", False, True),
            ("NumericLessThanEquals", "s3:max-keys", "10", True),
            ("NumericLessThan", "s3:max-keys", 10, False),
            ("NumericNotEquals", "s3:max-keys", "11", True),
            ("DateGreaterThan", "aws:currenttime", "2026-01-01T00:00:00Z", True),
            ("DateLessThan", "aws:currenttime", "1767225600", False),
            ("IpAddress", "aws:sourceip", "127.0.0.0/8", True),
            ("NotIpAddress", "aws:sourceip", ["10.0.0.0/8", "192.168.0.0/16"], True),
            # A key that the request does not have
            ("StringEquals", "s3:delimiter", "/", False),
            ("StringNotEquals", "s3:delimiter", "/", True),
            ("StringEqualsIfExists", "s3:delimiter", "/", True),
            ("StringEqualsIfExists", "s3:prefix", "other", False),
            ("BoolIfExists", "aws:multifactorauthpresent", "true", True),
            # A key with several values
            ("ForAllValues:StringEquals", "aws:tagkeys", ["team", "cost", "owner"], True),
            ("ForAllValues:StringEquals", "aws:tagkeys", ["team"], False),
            ("ForAllValues:StringEquals", "aws:absent", ["team"], True),
            ("ForAnyValue:StringEquals", "aws:tagkeys", ["team", "owner"], True),
            ("ForAnyValue:StringEquals", "aws:tagkeys", ["owner"], False),
            ("ForAnyValue:StringEquals", "aws:absent", ["team"], False),
        ],
    )
    def test_each_operator_holds_as_documented(self, operator: str, key: str, wanted: Any, holds: bool) -> None:
        assert conditions.hold({operator: {key: wanted}}, self.CONTEXT) is holds

    def test_every_condition_must_hold(self) -> None:
        first = {"StringEquals": {"s3:prefix": "runs/a"}, "Bool": {"aws:SecureTransport": "true"}}
        second = {"StringEquals": {"s3:prefix": "runs/a", "aws:username": "joe"}}
        assert conditions.hold(first, self.CONTEXT)
        assert not conditions.hold(second, self.CONTEXT)

    @pytest.mark.parametrize(
        "condition", [{"StringAlmost": {"s3:prefix": "a"}}, {"StringEquals": {"ec2:InstanceType": "p5.48xlarge"}}]
    )
    def test_what_the_twin_does_not_model_is_said(self, condition: dict[str, Any]) -> None:
        with pytest.raises(conditions.UnsupportedCondition, match="does not model"):
            conditions.hold(condition, self.CONTEXT)


class TestDecisions:
    """ "Policy evaluation logic"."""

    READ = Ask("s3:GetObject", f"{BUCKET}/a/b")

    @pytest.mark.parametrize(
        ("statements", "allowed"),
        [
            ([], False),
            ([allow("s3:GetObject", f"{BUCKET}/*")], True),
            ([allow("S3:getobject", f"{BUCKET}/*")], True),
            ([allow("s3:Get*", f"{BUCKET}/?/b")], True),
            ([allow("s3:GetObject", BUCKET)], False),
            ([allow("s3:GetObject", f"{BUCKET}/A/*")], False),
            ([allow(["s3:PutObject", "s3:GetObject"], [BUCKET, f"{BUCKET}/a/*"])], True),
            ([allow("*"), deny("s3:*", f"{BUCKET}/a/*")], False),
            ([allow("*"), deny("s3:PutObject")], True),
            ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], True),
            ([{"Effect": "Allow", "NotAction": ["s3:Get*"], "Resource": "*"}], False),
            ([{"Effect": "Allow", "Action": "s3:*", "NotResource": f"{BUCKET}/secret/*"}], True),
            ([{"Effect": "Allow", "Action": "s3:*", "NotResource": f"{BUCKET}/a/*"}], False),
            ([allow("s3:*", Condition={"Bool": {"aws:SecureTransport": "false"}})], False),
            ([allow("s3:*"), deny("s3:*", Condition={"Bool": {"aws:SecureTransport": "false"}})], True),
            ([allow("s3:*", Condition={"StringEquals": {"ec2:Region": "x"}})], False),
            ([allow("s3:*"), deny("s3:*", Condition={"StringEquals": {"ec2:Region": "x"}})], False),
            ([allow("s3:*", "arn:aws:s3:::bucket/${aws:username}/*")], True),
            ([allow("s3:*", "arn:aws:s3:::bucket/${aws:PrincipalTag/team}/*")], False),
        ],
    )
    def test_a_deny_wins_and_something_must_allow(self, statements: list[dict[str, Any]], allowed: bool) -> None:
        context = {"aws:securetransport": ("true",), "aws:username": ("a",)}
        assert decision(self.READ, *statements, context=context).allowed is allowed

    def test_an_action_without_resources_is_allowed_by_every_resource_only(self) -> None:
        describe = Ask("batch:DescribeJobs")
        assert decision(describe, allow("batch:*")).allowed
        assert not decision(describe, allow("batch:*", "arn:aws:batch:us-east-1:123456789012:job/*")).allowed

    def test_a_boundary_limits_what_a_policy_allows(self) -> None:
        boundary = parse("boundary", document(allow("s3:PutObject")))
        assert not decision(self.READ, allow("s3:*"), boundaries=(boundary,)).allowed
        assert decision(Ask("s3:PutObject", f"{BUCKET}/a"), allow("s3:*"), boundaries=(boundary,)).allowed
        assert not decision(Ask("s3:PutObject", f"{BUCKET}/a"), boundaries=(boundary,)).allowed

    @pytest.mark.parametrize(
        ("principal", "allowed"),
        [
            ("*", True),
            ({"AWS": "*"}, True),
            ({"AWS": ROLE}, True),
            ({"AWS": [SESSION, "arn:aws:iam::123456789012:role/other"]}, True),
            ({"AWS": "arn:aws:iam::123456789012:role/other"}, False),
            ({"AWS": ACCOUNT}, False),  # the account's own policies must allow then
            ({"Service": "lambda.amazonaws.com"}, False),
        ],
    )
    def test_a_resources_policy_lets_in_whom_it_names(self, principal: Any, allowed: bool) -> None:
        statement = {"Effect": "Allow", "Principal": principal, "Action": "s3:*", "Resource": f"{BUCKET}/*"}
        assert decision(self.READ, resource=parse("bucket", document(statement))).allowed is allowed

    def test_a_resources_policy_keeps_out_whom_it_names(self) -> None:
        statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"{BUCKET}/*"}
        found = decision(self.READ, allow("*"), resource=parse("the policy of the bucket", document(statement)))
        assert found == Decision(False, "with an explicit deny in a statement of the policy of the bucket")

    @pytest.mark.parametrize(
        ("trusted", "statements", "allowed"),
        [
            ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, [allow("sts:AssumeRole")], True),
            ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, [], False),
            ({"AWS": ROLE}, [], True),
            ({"Service": "ecs-tasks.amazonaws.com"}, [allow("*")], False),
        ],
    )
    def test_a_role_is_assumed_by_whom_it_trusts(
        self, trusted: Any, statements: list[dict[str, Any]], allowed: bool
    ) -> None:
        trust = parse("trust", document({"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"}))
        assert decision(Ask("sts:AssumeRole", ROLE), *statements, trust=trust).allowed is allowed


def batch_arn(resource: str) -> str:
    return f"arn:aws:batch:us-east-1:{ACCOUNT}:{resource}"


def call(service: str, operation: str, **parameters: Any) -> Call:
    return Call(service, operation, "us-east-1", "POST", "/", parameters=parameters)


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:us-east-1:{ACCOUNT}:{resource}"


MACHINE, EXECUTION = arn("states", "stateMachine:pipeline"), arn("states", "execution:pipeline:run-1")
TABLE, INDEX = arn("dynamodb", "table/runs"), arn("dynamodb", "table/runs/index/open-gangs")


class TestPermissions:
    """The tables "Actions" and "Resource types" of each service's page in the Service Authorization Reference."""

    @pytest.mark.parametrize(
        ("asked", "needed"),
        [
            (call("dynamodb", "GetItem", TableName="runs"), [("dynamodb:GetItem", TABLE)]),
            (call("dynamodb", "GetItem", TableName=TABLE), [("dynamodb:GetItem", TABLE)]),
            (call("dynamodb", "Query", TableName="runs", IndexName="open-gangs"), [("dynamodb:Query", INDEX)]),
            (call("dynamodb", "ListTables"), [("dynamodb:ListTables", "*")]),
            (
                call(
                    "dynamodb",
                    "TransactWriteItems",
                    TransactItems=[
                        {"Put": {"TableName": "runs"}},
                        {"Update": {"TableName": "runs"}},
                        {"ConditionCheck": {"TableName": "runs"}},
                    ],
                ),
                [("dynamodb:PutItem", TABLE), ("dynamodb:UpdateItem", TABLE), ("dynamodb:ConditionCheckItem", TABLE)],
            ),
            (
                call("dynamodb", "BatchWriteItem", RequestItems={"runs": [{"PutRequest": {"Item": {}}}]}),
                [("dynamodb:BatchWriteItem", TABLE)],
            ),
            (
                call("batch", "SubmitJob", jobQueue=batch_arn("job-queue/spot"), jobDefinition="gang:3"),
                [
                    ("batch:SubmitJob", batch_arn("job-queue/spot")),
                    ("batch:SubmitJob", batch_arn("job-definition/gang:3")),
                ],
            ),
            (
                call("batch", "SubmitJob", jobQueue="spot", jobDefinition="gang:3", tags={"a": "b"}),
                [
                    ("batch:SubmitJob", batch_arn("job-queue/spot")),
                    ("batch:SubmitJob", batch_arn("job-definition/gang:3")),
                    ("batch:TagResource", batch_arn("job/*")),
                ],
            ),
            (call("batch", "DescribeJobs", jobs=["id"]), [("batch:DescribeJobs", "*")]),
            (call("batch", "ListJobs", jobQueue="spot"), [("batch:ListJobs", "*")]),
            (call("batch", "TerminateJob", jobId="id-1"), [("batch:TerminateJob", batch_arn("job/id-1"))]),
            (
                call(
                    "batch", "RegisterJobDefinition", jobDefinitionName="gang", containerProperties={"jobRoleArn": ROLE}
                ),
                [("batch:RegisterJobDefinition", batch_arn("job-definition/gang")), ("iam:PassRole", ROLE)],
            ),
            (call("states", "StartExecution", stateMachineArn=MACHINE), [("states:StartExecution", MACHINE)]),
            (call("states", "ListExecutions", stateMachineArn=MACHINE), [("states:ListExecutions", MACHINE)]),
            (call("states", "DescribeExecution", executionArn=EXECUTION), [("states:DescribeExecution", EXECUTION)]),
            (call("states", "RedriveExecution", executionArn=EXECUTION), [("states:RedriveExecution", EXECUTION)]),
            (call("states", "SendTaskSuccess", taskToken="t"), [("states:SendTaskSuccess", "*")]),
            (call("states", "SendTaskFailure", taskToken="t"), [("states:SendTaskFailure", "*")]),
            (
                call("states", "CreateStateMachine", name="pipeline", roleArn=ROLE),
                [("states:CreateStateMachine", MACHINE), ("iam:PassRole", ROLE)],
            ),
            (
                call("lambda", "Invoke", FunctionName="notify"),
                [("lambda:InvokeFunction", arn("lambda", "function:notify"))],
            ),
            (
                call("lambda", "Invoke", FunctionName=arn("lambda", "function:notify"), Qualifier="live"),
                [("lambda:InvokeFunction", arn("lambda", "function:notify:live"))],
            ),
            (
                call("lambda", "CreateFunction", FunctionName="notify", Role=ROLE),
                [("lambda:CreateFunction", arn("lambda", "function:notify")), ("iam:PassRole", ROLE)],
            ),
            (
                call("events", "PutEvents", Entries=[{}, {"EventBusName": "mine"}]),
                [
                    ("events:PutEvents", arn("events", "event-bus/default")),
                    ("events:PutEvents", arn("events", "event-bus/mine")),
                ],
            ),
            (
                call("events", "PutTargets", Rule="landed", Targets=[{"RoleArn": ROLE}]),
                [("events:PutTargets", arn("events", "rule/landed")), ("iam:PassRole", ROLE)],
            ),
            (call("events", "DescribeRule", Name="landed"), [("events:DescribeRule", arn("events", "rule/landed"))]),
            (
                call("sqs", "SendMessageBatch", QueueUrl=f"http://127.0.0.1/{ACCOUNT}/dead"),
                [("sqs:SendMessage", arn("sqs", "dead"))],
            ),
            (call("sns", "Publish", TopicArn=arn("sns", "alarms")), [("sns:Publish", arn("sns", "alarms"))]),
            (
                call("sns", "Unsubscribe", SubscriptionArn=arn("sns", "alarms:0-0-0")),
                [("sns:Unsubscribe", arn("sns", "alarms"))],
            ),
            (
                call("logs", "GetLogEvents", logGroupName="/jobs", logStreamName="a/b"),
                [("logs:GetLogEvents", arn("logs", "log-group:/jobs:log-stream:a/b"))],
            ),
            (
                call("logs", "FilterLogEvents", logGroupName="/jobs"),
                [("logs:FilterLogEvents", arn("logs", "log-group:/jobs:log-stream:"))],
            ),
            (call("sts", "GetCallerIdentity"), []),
            (call("sts", "AssumeRole", RoleArn=ROLE, RoleSessionName="s"), [("sts:AssumeRole", ROLE)]),
            (
                call("scheduler", "CreateSchedule", Name="look", Target={"RoleArn": ROLE}),
                [("scheduler:CreateSchedule", arn("scheduler", "schedule/default/look")), ("iam:PassRole", ROLE)],
            ),
            (call("iam", "GetRole", RoleName="worker"), [("iam:GetRole", ROLE)]),
            (call("ec2", "DescribeVpcs"), [("ec2:DescribeVpcs", "*")]),
        ],
        ids=lambda value: f"{value.service}-{value.operation}" if isinstance(value, Call) else None,
    )
    def test_a_call_needs_its_actions_on_its_resources(self, asked: Call, needed: list[tuple[str, str]]) -> None:
        assert [(ask.action, ask.resource) for ask in permissions.needed(asked)] == needed

    @pytest.mark.parametrize(
        ("method", "target", "headers", "needed"),
        [
            ("GET", "/", {}, [("s3:ListAllMyBuckets", "*")]),
            ("GET", "/absent?list-type=2&prefix=a", {}, [("s3:ListBucket", "arn:aws:s3:::absent")]),
            ("HEAD", "/absent", {}, [("s3:ListBucket", "arn:aws:s3:::absent")]),
            ("GET", "/absent?versions&prefix=a", {}, [("s3:ListBucketVersions", "arn:aws:s3:::absent")]),
            ("GET", "/absent?uploads", {}, [("s3:ListBucketMultipartUploads", "arn:aws:s3:::absent")]),
            ("PUT", "/absent?policy", {}, [("s3:PutBucketPolicy", "arn:aws:s3:::absent")]),
            ("PUT", "/absent?notification", {}, [("s3:PutBucketNotification", "arn:aws:s3:::absent")]),
            ("GET", "/absent/a/b", {}, [("s3:GetObject", "arn:aws:s3:::absent/a/b")]),
            ("GET", "/absent/a%2Bb%20c", {}, [("s3:GetObject", "arn:aws:s3:::absent/a+b c")]),
            ("HEAD", "/absent/a", {}, [("s3:GetObject", "arn:aws:s3:::absent/a")]),
            ("GET", "/absent/a?versionId=1", {}, [("s3:GetObjectVersion", "arn:aws:s3:::absent/a")]),
            ("GET", "/absent/a?tagging&versionId=1", {}, [("s3:GetObjectVersionTagging", "arn:aws:s3:::absent/a")]),
            ("GET", "/absent/a?uploadId=1", {}, [("s3:ListMultipartUploadParts", "arn:aws:s3:::absent/a")]),
            ("PUT", "/absent/a", {}, [("s3:PutObject", "arn:aws:s3:::absent/a")]),
            (
                "PUT",
                "/absent/a",
                {"x-amz-tagging": "a=b"},
                [("s3:PutObject", "arn:aws:s3:::absent/a"), ("s3:PutObjectTagging", "arn:aws:s3:::absent/a")],
            ),
            (
                "PUT",
                "/absent/a",
                {"x-amz-copy-source": "/other/k%20y?versionId=2"},
                [("s3:PutObject", "arn:aws:s3:::absent/a"), ("s3:GetObjectVersion", "arn:aws:s3:::other/k y")],
            ),
            ("POST", "/absent/a?uploads", {}, [("s3:PutObject", "arn:aws:s3:::absent/a")]),
            ("PUT", "/absent/a?partNumber=1&uploadId=1", {}, [("s3:PutObject", "arn:aws:s3:::absent/a")]),
            ("POST", "/absent/a?uploadId=1", {}, [("s3:PutObject", "arn:aws:s3:::absent/a")]),
            ("DELETE", "/absent/a?uploadId=1", {}, [("s3:AbortMultipartUpload", "arn:aws:s3:::absent/a")]),
            ("DELETE", "/absent/a", {}, [("s3:DeleteObject", "arn:aws:s3:::absent/a")]),
            ("DELETE", "/absent/a?versionId=1", {}, [("s3:DeleteObjectVersion", "arn:aws:s3:::absent/a")]),
        ],
    )
    def test_a_call_of_s3_is_told_by_its_method_path_and_query(
        self, method: str, target: str, headers: dict[str, str], needed: list[tuple[str, str]]
    ) -> None:
        assert [(ask.action, ask.resource) for ask in permissions.needed(s3_call(method, target, headers))] == needed

    def test_deleting_objects_needs_a_permission_for_each(self) -> None:
        body = (
            b"<Delete><Object><Key>a&amp;b</Key></Object><Object><Key>c</Key><VersionId>1</VersionId></Object></Delete>"
        )
        found = permissions.needed(s3_call("POST", "/absent?delete", {}, body))
        assert [(ask.action, ask.resource) for ask in found] == [
            ("s3:DeleteObject", "arn:aws:s3:::absent/a&b"),
            ("s3:DeleteObjectVersion", "arn:aws:s3:::absent/c"),
        ]

    @pytest.mark.parametrize(
        ("service", "method", "path", "operation", "parameters"),
        [
            ("batch", "POST", "/v1/submitjob", "SubmitJob", {}),
            ("lambda", "POST", "/2015-03-31/functions/notify/invocations", "Invoke", {"FunctionName": "notify"}),
            ("lambda", "GET", "/2015-03-31/functions/", "ListFunctions", {}),
            (
                "lambda",
                "POST",
                "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A1%3Afunction%3Anotify/invocations",
                "Invoke",
                {"FunctionName": "arn:aws:lambda:us-east-1:1:function:notify"},
            ),
            ("scheduler", "GET", "/schedules/look", "GetSchedule", {"Name": "look"}),
        ],
    )
    def test_a_rest_call_is_told_by_its_path(
        self, service: str, method: str, path: str, operation: str, parameters: dict[str, str]
    ) -> None:
        environ = wsgi(method, path, {"authorization": header(service)})
        found = read(environ, signature(environ))
        assert (found.operation, dict(found.parameters)) == (operation, parameters)


def header(service: str) -> str:
    scope = f"AKIA/20260101/us-east-1/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"


def wsgi(method: str, target: str, headers: dict[str, str], body: bytes = b"") -> dict[str, Any]:
    from werkzeug.datastructures import Headers
    from werkzeug.test import EnvironBuilder

    path, _, query = target.partition("?")
    return EnvironBuilder(
        method=method, path=path, query_string=query, headers=Headers(headers), data=body
    ).get_environ()


def s3_call(method: str, target: str, headers: dict[str, str], body: bytes = b"") -> Call:
    environ = wsgi(method, target, {"authorization": header("s3"), **headers}, body)
    return read(environ, signature(environ))


@contextlib.contextmanager
def enforced() -> Iterator[Server]:
    """moto's server with IAM enforced, on an empty account."""
    BackendDict.reset()
    reset_model_data()
    server = Server(0)
    credentials.connect(server.url)
    iam.install(SimpleNamespace(enforce_iam=True))
    server.start()
    try:
        yield server
    finally:
        iam.stop()
        patches.restore()
        server.stop()
        credentials.disconnect()


class Account:
    """An account with one role, whose permissions each test sets."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        trust = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        made = self.administrator("iam").create_role(RoleName="worker", AssumeRolePolicyDocument=document(trust))
        self.role: str = made["Role"]["Arn"]

    def administrator(self, service: str) -> Any:
        return credentials.internal_client(service)

    def grant(self, *statements: dict[str, Any]) -> None:
        self.administrator("iam").put_role_policy(
            RoleName="worker", PolicyName="given", PolicyDocument=document(*statements)
        )

    def client(self, service: str, **keys: str) -> Any:
        """A client with the role's credentials, or with others in their place."""
        make: Any = boto3.client  # the stubs know services by literal name only
        given = {**credentials.role_credentials(self.role), **keys}
        return make(
            service,
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=given["AWS_SESSION_TOKEN"],
            config=Config(retries={"total_max_attempts": 1}),
        )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with enforced() as server:
        yield server


@pytest.fixture(scope="module")
def _account(server: Server) -> Account:
    account = Account(server)
    s3, dynamodb = account.administrator("s3"), account.administrator("dynamodb")
    for bucket in ("landing", "other"):
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="data/here", Body=b"x")
    dynamodb.create_table(
        TableName="runs",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return account


@pytest.fixture
def account(_account: Account) -> Account:
    _account.grant(deny("nothing:AtAll"))
    return _account


def refusal(action: Any, *arguments: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        action(*arguments, **parameters)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


class TestEnforced:
    """Requests over HTTP with a role's credentials."""

    def test_a_role_may_do_what_its_policy_says_and_nothing_else(self, account: Account) -> None:
        account.grant(allow("s3:GetObject", "arn:aws:s3:::landing/*"), allow("dynamodb:PutItem", TABLE))
        s3, dynamodb = account.client("s3"), account.client("dynamodb")
        assert s3.get_object(Bucket="landing", Key="data/here")["Body"].read() == b"x"
        assert s3.head_object(Bucket="landing", Key="data/here")["ContentLength"] == 1
        dynamodb.put_item(TableName="runs", Item={"pk": {"S": "1"}})
        assert refusal(s3.get_object, Bucket="other", Key="data/here")[0] == "AccessDenied"
        assert refusal(s3.put_object, Bucket="landing", Key="new", Body=b"x" * 3_000_000)[0] == "AccessDenied"
        assert refusal(dynamodb.get_item, TableName="runs", Key={"pk": {"S": "1"}})[0] == "AccessDeniedException"

    def test_a_managed_policy_counts(self, account: Account) -> None:
        made = account.administrator("iam").create_policy(
            PolicyName="reads", PolicyDocument=document(allow("s3:GetObject", "arn:aws:s3:::landing/*"))
        )
        arn_ = made["Policy"]["Arn"]
        account.administrator("iam").attach_role_policy(RoleName="worker", PolicyArn=arn_)
        try:
            account.client("s3").get_object(Bucket="landing", Key="data/here")
        finally:
            account.administrator("iam").detach_role_policy(RoleName="worker", PolicyArn=arn_)

    def test_a_denial_names_role_action_resource_and_the_missing_statement(self, account: Account) -> None:
        code, message = refusal(account.client("dynamodb").get_item, TableName="runs", Key={"pk": {"S": "1"}})
        assert code == "AccessDeniedException"
        assert message == (
            f"User: {SESSION} is not authorized to perform: dynamodb:GetItem on resource: {TABLE} because no "
            "identity-based policy allows the dynamodb:GetItem action. Missing in role worker: "
            f'{{"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "{TABLE}"}}'
        )

    def test_a_denial_names_the_statement_that_denies(self, account: Account) -> None:
        account.grant(allow("*"), deny("dynamodb:GetItem", Sid="NoReading"))
        _, message = refusal(account.client("dynamodb").get_item, TableName="runs", Key={"pk": {"S": "1"}})
        assert message.endswith("with an explicit deny in statement NoReading of policy given of worker")

    def test_what_a_role_uses_of_its_policies_is_known(self, account: Account) -> None:
        account.grant(allow(["dynamodb:GetItem", "dynamodb:PutItem"], TABLE, Sid="Runs"), allow("s3:*", Sid="Spare"))
        account.client("dynamodb").get_item(TableName="runs", Key={"pk": {"S": "1"}})
        used = {exercise for exercise in iam.exercised() if exercise.statement in ("Runs", "Spare")}
        assert used == {iam.Exercise("role worker", "policy given of worker", "Runs", "dynamodb:GetItem")}

    def test_a_denial_names_the_statement_whose_condition_failed(self, account: Account) -> None:
        account.grant(allow("s3:ListBucket", "*", Sid="ListRuns", Condition={"StringLike": {"s3:prefix": "runs/*"}}))
        s3 = account.client("s3")
        s3.list_objects_v2(Bucket="landing", Prefix="runs/a")
        _, message = refusal(s3.list_objects_v2, Bucket="landing", Prefix="data/")
        assert "statement ListRuns of policy given of worker would allow it but for its condition" in message

    def test_a_missing_key_is_hidden_from_who_may_not_list(self, account: Account) -> None:
        """ "GetObject" (S3 API reference): 403 without s3:ListBucket, 404 with it."""
        read = allow(["s3:GetObject", "s3:GetObjectVersion"], "arn:aws:s3:::landing/*")
        account.grant(read)
        s3 = account.client("s3")
        code, message = refusal(s3.get_object, Bucket="landing", Key="absent")
        assert code == "AccessDenied"
        assert "s3:ListBucket on resource: arn:aws:s3:::landing " in message
        assert refusal(s3.head_object, Bucket="landing", Key="absent")[0] == "403"
        account.grant(read, allow("s3:ListBucket", "arn:aws:s3:::landing"))
        assert refusal(s3.get_object, Bucket="landing", Key="absent")[0] == "NoSuchKey"
        assert refusal(s3.head_object, Bucket="landing", Key="absent")[0] == "404"

    def test_a_bucket_may_insist_on_tls_because_the_twin_stands_for_https(self, account: Account) -> None:
        statement = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": ["arn:aws:s3:::landing", "arn:aws:s3:::landing/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        account.administrator("s3").put_bucket_policy(Bucket="landing", Policy=document(statement))
        account.grant(allow("s3:*"))
        try:
            account.client("s3").get_object(Bucket="landing", Key="data/here")
            account.client("s3").delete_objects(Bucket="landing", Delete={"Objects": [{"Key": "gone"}]})
        finally:
            account.administrator("s3").delete_bucket_policy(Bucket="landing")

    def test_a_bucket_may_deny_what_a_role_allows(self, account: Account) -> None:
        statement = {"Effect": "Deny", "Principal": {"AWS": ROLE}, "Action": "s3:*", "Resource": "arn:aws:s3:::other/*"}
        account.administrator("s3").put_bucket_policy(Bucket="other", Policy=document(statement))
        account.grant(allow("s3:*"))
        try:
            code, message = refusal(account.client("s3").get_object, Bucket="other", Key="data/here")
            assert code == "AccessDenied"
            assert message.endswith(
                "with an explicit deny in a statement of the policy of arn:aws:s3:::other/data/here"
            )
            account.administrator("s3").get_object(Bucket="other", Key="data/here")
        finally:
            account.administrator("s3").delete_bucket_policy(Bucket="other")

    def test_assuming_a_role_needs_its_trust(self, account: Account) -> None:
        iam_ = account.administrator("iam")
        for name, principal in (("trusting", {"AWS": account.role}), ("distant", {"Service": "ec2.amazonaws.com"})):
            trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
            iam_.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
        account.grant(allow("sts:AssumeRole"))
        sts = account.client("sts")
        made = sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/trusting", RoleSessionName="now")
        assert made["AssumedRoleUser"]["Arn"].endswith("assumed-role/trusting/now")
        code, message = refusal(sts.assume_role, RoleArn=f"arn:aws:iam::{ACCOUNT}:role/distant", RoleSessionName="now")
        assert code == "AccessDenied"
        assert "because the role's trust policy does not allow it" in message

    def test_a_session_policy_limits_a_session(self, account: Account) -> None:
        trust = {"Effect": "Allow", "Principal": {"AWS": account.role}, "Action": "sts:AssumeRole"}
        iam_ = account.administrator("iam")
        iam_.create_role(RoleName="wide", AssumeRolePolicyDocument=document(trust))
        iam_.put_role_policy(RoleName="wide", PolicyName="all", PolicyDocument=document(allow("s3:*")))
        keys = account.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/wide",
            RoleSessionName="narrow",
            Policy=document(allow("s3:GetObject", "arn:aws:s3:::landing/*")),
        )["Credentials"]
        s3 = account.client(
            "s3",
            AWS_ACCESS_KEY_ID=keys["AccessKeyId"],
            AWS_SECRET_ACCESS_KEY=keys["SecretAccessKey"],
            AWS_SESSION_TOKEN=keys["SessionToken"],
        )
        s3.get_object(Bucket="landing", Key="data/here")
        assert refusal(s3.get_object, Bucket="other", Key="data/here")[0] == "AccessDenied"

    def test_a_submitted_job_needs_queue_and_definition(self, account: Account) -> None:
        submit = account.client("batch").submit_job
        request = {"jobName": "j", "jobQueue": "spot", "jobDefinition": "gang:1"}
        queue, definition = batch_arn("job-queue/spot"), batch_arn("job-definition/gang:1")
        for granted, missing in (([queue], definition), ([definition], queue)):
            account.grant(allow("batch:SubmitJob", granted))
            code, message = refusal(submit, **request)
            assert code == "AccessDeniedException"
            assert f"batch:SubmitJob on resource: {missing} " in message

    def test_the_administrator_may_do_everything(self, account: Account) -> None:
        account.administrator("s3").list_buckets()
        account.administrator("iam").list_roles()
        account.administrator("lambda").list_functions()

    @pytest.mark.parametrize(
        ("service", "operation", "denied", "unknown", "wrong"),
        [
            ("s3", "list_buckets", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
            (
                "dynamodb",
                "list_tables",
                "AccessDeniedException",
                "UnrecognizedClientException",
                "InvalidSignatureException",
            ),
            (
                "batch",
                "describe_job_queues",
                "AccessDeniedException",
                "UnrecognizedClientException",
                "InvalidSignatureException",
            ),
            (
                "lambda",
                "list_functions",
                "AccessDeniedException",
                "UnrecognizedClientException",
                "InvalidSignatureException",
            ),
            (
                "stepfunctions",
                "list_state_machines",
                "AccessDeniedException",
                "UnrecognizedClientException",
                "InvalidSignatureException",
            ),
            (
                "secretsmanager",
                "list_secrets",
                "AccessDeniedException",
                "UnrecognizedClientException",
                "InvalidSignatureException",
            ),
            ("sqs", "list_queues", "AccessDenied", "InvalidClientTokenId", "SignatureDoesNotMatch"),
            ("sns", "list_topics", "AuthorizationError", "InvalidClientTokenId", "SignatureDoesNotMatch"),
            ("iam", "list_roles", "AccessDenied", "InvalidClientTokenId", "SignatureDoesNotMatch"),
            ("ec2", "describe_vpcs", "UnauthorizedOperation", "AuthFailure", "AuthFailure"),
        ],
    )
    def test_each_service_refuses_in_its_own_words(
        self, account: Account, service: str, operation: str, denied: str, unknown: str, wrong: str
    ) -> None:
        codes = [
            refusal(getattr(client, operation))[0]
            for client in (
                account.client(service),
                account.client(service, AWS_ACCESS_KEY_ID="ASIAUNKNOWN"),
                account.client(service, AWS_SECRET_ACCESS_KEY="guessed"),
                account.client(service, AWS_SESSION_TOKEN="guessed"),
            )
        ]
        assert codes == [denied, unknown, wrong, unknown]

    def test_nobody_is_let_in_without_credentials(self, account: Account) -> None:
        unsigned = Config(signature_version=UNSIGNED)
        make: Any = boto3.client
        s3, dynamodb = (
            make(service, region_name="us-east-1", endpoint_url=account.url, config=unsigned)
            for service in ("s3", "dynamodb")
        )
        assert refusal(s3.get_object, Bucket="landing", Key="data/here")[0] == "AccessDenied"
        assert refusal(dynamodb.list_tables)[0] == "MissingAuthenticationTokenException"

    def test_a_key_with_odd_characters_is_signed_and_matched_as_it_is(self, account: Account) -> None:
        key = "data/a+b %41 ü&=?#.csv"
        account.grant(allow(["s3:PutObject", "s3:GetObject"], f"arn:aws:s3:::landing/{key.replace('?', '${?}')}"))
        s3 = account.client("s3")
        s3.put_object(Bucket="landing", Key=key, Body=io.BytesIO(b"body"), Metadata={"analyse": "yes"})
        assert s3.get_object(Bucket="landing", Key=key)["Body"].read() == b"body"

    def test_a_presigned_url_has_the_permissions_of_who_made_it(self, account: Account) -> None:
        import urllib.error
        import urllib.request

        account.grant(allow("s3:GetObject", "arn:aws:s3:::landing/*"))
        urls = {
            bucket: account.client("s3").generate_presigned_url("get_object", {"Bucket": bucket, "Key": "data/here"})
            for bucket in ("landing", "other")
        }
        assert urllib.request.urlopen(urls["landing"]).read() == b"x"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(urls["other"])


class TestServices:
    """Permissions that AWS's services need by themselves."""

    def test_a_role_is_asked_for_a_log_as_lambda_asks(self, account: Account) -> None:
        stream = Ask("logs:PutLogEvents", arn("logs", "log-group:/aws/lambda/f:log-stream:s"))
        assert not iam.role_may(account.role, stream).allowed
        account.grant(allow("logs:PutLogEvents", arn("logs", "log-group:/aws/lambda/f:*")))
        assert iam.role_may(account.role, stream).allowed

    def test_a_role_is_lent_to_the_services_that_it_trusts(self, account: Account) -> None:
        job = batch_arn("job/id")
        assert iam.service_may_assume("ecs-tasks.amazonaws.com", account.role, job).allowed
        assert not iam.service_may_assume("lambda.amazonaws.com", account.role, job).allowed

    def test_a_queue_lets_in_the_rules_that_its_policy_names(self, account: Account) -> None:
        rule, other = arn("events", "rule/landed"), arn("events", "rule/other")
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn("sqs", "dead"),
            "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
        }
        account.administrator("sqs").create_queue(QueueName="dead", Attributes={"Policy": document(statement)})
        ask = Ask("sqs:SendMessage", arn("sqs", "dead"))
        assert iam.service_may("events.amazonaws.com", rule, ask).allowed
        assert not iam.service_may("events.amazonaws.com", other, ask).allowed
        assert not iam.service_may("sns.amazonaws.com", rule, ask).allowed
