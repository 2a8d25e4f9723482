"""What the twin does not model is named before anything is deployed: all of it, wherever in the templates it stands."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from twin import DeploymentError, TwinOptions
from twin import Twin as FreshTwin

if TYPE_CHECKING:
    from pathlib import Path

    from twin import Stack, Twin

pytestmark = pytest.mark.ours

ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}},
}
GLUE = "arn:aws:states:::glue:startJobRun.sync"


def write(folder: Path, name: str, resources: dict[str, Any], **sections: Any) -> Path:
    file = folder / name
    file.write_text(json.dumps({"Resources": resources, **sections}))
    return file


def machine(resource: str, **parameters: Any) -> dict[str, Any]:
    state = {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}
    definition = {"StartAt": "Work", "States": {"Work": state}}
    return {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}, "Definition": definition},
    }


def deploy(twin: Twin, template: Path, **parameters: str) -> Stack:
    return twin.deploy(template, stack_name=f"surveyed-{time.monotonic_ns()}", parameters=parameters)


def test_all_of_it_is_named_and_nothing_is_created_or_uploaded(tmp_path: Path) -> None:
    # Given a template whose unmodelled parts come last, after what would be created first
    definition = {"StartAt": "Extract", "States": {"Extract": {"Type": "Task", "Resource": GLUE, "End": True}}}
    (tmp_path / "extract.asl.json").write_text(json.dumps(definition))
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "index.mjs").write_text("export const handler = async () => 1\n")
    write(tmp_path, "inner.json", {"Topic": {"Type": "AWS::SNS::Topic"}, "Stream": {"Type": "AWS::Kinesis::Stream"}})
    template = write(
        tmp_path,
        "template.json",
        {
            "Bucket": {"Type": "AWS::S3::Bucket"},
            "Role": ROLE,
            "Inner": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "inner.json"}},
            "Extract": {"Type": "AWS::Serverless::StateMachine", "Properties": {"DefinitionUri": "extract.asl.json"}},
            "Query": machine("arn:aws:states:::aws-sdk:athena:startQueryExecution", QueryString="SELECT 1"),
            "Render": {
                "Type": "AWS::Serverless::Function",
                "Properties": {"CodeUri": "code", "Handler": "index.handler", "Runtime": "nodejs22.x"},
            },
            "Rule": {
                "Type": "AWS::Events::Rule",
                "Properties": {
                    "EventPattern": {"source": ["aws.s3"]},
                    "Targets": [
                        {"Id": "1", "Arn": {"Fn::Sub": "arn:aws:ecs:${AWS::Region}:${AWS::AccountId}:cluster/c"}}
                    ],
                },
            },
            "Job": {"Type": "AWS::Glue::Job"},
        },
        Transform="AWS::Serverless-2016-10-31",
    )
    # When it is deployed
    with FreshTwin(TwinOptions(jobs="noop")) as twin:
        with pytest.raises(DeploymentError) as refused:
            deploy(twin, template)
        # Then every part is named, and the account is as empty as before
        lines = str(refused.value).splitlines()
        for named in (
            "  Inner.Stream (AWS::Kinesis::Stream)",
            "  Job (AWS::Glue::Job)",
            f"  Extract (AWS::StepFunctions::StateMachine): state 'Extract': {GLUE.removesuffix('.sync')} is not modelled",
            "  Query (AWS::StepFunctions::StateMachine): state 'Work': aws-sdk:athena:startQueryExecution is not modelled",
            "  Render (AWS::Lambda::Function): has the runtime nodejs22.x",
            "  Rule (AWS::Events::Rule): the twin delivers to",
        ):
            assert [line for line in lines if line.startswith(named)], (named, lines)
        assert len(lines) == 8  # a head and a way out
        assert twin.client("s3").list_buckets()["Buckets"] == []
        assert twin.client("cloudformation").describe_stacks()["Stacks"] == []
        assert twin.client("iam").list_roles()["Roles"] == []


@pytest.mark.parametrize(
    ("resource", "parameters", "named"),
    [
        ("arn:aws:states:::aws-sdk:glue:startJobRun", {"JobName": "j"}, "aws-sdk:glue:startJobRun"),
        ("arn:aws:states:::aws-sdk:batch:createQuotaShare", {}, "aws-sdk:batch:createQuotaShare"),
        ("arn:aws:states:::ecs:runTask.sync", {}, "ecs:runTask"),
        ("arn:aws:states:::dynamodb:getItem", {}, "use aws-sdk:dynamodb"),
    ],
)
def test_an_api_that_is_not_modelled_is_named_with_its_state(
    twin: Twin, tmp_path: Path, resource: str, parameters: dict[str, Any], named: str
) -> None:
    template = write(tmp_path, "template.json", {"Role": ROLE, "Machine": machine(resource, **parameters)})
    with pytest.raises(
        DeploymentError, match=rf"Machine \(AWS::StepFunctions::StateMachine\): state 'Work': .*{named}"
    ):
        deploy(twin, template)


@pytest.mark.parametrize("stream", ["yes", "no"])
def test_what_a_condition_leaves_out_is_not_looked_at(twin: Twin, tmp_path: Path, stream: str) -> None:
    """Also where the parameter that decides is passed to a nested template, and another is a resource's name."""
    inner = {
        "Queue": {"Type": "AWS::SQS::Queue"},
        "Stream": {"Type": "AWS::Kinesis::Stream", "Condition": "Streams"},
    }
    write(
        tmp_path,
        "inner.json",
        inner,
        Parameters={"Stream": {"Type": "String"}, "Topic": {"Type": "String", "AllowedPattern": "arn:.*"}},
        Conditions={"Streams": {"Fn::And": [{"Fn::Equals": [{"Ref": "Stream"}, "yes"]}, {"Condition": "Topics"}]},
                    "Topics": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Topic"}, ""]}]}},
    )  # fmt: skip
    passed = {"Stream": {"Ref": "Stream"}, "Topic": {"Ref": "Topic"}}
    template = write(
        tmp_path,
        "template.json",
        {
            "Topic": {"Type": "AWS::SNS::Topic"},
            "Inner": {
                "Type": "AWS::CloudFormation::Stack",
                "Properties": {"TemplateURL": "inner.json", "Parameters": passed},
            },
        },
        Parameters={"Stream": {"Type": "String"}},
    )
    if stream == "yes":
        with pytest.raises(DeploymentError, match=r"Inner\.Stream \(AWS::Kinesis::Stream\)"):
            deploy(twin, template, Stream=stream)
    else:
        assert "Inner.Stream" not in deploy(twin, template, Stream=stream).resources
