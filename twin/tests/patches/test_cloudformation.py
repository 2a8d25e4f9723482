"""Stock moto still has the gaps that twin.patches.cloudformation fills: a test that fails here tells of a patch to drop."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws
from moto.cloudformation import models
from moto.s3.models import s3_backends

from twin import Twin, TwinOptions, patches
from twin.deployment.hosting import HostedStack

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def stock() -> Iterator[Any]:
    """CloudFormation of a moto without patches."""
    with mock_aws():
        yield boto3.client("cloudformation", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")


def create(cloudformation: Any, resources: dict[str, Any], **template: Any) -> None:
    body = json.dumps({"Resources": resources, **template})
    cloudformation.create_stack(StackName="stock", TemplateBody=body)


def test_stock_moto_skips_a_resource_that_it_does_not_know_without_an_error(stock: Any) -> None:
    with pytest.warns(UserWarning, match="not supported"):
        create(
            stock,
            {"Secret": {"Type": "AWS::Scheduler::Schedule"}, "Topic": {"Type": "AWS::SNS::Topic"}},
        )
    assert stock.describe_stacks(StackName="stock")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"


def test_stock_moto_drops_a_buckets_event_notifications(stock: Any) -> None:
    notify = {"NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}}
    create(stock, {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "stock", **notify}}})
    assert s3_backends["123456789012"]["aws"].buckets["stock"].notification_configuration is None


def test_stock_moto_checks_no_rule(stock: Any) -> None:
    create(
        stock,
        {"Topic": {"Type": "AWS::SNS::Topic"}},
        Rules={"Never": {"Assertions": [{"Assert": {"Fn::Equals": ["a", "b"]}}]}},
    )
    assert stock.describe_stacks(StackName="stock")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"


def test_stock_moto_refuses_a_policy_without_version(stock: Any) -> None:
    iam = boto3.client("iam", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    document = '{"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}'
    with pytest.raises(iam.exceptions.MalformedPolicyDocumentException):
        iam.create_policy(PolicyName="without-version", PolicyDocument=document)


def test_stock_moto_hands_a_change_set_to_its_own_parser() -> None:
    assert "resource_map.update" in inspect.getsource(models.ChangeSet.apply)


def test_stock_moto_takes_a_stack_off_its_list_before_its_resources_are_gone() -> None:
    source = inspect.getsource(models.CloudFormationBackend.delete_stack)
    assert source.index("self.stacks.pop") < source.index("stack.delete()")


def test_moto_is_stock_again_once_a_twin_has_ended() -> None:
    before = models.Stack
    with Twin(TwinOptions(jobs="noop")):
        assert models.Stack is HostedStack
    assert models.Stack is before


def test_a_patch_of_something_that_moto_has_lost_is_an_error() -> None:
    with pytest.raises(AttributeError, match="looked at again"):
        patches.replace(models, "SomethingGone", lambda original: original)


def test_a_patch_is_made_once_and_taken_back() -> None:
    class Owner:
        value = 1

    class Heir(Owner):
        pass

    patches.replace(Heir, "value", lambda value: value + 1)
    patches.replace(Heir, "value", lambda value: value + 1)
    assert Heir.value == 2
    patches.restore()
    assert (Heir.value, "value" in vars(Heir)) == (1, False)
