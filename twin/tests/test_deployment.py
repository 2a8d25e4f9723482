"""A template becomes a stack that runs, unchanged and whole, or an error that names what is wrong."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from moto.s3.models import s3_backends

from twin import DeploymentError, Stack, Twin, credentials
from twin.deployment import NotModelled, packaging

if TYPE_CHECKING:
    from pathlib import Path

STACK = "small"


@pytest.fixture(scope="module")
def stack(twin: Twin, small_template: Path) -> Stack:
    return twin.deploy(small_template, stack_name=STACK)


def deploy(twin: Twin, folder: Path, resources: dict[str, Any], name: str = "tried", **sections: Any) -> Stack:
    template = folder / "template.json"
    template.write_text(json.dumps({"Resources": resources, **sections}))
    return twin.deploy(template, stack_name=name)


@pytest.mark.documented("https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/outputs-section-structure.html")
def test_a_stack_has_the_outputs_of_its_template(stack: Stack) -> None:
    assert set(stack.outputs) == {"Bucket", "Machine", "Gang", "Queue", "Group", "Table", "Hello"}
    assert stack.outputs["Machine"] == stack.resources["Machine"].physical_id
    assert stack.outputs["Gang"] == stack.resources["Compute.Gang"].physical_id


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-nested-stacks.html",
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/conditions-section-structure.html",
)
def test_every_resource_of_the_template_and_its_nested_ones_exists(stack: Stack) -> None:
    assert {"Bucket", "HelloRole", "HelloAliaslive", "HelloNightly", "Compute", "Compute.Queue"} <= set(stack.resources)
    assert "ProdOnly" not in stack.resources
    assert all(resource.physical_id for resource in stack.resources.values())


@pytest.mark.ours
def test_what_has_no_effect_here_is_listed_with_its_reason(stack: Stack) -> None:
    accepted = {(item.logical_id, item.what): item.because for item in stack.accepted}
    assert {
        ("Bucket", "BucketEncryption"),
        ("Bucket", "LifecycleConfiguration"),
        ("Table", "SSESpecification"),
        ("Hello", "TracingConfig"),
        ("Failed", ""),
        ("Overview", ""),
        ("SlowRuns", ""),
        ("Compute.Placement", ""),
        ("Compute.Environment", "ReplaceComputeEnvironment"),
    } <= set(accepted)
    assert all(accepted.values())


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-s3-bucket.html",
)
def test_a_bucket_is_as_its_template_says(twin: Twin, stack: Stack) -> None:
    s3, bucket = twin.client("s3"), stack.outputs["Bucket"]
    assert bucket.startswith("small-bucket-")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    # moto keeps this, but leaves it out of GetBucketNotificationConfiguration.
    kept = s3_backends[credentials.account()]["aws"].buckets[bucket].notification_configuration
    assert kept is not None
    assert kept.event_bridge == {}
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]["BlockPublicPolicy"] is True
    assert f"arn:aws:s3:::{bucket}/*" in s3.get_bucket_policy(Bucket=bucket)["Policy"]


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html",
)
def test_a_table_is_as_its_template_says(twin: Twin, stack: Stack) -> None:
    dynamodb, name = twin.client("dynamodb"), stack.outputs["Table"]
    table = dynamodb.describe_table(TableName=name)["Table"]
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["open"]
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]["AttributeName"] == "expires_at"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-function.html",
)
def test_a_function_has_its_code_role_layer_and_environment(twin: Twin, stack: Stack, small_template: Path) -> None:
    function = twin.client("lambda").get_function(FunctionName=stack.outputs["Hello"])
    configuration = function["Configuration"]
    assert configuration["Environment"]["Variables"] == {"STAGE": "dev", "TABLE": stack.outputs["Table"]}
    assert function["Concurrency"]["ReservedConcurrentExecutions"] == 5
    assert stack.resources["HelloRole"].attributes["Arn"] == configuration["Role"]
    assert [layer["Arn"] for layer in configuration["Layers"]] == [layer_arn(stack)]
    assert configuration["CodeSha256"] == digest(small_template.parent / "functions" / "hello")


@pytest.mark.documented(
    "https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-statemachine.html",
)
def test_a_state_machine_has_its_definition_with_substitutions_made(twin: Twin, stack: Stack) -> None:
    machine = twin.client("stepfunctions").describe_state_machine(stateMachineArn=stack.outputs["Machine"])
    state = json.loads(machine["definition"])["States"]["Say hello"]
    assert state["Parameters"]["FunctionName"] == stack.resources["Hello"].attributes["Arn"]
    assert machine["loggingConfiguration"]["level"] == "ALL"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-batch-jobdefinition.html",
)
def test_a_multinode_job_definition_keeps_everything(twin: Twin, stack: Stack) -> None:
    definition = describe_gang(twin, stack)
    assert definition["jobDefinitionName"].endswith("-gang")
    assert definition["nodeProperties"]["numNodes"] == 2
    container = definition["nodeProperties"]["nodeRangeProperties"][0]["container"]
    assert {"type": "GPU", "value": "1"} in container["resourceRequirements"]
    assert container["ulimits"] == [{"name": "memlock", "softLimit": -1, "hardLimit": -1}]


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-securitygroup.html",
)
def test_a_security_group_is_open_to_what_its_template_says_and_nothing_else(twin: Twin, stack: Stack) -> None:
    group = twin.client("ec2").describe_security_groups(GroupIds=[stack.outputs["Group"]])["SecurityGroups"][0]
    egress = [(rule["IpProtocol"], [it["CidrIp"] for it in rule["IpRanges"]]) for rule in group["IpPermissionsEgress"]]
    assert sorted(egress) == [("-1", []), ("tcp", ["10.0.0.0/16"])]
    itself = [pair["GroupId"] for rule in group["IpPermissionsEgress"] for pair in rule["UserIdGroupPairs"]]
    assert itself == [stack.outputs["Group"]]


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-events-rule.html",
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-scheduler-schedule.html",
)
def test_rules_and_schedules_have_their_targets(twin: Twin, stack: Stack) -> None:
    rule = stack.resources["HelloDropped"].physical_id
    (target,) = twin.client("events").list_targets_by_rule(Rule=rule)["Targets"]
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 3}
    assert target["DeadLetterConfig"] == {"Arn": stack.resources["DeadLetters"].attributes["Arn"]}
    schedule = twin.client("scheduler").get_schedule(
        Name=stack.resources["HelloNightly"].physical_id, GroupName=f"{STACK}-nights"
    )
    assert schedule["ScheduleExpressionTimezone"] == "Asia/Tokyo"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html",
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ListStackResources.html",
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html",
)
def test_an_operator_sees_the_stack_with_the_tools_of_the_trade(twin: Twin, stack: Stack) -> None:
    cloudformation = twin.client("cloudformation")
    described = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    assert described["StackStatus"].endswith("_COMPLETE")
    assert {it["OutputKey"]: it["OutputValue"] for it in described["Outputs"]} == stack.outputs
    assert {"ParameterKey": "Webhook", "ParameterValue": "****"} in described["Parameters"]
    listed = cloudformation.list_stack_resources(StackName=STACK)["StackResourceSummaries"]
    assert {it["LogicalResourceId"] for it in listed} == {name for name in stack.resources if "." not in name}
    assert [it["Name"] for it in cloudformation.list_exports()["Exports"]] == [f"{STACK}-machine"]


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-importvalue.html",
)
def test_a_stack_imports_what_another_exports(twin: Twin, stack: Stack, tmp_path: Path) -> None:
    imports = {"DisplayName": {"Fn::ImportValue": f"{STACK}-machine"}}
    other = deploy(twin, tmp_path, {"Topic": {"Type": "AWS::SNS::Topic", "Properties": imports}}, name="importing")
    topic = twin.client("sns").get_topic_attributes(TopicArn=other.resources["Topic"].physical_id)
    assert topic["Attributes"]["DisplayName"] == stack.outputs["Machine"]


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html",
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html",
)
@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"Members": "1"}, "Members"),
        ({"Stage": "test"}, "Stage"),
        ({"Stage": "prod"}, "prod runs gangs of 4 or 8"),
        ({"Wrong": "1"}, "Wrong"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_is_made(
    twin: Twin, small_template: Path, parameters: dict[str, str], said: str
) -> None:
    with pytest.raises(DeploymentError, match=said):
        twin.deploy(small_template, stack_name="refused", parameters=parameters)
    assert "refused" not in [it["StackName"] for it in twin.client("cloudformation").describe_stacks()["Stacks"]]


@pytest.mark.ours
@pytest.mark.parametrize(
    ("kind", "properties", "said"),
    [
        (
            "AWS::S3::Bucket",
            {"WebsiteConfiguration": {"IndexDocument": "i"}},
            r"Thing \(AWS::S3::Bucket\).WebsiteConfiguration",
        ),
        ("AWS::SQS::Queue", {"Delay": 5}, r"Thing \(AWS::SQS::Queue\).Delay"),
        (
            "AWS::Batch::JobQueue",
            {"Priority": 1, "ComputeEnvironmentOrder": [{"Rank": 1}]},
            r"ComputeEnvironmentOrder\[0\].Rank",
        ),
        ("AWS::IAM::InstanceProfile", {"Roles": ["nobody"]}, r"Thing \(AWS::IAM::InstanceProfile\): AddRole.*nobody"),
        ("AWS::IAM::Role", {}, "AssumeRolePolicyDocument"),
        ("AWS::SQS::QueuePolicy", {"Queues": []}, "PolicyDocument"),
        ("AWS::Zoo::Cage", {}, r"Thing \(AWS::Zoo::Cage\)"),
    ],
)
def test_what_is_not_modelled_or_wrong_is_an_error_that_names_the_resource(
    twin: Twin, tmp_path: Path, kind: str, properties: dict[str, Any], said: str
) -> None:
    name = f"failing-{time.monotonic_ns()}"
    with pytest.raises(DeploymentError, match=said):
        deploy(twin, tmp_path, {"Thing": {"Type": kind, "Properties": properties}}, name=name)


@pytest.mark.ours
def test_an_attribute_that_a_resource_does_not_have_is_named(twin: Twin, tmp_path: Path) -> None:
    outputs = {"Wrong": {"Value": {"Fn::GetAtt": ["Topic", "Colour"]}}}
    with pytest.raises(DeploymentError, match=r"Colour of Topic \(AWS::SNS::Topic\)"):
        deploy(twin, tmp_path, {"Topic": {"Type": "AWS::SNS::Topic"}}, name="colourless", Outputs=outputs)


@pytest.mark.ours
def test_a_failure_in_a_nested_stack_names_the_resource_within(twin: Twin, tmp_path: Path) -> None:
    (tmp_path / "inner.json").write_text(json.dumps({"Resources": {"Deep": {"Type": "AWS::Zoo::Cage"}}}))
    outer = {"Outer": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "inner.json"}}}
    with pytest.raises(DeploymentError, match=r"Outer\.Deep \(AWS::Zoo::Cage\)"):
        deploy(twin, tmp_path, outer, name="nested-failure")


@pytest.mark.documented("https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Stack.html")
def test_a_failed_stack_says_why_to_an_operator(twin: Twin, tmp_path: Path) -> None:
    with pytest.raises(DeploymentError):
        deploy(twin, tmp_path, {"Thing": {"Type": "AWS::SQS::Queue", "Properties": {"Delay": 5}}}, name="failed")
    described = twin.client("cloudformation").describe_stacks(StackName="failed")["Stacks"][0]
    assert described["StackStatus"] == "CREATE_FAILED"
    assert "Thing (AWS::SQS::Queue).Delay" in described["StackStatusReason"]


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-batch-jobdefinition.html",
)
def test_a_changed_image_registers_a_new_revision_and_retires_the_old_one(twin: Twin, small_template: Path) -> None:
    # Given a stack
    before = twin.deploy(small_template, stack_name="renewed", parameters={})
    old = describe_gang(twin, before)
    # When it is deployed with another image
    after = before.redeploy({"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/small:2"})
    # Then the definition has a new revision with it, the old one is inactive, and nothing else was made anew
    new = describe_gang(twin, after)
    assert (new["jobDefinitionName"], new["revision"]) == (old["jobDefinitionName"], old["revision"] + 1)
    assert new["nodeProperties"]["nodeRangeProperties"][0]["container"]["image"].endswith("small:2")
    assert describe_gang(twin, before)["status"] == "INACTIVE"
    changed = {name for name, it in after.resources.items() if it.physical_id != before.resources[name].physical_id}
    assert changed == {"Compute.Gang"}


@pytest.mark.ours
def test_a_deployment_without_a_change_changes_nothing(twin: Twin, stack: Stack) -> None:
    assert stack.redeploy() == stack


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html",
)
def test_changed_code_policies_and_definitions_reach_what_runs(twin: Twin, tmp_path: Path) -> None:
    # Given a function, its role and a machine
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "index.py").write_text("old = True\n")
    before = deploy(twin, tmp_path, changeable("s3:GetObject", "Wait a second"), name="changing")
    # When code, policy and definition change
    (tmp_path / "code" / "index.py").write_text("new = True\n")
    after = deploy(twin, tmp_path, changeable("s3:PutObject", "Wait a minute"), name="changing")
    # Then they are in force, under the same names
    assert {k: v.physical_id for k, v in after.resources.items()} == {
        k: v.physical_id for k, v in before.resources.items()
    }
    role = after.resources["Role"].physical_id
    policy = twin.client("iam").get_role_policy(RoleName=role, PolicyName="allow")["PolicyDocument"]
    assert policy["Statement"][0]["Action"] == "s3:PutObject"
    machine = twin.client("stepfunctions").describe_state_machine(
        stateMachineArn=after.resources["Machine"].physical_id
    )
    assert "Wait a minute" in machine["definition"]
    function = twin.client("lambda").get_function(FunctionName=after.resources["Function"].physical_id)
    assert function["Configuration"]["CodeSha256"] == digest(tmp_path / "code")


@pytest.mark.ours
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "removal of Queue"),
        (
            {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"DelaySeconds": 6}}},
            r"update of Queue \(AWS::SQS::Queue\)",
        ),
    ],
)
def test_a_change_that_the_twin_cannot_make_is_refused(
    twin: Twin, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    name = f"unchangeable-{len(change)}"
    topic = {"Topic": {"Type": "AWS::SNS::Topic"}}
    deploy(
        twin, tmp_path, {**topic, "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"DelaySeconds": 5}}}, name=name
    )
    with pytest.raises(DeploymentError, match=said):
        deploy(twin, tmp_path, {**topic, **change}, name=name)


@pytest.mark.documented("https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Parameter.html")
def test_an_update_may_keep_the_previous_value_of_a_parameter(twin: Twin, tmp_path: Path) -> None:
    # Given a stack that was made with a default
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"Tags": [{"Key": "stage", "Value": {"Ref": "Stage"}}]}}
    declared = {"Stage": {"Type": "String", "Default": "dev"}, "Other": {"Type": "String", "Default": "x"}}
    deploy(twin, tmp_path, {"Topic": topic}, name="keeping", Parameters=declared)
    # When another parameter changes through the API
    twin.client("cloudformation").update_stack(
        StackName="keeping",
        UsePreviousTemplate=True,
        Parameters=[
            {"ParameterKey": "Stage", "UsePreviousValue": True},
            {"ParameterKey": "Other", "ParameterValue": "y"},
        ],
    )
    # Then the default is kept
    described = twin.client("cloudformation").describe_stacks(StackName="keeping")["Stacks"][0]
    assert described["StackStatus"] == "UPDATE_COMPLETE"
    assert {it["ParameterKey"]: it["ParameterValue"] for it in described["Parameters"]} == {
        "Stage": "dev",
        "Other": "y",
    }


@pytest.mark.ours
@pytest.mark.parametrize(
    ("operation", "arguments", "said"),
    [
        ("delete_stack", {"StackName": STACK}, "end the twin"),
        ("create_change_set", {"StackName": STACK, "ChangeSetName": "c", "TemplateBody": "{}"}, "UpdateStack"),
    ],
)
def test_what_an_operator_cannot_do_here_is_refused_with_the_way_out(
    twin: Twin, stack: Stack, operation: str, arguments: dict[str, str], said: str
) -> None:
    cloudformation = twin.client("cloudformation")
    with pytest.raises(cloudformation.exceptions.ClientError, match=said):
        getattr(cloudformation, operation)(**arguments)
    assert cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"].endswith("_COMPLETE")


@pytest.mark.ours
def test_a_refusal_says_the_way_out() -> None:
    assert "deploy to AWS" in str(NotModelled("the type X"))


def describe_gang(twin: Twin, stack: Stack) -> dict[str, Any]:
    arn = stack.resources["Compute.Gang"].physical_id
    (definition,) = twin.client("batch").describe_job_definitions(jobDefinitions=[arn])["jobDefinitions"]
    return dict(definition)


def layer_arn(stack: Stack) -> str:
    return next(it.physical_id for it in stack.resources.values() if it.kind == "AWS::Lambda::LayerVersion")


def digest(folder: Path) -> str:
    """CodeSha256 of a folder's archive, as Lambda shows it."""
    return base64.b64encode(hashlib.sha256(packaging.archive(folder)).digest()).decode()


def changeable(action: str, state: str) -> dict[str, Any]:
    services = ["lambda.amazonaws.com", "states.amazonaws.com"]
    allow = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}
    return {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [allow]},
                "Policies": [{"PolicyName": "allow", "PolicyDocument": policy}],
            },
        },
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Code": "code",
                "Handler": "index.handler",
                "Runtime": "python3.13",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            },
        },
        "Machine": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                "Definition": {"StartAt": state, "States": {state: {"Type": "Wait", "Seconds": 1, "End": True}}},
            },
        },
    }
