"""Buckets and tables."""

from __future__ import annotations

from typing import Any

from twin import credentials
from twin.deployment.resource import Request, Resource, resource_type

_AT_REST = "nothing is encrypted at rest here"
_NO_AGEING = "a twin does not live long enough for a lifecycle rule to act"
_EVERYTHING_MINE = "the twin's account has no other owner to share a bucket with"


@resource_type("AWS::S3::Bucket", repeatable=True)
def _bucket(request: Request) -> Resource:
    request.accept("BucketEncryption", _AT_REST)
    request.accept("LifecycleConfiguration", _NO_AGEING)
    request.accept("OwnershipControls", _EVERYTHING_MINE)
    request.accept("IntelligentTieringConfigurations", _NO_AGEING)
    request.accept("LoggingConfiguration", "no access log is written")
    request.accept("MetricsConfigurations", "no request metric is kept")
    name = request.name("BucketName", limit=63, lower=True)
    region = credentials.region()
    # "If you do not specify a Region, the bucket is created in us-east-1", which may not be named: CreateBucket.
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    lock = request.take_some("ObjectLockEnabledForBucket")
    if request.current is None:
        request.call("s3", "CreateBucket", {"Bucket": name, **place, **lock})
    for prop, operation in (
        ("VersioningConfiguration", "PutBucketVersioning"),
        ("PublicAccessBlockConfiguration", "PutPublicAccessBlock"),
    ):
        for key, value in request.take_some(prop).items():
            request.call("s3", operation, {"Bucket": name, key: value})
    for tags in request.take_some("Tags").values():
        request.call("s3", "PutBucketTagging", {"Bucket": name, "Tagging": {"TagSet": tags}})
    for notifications in request.take_some("NotificationConfiguration").values():
        configuration = _notifications(notifications)
        request.call(
            "s3",
            "PutBucketNotificationConfiguration",
            {"Bucket": name, "NotificationConfiguration": configuration},
        )
    return Resource(
        name,
        {
            "Arn": f"arn:aws:s3:::{name}",
            "DomainName": f"{name}.s3.amazonaws.com",
            "RegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
        },
    )


@resource_type("AWS::S3::BucketPolicy", repeatable=True)
def _bucket_policy(request: Request) -> Resource:
    name, document = request.need("Bucket"), request.need("PolicyDocument")
    request.call("s3", "PutBucketPolicy", {"Bucket": name, "Policy": document})
    return Resource(name)


@resource_type("AWS::DynamoDB::Table")
def _table(request: Request) -> Resource:
    request.accept("SSESpecification", _AT_REST)
    request.accept("ContributorInsightsSpecification", "no insight is gathered")
    request.refuse("KinesisStreamSpecification")
    request.refuse("ImportSourceSpecification")
    expiry = request.take("TimeToLiveSpecification")
    recovery = request.take("PointInTimeRecoverySpecification")
    stream = request.take("StreamSpecification")
    name = request.name("TableName", limit=255)
    properties = {"TableName": name, **request.take_rest()}
    if stream is not None:
        properties["StreamSpecification"] = {"StreamEnabled": True, **stream}
    made = request.call("dynamodb", "CreateTable", properties)["TableDescription"]
    if expiry is not None:
        request.call("dynamodb", "UpdateTimeToLive", {"TableName": name, "TimeToLiveSpecification": expiry})
        request.note("TimeToLiveSpecification", "expired items stay: AWS, too, promises only to delete them in days")
    if recovery is not None:
        specification = {"TableName": name, "PointInTimeRecoverySpecification": recovery}
        request.call("dynamodb", "UpdateContinuousBackups", specification)
        request.note("PointInTimeRecoverySpecification", "there is no earlier state to recover")
    return Resource(name, {"Arn": made["TableArn"], "StreamArn": made.get("LatestStreamArn", "")})


def _notifications(properties: dict[str, Any]) -> dict[str, Any]:
    """The template's NotificationConfiguration in the API's words."""
    left = dict(properties)
    configuration: dict[str, Any] = {}
    bridge = left.pop("EventBridgeConfiguration", None)
    if bridge is not None and str(bridge.get("EventBridgeEnabled", True)).lower() == "true":
        configuration["EventBridgeConfiguration"] = {}
    for prop, member, target in (
        ("LambdaConfigurations", "LambdaFunctionConfigurations", "Function"),
        ("QueueConfigurations", "QueueConfigurations", "Queue"),
        ("TopicConfigurations", "TopicConfigurations", "Topic"),
    ):
        for item in left.pop(prop, []):
            configuration.setdefault(member, []).append(_notification(dict(item), target))
    return {**configuration, **left}


def _notification(item: dict[str, Any], target: str) -> dict[str, Any]:
    arn = "LambdaFunctionArn" if target == "Function" else f"{target}Arn"
    shaped: dict[str, Any] = {arn: item.pop(target), "Events": [item.pop("Event")]}
    if "Filter" in item:
        shaped["Filter"] = {"Key": {"FilterRules": item.pop("Filter")["S3Key"]["Rules"]}}
    return {**shaped, **item}
