"""Queues and topics."""

from __future__ import annotations

import json
from typing import Any

from twin import credentials
from twin.deployment.resource import Request, Resource, resource_type, tag_map

_AT_REST = "nothing is encrypted at rest here"
_QUEUE_ATTRIBUTES = (
    "ContentBasedDeduplication",
    "DelaySeconds",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "VisibilityTimeout",
)
_SUBSCRIPTION_ATTRIBUTES = (
    "DeliveryPolicy",
    "FilterPolicy",
    "FilterPolicyScope",
    "RawMessageDelivery",
    "RedrivePolicy",
    "SubscriptionRoleArn",
)


@resource_type("AWS::SQS::Queue")
def _queue(request: Request) -> Resource:
    for prop in ("KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled"):
        request.accept(prop, _AT_REST)
    attributes = request.take_some(*_QUEUE_ATTRIBUTES)
    # FifoQueue may not be sent as false: CreateQueue.
    if request.flag("FifoQueue"):
        attributes["FifoQueue"] = "true"
    name = request.name("QueueName", limit=80)
    tags = tag_map(request.take("Tags"))
    parameters: dict[str, Any] = {"QueueName": name, "Attributes": attributes, "tags": tags}
    url = request.call("sqs", "CreateQueue", parameters)["QueueUrl"]
    arn = f"arn:aws:sqs:{credentials.region()}:{credentials.account()}:{name}"
    return Resource(url, {"Arn": arn, "QueueName": name, "QueueUrl": url})


@resource_type("AWS::SQS::QueuePolicy", repeatable=True)
def _queue_policy(request: Request) -> Resource:
    document = json.dumps(request.need("PolicyDocument"))
    queues = request.need("Queues")
    for url in queues:
        request.call("sqs", "SetQueueAttributes", {"QueueUrl": url, "Attributes": {"Policy": document}})
    return Resource(request.logical_id, {"Id": request.logical_id})


@resource_type("AWS::SNS::Topic")
def _topic(request: Request) -> Resource:
    request.accept("KmsMasterKeyId", _AT_REST)
    request.accept("TracingConfig", "no trace is recorded")
    attributes = request.take_some("DisplayName", "SignatureVersion", "ContentBasedDeduplication")
    if request.flag("FifoTopic"):
        attributes["FifoTopic"] = "true"
    subscriptions = request.take("Subscription", [])
    name = request.name("TopicName", limit=256)
    parameters = {"Name": name, "Attributes": attributes, **request.take_some("Tags", "DataProtectionPolicy")}
    arn = request.call("sns", "CreateTopic", parameters)["TopicArn"]
    for subscriber in subscriptions:
        request.call("sns", "Subscribe", {"TopicArn": arn, **subscriber})
    return Resource(arn, {"TopicArn": arn, "TopicName": name})


@resource_type("AWS::SNS::TopicPolicy", repeatable=True)
def _topic_policy(request: Request) -> Resource:
    document = request.need("PolicyDocument")
    for arn in request.need("Topics"):
        attribute = {"TopicArn": arn, "AttributeName": "Policy", "AttributeValue": document}
        request.call("sns", "SetTopicAttributes", attribute)
    return Resource(request.logical_id, {"Id": request.logical_id})


@resource_type("AWS::SNS::Subscription")
def _subscription(request: Request) -> Resource:
    attributes = {
        name: json.dumps(value) if isinstance(value, dict) else value
        for name, value in request.take_some(*_SUBSCRIPTION_ATTRIBUTES).items()
    }
    parameters = {**request.take_some("TopicArn", "Protocol", "Endpoint"), "Attributes": attributes}
    arn = request.call("sns", "Subscribe", {**parameters, "ReturnSubscriptionArn": True})["SubscriptionArn"]
    return Resource(arn, {"Arn": arn})
