"""IAM as it is enforced on requests over HTTP."""

from __future__ import annotations

import io
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from clouds.iam import ACCOUNT, ROLE, SESSION, TABLE, Account, allow, batch_arn, deny, document
from twin import iam

pytestmark = pytest.mark.timeout(60)

SUBMITTED = {
    "the job": batch_arn("job/*"),
    "the queue": batch_arn("job-queue/spot"),
    "the definition": batch_arn("job-definition/gang:1"),
}
"""What a submission and its tags are checked against."""


def refusal(action: Any, *arguments: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        action(*arguments, **parameters)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


class TestEnforced:
    """Requests over HTTP with a role's credentials."""

    @pytest.mark.documented("https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html")
    def test_a_role_may_do_what_its_policy_says_and_nothing_else(self, account: Account) -> None:
        account.grant(allow("s3:GetObject", "arn:aws:s3:::landing/*"), allow("dynamodb:PutItem", TABLE))
        s3, dynamodb = account.client("s3"), account.client("dynamodb")
        assert s3.get_object(Bucket="landing", Key="data/here")["Body"].read() == b"x"
        assert s3.head_object(Bucket="landing", Key="data/here")["ContentLength"] == 1
        dynamodb.put_item(TableName="runs", Item={"pk": {"S": "1"}})
        assert refusal(s3.get_object, Bucket="other", Key="data/here")[0] == "AccessDenied"
        assert refusal(s3.put_object, Bucket="landing", Key="new", Body=b"x" * 3_000_000)[0] == "AccessDenied"
        assert refusal(dynamodb.get_item, TableName="runs", Key={"pk": {"S": "1"}})[0] == "AccessDeniedException"

    @pytest.mark.documented("https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-vs-inline.html")
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

    @pytest.mark.documented("https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html")
    def test_a_denial_names_role_action_resource_and_the_missing_statement(self, account: Account) -> None:
        code, message = refusal(account.client("dynamodb").get_item, TableName="runs", Key={"pk": {"S": "1"}})
        assert code == "AccessDeniedException"
        assert message == (
            f"User: {SESSION} is not authorized to perform: dynamodb:GetItem on resource: {TABLE} because no "
            "identity-based policy allows the dynamodb:GetItem action. Missing in role worker: "
            f'{{"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "{TABLE}"}}'
        )

    @pytest.mark.ours
    def test_a_denial_names_the_statement_that_denies(self, account: Account) -> None:
        account.grant(allow("*"), deny("dynamodb:GetItem", Sid="NoReading"))
        _, message = refusal(account.client("dynamodb").get_item, TableName="runs", Key={"pk": {"S": "1"}})
        assert message.endswith("with an explicit deny in statement NoReading of policy given of worker")

    @pytest.mark.ours
    def test_what_a_role_uses_of_its_policies_is_known(self, account: Account) -> None:
        account.grant(allow(["dynamodb:GetItem", "dynamodb:PutItem"], TABLE, Sid="Runs"), allow("s3:*", Sid="Spare"))
        account.client("dynamodb").get_item(TableName="runs", Key={"pk": {"S": "1"}})
        used = {exercise for exercise in iam.exercised() if exercise.statement in ("Runs", "Spare")}
        assert used == {iam.Exercise("role worker", "policy given of worker", "Runs", "dynamodb:GetItem")}

    @pytest.mark.ours
    def test_a_denial_names_the_statement_whose_condition_failed(self, account: Account) -> None:
        account.grant(allow("s3:ListBucket", "*", Sid="ListRuns", Condition={"StringLike": {"s3:prefix": "runs/*"}}))
        s3 = account.client("s3")
        s3.list_objects_v2(Bucket="landing", Prefix="runs/a")
        _, message = refusal(s3.list_objects_v2, Bucket="landing", Prefix="data/")
        assert "statement ListRuns of policy given of worker would allow it but for its condition" in message

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html",
        "https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html",
    )
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

    @pytest.mark.documented("https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html")
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

    @pytest.mark.documented("https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html")
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

    @pytest.mark.documented("https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html")
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

    @pytest.mark.documented("https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session")
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

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html",
        "https://docs.aws.amazon.com/batch/latest/userguide/iam-example-job-def.html",
    )
    @pytest.mark.parametrize("missing", ["nothing", *SUBMITTED])
    @pytest.mark.parametrize("action", ["batch:SubmitJob", "batch:TagResource"])
    def test_a_tagged_job_needs_both_actions_on_job_queue_and_definition(
        self, account: Account, action: str, missing: str
    ) -> None:
        """AWS's sources differ on which of them are checked: https://github.com/wri/gfw-data-api/pull/175 for the tags."""
        # Given a role that has all of it but one
        (other,) = {"batch:SubmitJob", "batch:TagResource"} - {action}
        held = [arn_ for resource, arn_ in SUBMITTED.items() if resource != missing]
        account.grant(allow(other, list(SUBMITTED.values())), allow(action, held))
        # When it submits a job with tags
        request = {"jobName": "j", "jobQueue": "spot", "jobDefinition": "gang:1", "tags": {"a": "b"}}
        code, message = refusal(account.client("batch").submit_job, **request)
        # Then it is denied, unless nothing is missing
        if missing == "nothing":
            assert code == "ClientException"  # moto knows no such queue
        else:
            assert code == "AccessDeniedException"
            assert f"{action} on resource: {SUBMITTED[missing]} " in message

    @pytest.mark.documented("https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html")
    def test_a_job_without_tags_needs_no_permission_to_tag(self, account: Account) -> None:
        account.grant(allow("batch:SubmitJob", list(SUBMITTED.values())))
        code, _ = refusal(account.client("batch").submit_job, jobName="j", jobQueue="spot", jobDefinition="gang:1")
        assert code == "ClientException"

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html",
        "https://docs.aws.amazon.com/batch/latest/APIReference/API_TagResource.html",
    )
    @pytest.mark.parametrize(
        ("job", "allowed"), [("ours", True), ("of-others", False), ("without-tags", False), ("ours:0", False)]
    )
    def test_a_job_is_ended_by_whoever_its_tags_allow_and_a_child_has_none(
        self, account: Account, job: str, allowed: bool
    ) -> None:
        # Given jobs of two executions, and a role that may end those of one
        tag, ours = "shop:execution-arn", "arn:aws:states:us-east-1:1:execution:pipeline:run"
        for name, execution in (("ours", ours), ("of-others", ours.replace("pipeline", "other")), ("ours:0", ours)):
            account.administrator("batch").tag_resource(resourceArn=batch_arn(f"job/{name}"), tags={tag: execution})
        condition = {"StringLike": {f"aws:ResourceTag/{tag}": "arn:aws:states:us-east-1:1:execution:pipeline:*"}}
        account.grant(allow("batch:TerminateJob", batch_arn("job/*"), Condition=condition))
        # When it ends a job, then its tags decide; an ARN of an array's child cannot be tagged on AWS
        end = account.client("batch").terminate_job
        if allowed:
            end(jobId=job, reason="r")
        else:
            assert refusal(end, jobId=job, reason="r")[0] == "AccessDeniedException"

    @pytest.mark.ours
    def test_a_condition_on_tags_that_the_twin_does_not_know_allows_nothing(self, account: Account) -> None:
        condition = {"StringNotEquals": {"aws:ResourceTag/a": "b"}}
        account.grant(allow("dynamodb:GetItem", TABLE, Condition=condition))
        code, _ = refusal(account.client("dynamodb").get_item, TableName="runs", Key={"pk": {"S": "1"}})
        assert code == "AccessDeniedException"

    @pytest.mark.documented("https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html")
    def test_a_role_under_a_path_keeps_within_its_boundary(self, account: Account) -> None:
        # Given a role under a path that may do more than its boundary
        iam_ = account.administrator("iam")
        within = document(allow("s3:GetObject", "arn:aws:s3:::landing/*"))
        boundary = iam_.create_policy(PolicyName="boundary", PolicyDocument=within)["Policy"]["Arn"]
        trust = document({"Effect": "Allow", "Principal": {"AWS": account.role}, "Action": "sts:AssumeRole"})
        role = iam_.create_role(
            RoleName="bounded", Path="/teams/data/", AssumeRolePolicyDocument=trust, PermissionsBoundary=boundary
        )["Role"]
        assert role["Arn"].endswith(":role/teams/data/bounded")
        iam_.put_role_policy(RoleName="bounded", PolicyName="wide", PolicyDocument=document(allow("s3:*")))
        # When it reads what the boundary allows, and what only its policy allows
        account.grant(allow("sts:AssumeRole"))
        keys = account.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="now")["Credentials"]
        s3 = account.client(
            "s3",
            AWS_ACCESS_KEY_ID=keys["AccessKeyId"],
            AWS_SECRET_ACCESS_KEY=keys["SecretAccessKey"],
            AWS_SESSION_TOKEN=keys["SessionToken"],
        )
        # Then the one passes and the other does not
        s3.get_object(Bucket="landing", Key="data/here")
        code, message = refusal(s3.get_object, Bucket="other", Key="data/here")
        assert code == "AccessDenied"
        assert "no permissions boundary or session policy allows" in message

    @pytest.mark.ours
    def test_the_administrator_may_do_everything(self, account: Account) -> None:
        account.administrator("s3").list_buckets()
        account.administrator("iam").list_roles()
        account.administrator("lambda").list_functions()

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html",
        "https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html",
        "https://docs.aws.amazon.com/sns/latest/api/API_ListTopics.html",
        "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/CommonErrors.html",
    )
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
        # S3 alone tells an unknown token from an unknown key.
        assert codes == [denied, unknown, wrong, "InvalidToken" if service == "s3" else unknown]

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html",
        "https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
    )
    def test_nobody_is_let_in_without_credentials(self, account: Account) -> None:
        unsigned = Config(signature_version=UNSIGNED)
        make: Any = boto3.client
        s3, dynamodb = (
            make(service, region_name="us-east-1", endpoint_url=account.url, config=unsigned)
            for service in ("s3", "dynamodb")
        )
        assert refusal(s3.get_object, Bucket="landing", Key="data/here")[0] == "AccessDenied"
        assert refusal(dynamodb.list_tables)[0] == "MissingAuthenticationTokenException"

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html",
    )
    def test_a_key_with_odd_characters_is_signed_and_matched_as_it_is(self, account: Account) -> None:
        key = "data/a+b %41 ü&=?#.csv"
        account.grant(allow(["s3:PutObject", "s3:GetObject"], f"arn:aws:s3:::landing/{key.replace('?', '${?}')}"))
        s3 = account.client("s3")
        s3.put_object(Bucket="landing", Key=key, Body=io.BytesIO(b"body"), Metadata={"analyse": "yes"})
        assert s3.get_object(Bucket="landing", Key=key)["Body"].read() == b"body"

    @pytest.mark.documented("https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html")
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
