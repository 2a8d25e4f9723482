"""Which actions on which resources a call needs. Source: the Service Authorization Reference."""

from __future__ import annotations

from typing import Any

import pytest

from clouds.iam import ACCOUNT, ROLE, TABLE, arn, batch_arn
from twin.iam import permissions
from twin.iam.requests import Call, read, signature

MACHINE, EXECUTION = arn("states", "stateMachine:pipeline"), arn("states", "execution:pipeline:run-1")
INDEX = arn("dynamodb", "table/runs/index/open-gangs")


def call(service: str, operation: str, **parameters: Any) -> Call:
    return Call(service, operation, "us-east-1", "POST", "/", parameters=parameters)


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


class TestPermissions:
    """The tables "Actions" and "Resource types" of each service's page in the Service Authorization Reference."""

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html",
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html",
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html",
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html",
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html",
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecuritytokenservice.html",
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridgescheduler.html",
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html",
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html",
    )
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
                    ("batch:SubmitJob", batch_arn("job/*")),
                    ("batch:SubmitJob", batch_arn("job-queue/spot")),
                    ("batch:SubmitJob", batch_arn("job-definition/gang:3")),
                ],
            ),
            (
                call("batch", "SubmitJob", jobQueue="spot", jobDefinition="gang:3", tags={"a": "b"}),
                [
                    ("batch:SubmitJob", batch_arn("job/*")),
                    ("batch:SubmitJob", batch_arn("job-queue/spot")),
                    ("batch:SubmitJob", batch_arn("job-definition/gang:3")),
                    ("batch:TagResource", batch_arn("job/*")),
                    ("batch:TagResource", batch_arn("job-queue/spot")),
                    ("batch:TagResource", batch_arn("job-definition/gang:3")),
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

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html",
    )
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

    @pytest.mark.documented("https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html")
    def test_deleting_objects_needs_a_permission_for_each(self) -> None:
        body = (
            b"<Delete><Object><Key>a&amp;b</Key></Object><Object><Key>c</Key><VersionId>1</VersionId></Object></Delete>"
        )
        found = permissions.needed(s3_call("POST", "/absent?delete", {}, body))
        assert [(ask.action, ask.resource) for ask in found] == [
            ("s3:DeleteObject", "arn:aws:s3:::absent/a&b"),
            ("s3:DeleteObjectVersion", "arn:aws:s3:::absent/c"),
        ]

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html",
        "https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html",
        "https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html",
        "https://docs.aws.amazon.com/scheduler/latest/APIReference/API_GetSchedule.html",
    )
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
