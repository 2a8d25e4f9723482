"""What a template may say, and what it comes to, without a cloud: functions, parameters, rules, shapes, artefacts."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from twin.deployment import engine, packaging, parameters, rules, shapes, transforms
from twin.deployment import template as templates
from twin.deployment.errors import DeploymentError, NotModelled, ParameterError, RuleViolated, TemplateError
from twin.deployment.intrinsics import Scope

if TYPE_CHECKING:
    from pathlib import Path

NAMES: dict[str, Any] = {"AWS::Region": "eu-west-1", "Stage": "prod", "Zones": ["a", "b"], "Bucket": "b-123"}


def scope(**changes: Any) -> Scope:
    settings: dict[str, Any] = {
        "attribute": lambda name, attribute: f"{name}/{attribute}",
        "mappings": {"Sizes": {"prod": {"Memory": 1024}}},
        "conditions": {
            "IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]},
            "IsDev": {"Fn::Not": [{"Condition": "IsProd"}]},
        },
        "exports": {"other-topic": "arn:topic"},
        "zones": lambda region: [f"{region}a", f"{region}b"],
    }
    return Scope(dict(NAMES), **(settings | changes))


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html",
)
@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ({"Ref": "Bucket"}, "b-123"),
        ({"Fn::GetAtt": ["Bucket", "Arn"]}, "Bucket/Arn"),
        ({"Fn::GetAtt": "Stack.Outputs.Queue"}, "Stack/Outputs.Queue"),
        ({"Fn::Sub": "arn:${AWS::Region}:${Bucket.Arn}/${!literal}"}, "arn:eu-west-1:Bucket/Arn/${literal}"),
        ({"Fn::Sub": ["${x}-${Stage}", {"x": {"Ref": "Bucket"}}]}, "b-123-prod"),
        ({"Fn::Join": ["-", ["a", 1, True]]}, "a-1-true"),
        ({"Fn::Split": [",", "a,b"]}, ["a", "b"]),
        ({"Fn::Select": ["1", {"Ref": "Zones"}]}, "b"),
        ({"Fn::If": ["IsProd", 1, 2]}, 1),
        ({"Fn::If": ["IsDev", 1, 2]}, 2),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "Memory"]}, 1024),
        ({"Fn::Cidr": ["10.0.0.0/16", 3, 8]}, ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]),
        ({"Fn::GetAZs": ""}, ["eu-west-1a", "eu-west-1b"]),
        ({"Fn::GetAZs": {"Ref": "AWS::Region"}}, ["eu-west-1a", "eu-west-1b"]),
        ({"Fn::Base64": {"Fn::Sub": "on ${Stage}"}}, "b24gcHJvZA=="),
        ({"Fn::ImportValue": "other-topic"}, "arn:topic"),
        ({"a": {"Ref": "AWS::NoValue"}, "b": [1, {"Ref": "AWS::NoValue"}]}, {"b": [1]}),
        ({"Statement": [{"Condition": {"Bool": {"aws:SecureTransport": False}}}]},) * 2,
    ],
)
def test_a_function_comes_to_its_value(expression: Any, value: Any) -> None:
    assert scope().resolve(expression) == value


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/transform-aws-languageextensions.html",
)
@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ({"Fn::ToJsonString": {"stage": {"Ref": "Stage"}}}, '{"stage":"prod"}'),
        ({"Fn::Length": {"Ref": "Zones"}}, 2),
        ({"Fn::FindInMap": ["Sizes", "dev", "Memory", {"DefaultValue": 512}]}, 512),
    ],
)
def test_the_language_extensions_are_there_only_where_the_template_names_them(expression: Any, value: Any) -> None:
    assert scope(extended=True).resolve(expression) == value
    with pytest.raises(TemplateError, match="AWS::LanguageExtensions"):
        scope().resolve(expression)


@pytest.mark.ours
@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ({"Ref": "Nobody"}, "Nobody"),
        ({"Fn::Sub": "${Nobody}"}, "Nobody"),
        ({"Fn::FindInMap": ["Sizes", "dev", "Memory"]}, "Sizes.dev.Memory"),
        ({"Fn::Select": [2, {"Ref": "Zones"}]}, "item 2"),
        ({"Fn::Cidr": ["10.0.0.0/24", 3, 7]}, "10.0.0.0/24"),
        ({"Fn::ImportValue": "nothing"}, "nothing"),
        ({"Fn::If": ["Nobody", 1, 2]}, "Nobody"),
        ({"Fn::Sub": "${Zones}"}, "Zones"),
        ({"Fn::Transform": {"Name": "AWS::Include"}}, "Fn::Transform"),
        ({"Fn::GetStackOutput": {}}, "Fn::GetStackOutput"),
    ],
)
def test_what_cannot_be_resolved_is_an_error_that_names_it(expression: Any, named: str) -> None:
    with pytest.raises(DeploymentError, match=named):
        scope().resolve(expression)


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html",
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-getatt.html",
)
def test_yaml_is_read_as_cloudformation_reads_it() -> None:
    read = templates.read(
        """
        Resources:
          Role: {Version: 2012-10-17, Arn: !GetAtt Other.Arn.Part, Name: !Sub "${A}", Cond: !If [X, !Ref A, !Ref "AWS::NoValue"]}
        """
    )
    assert read["Resources"]["Role"] == {
        "Version": "2012-10-17",
        "Arn": {"Fn::GetAtt": ["Other", "Arn.Part"]},
        "Name": {"Fn::Sub": "${A}"},
        "Cond": {"Fn::If": ["X", {"Ref": "A"}, {"Ref": "AWS::NoValue"}]},
    }


@pytest.mark.documented("https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html")
@pytest.mark.parametrize(
    "text", ["", "just words", "Resources: [", "{", "Resources:\n  A: {Type: x}\n  A: {Type: y}\n", "Outputs: {}"]
)
def test_what_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        templates.read(text)


@pytest.mark.ours
def test_references_are_found_wherever_they_stand() -> None:
    value = {
        "a": [{"Ref": "One"}, {"Fn::GetAtt": ["Two", "Arn"]}],
        "b": {"Fn::Sub": ["${Three.Arn} ${local} ${AWS::Region} ${!Not}", {"local": {"Ref": "Four"}}]},
        "c": {"Fn::If": ["IsProd", {"Fn::Sub": "${Five}"}, {"Ref": "AWS::NoValue"}]},
    }
    assert templates.references(value) == {"One", "Two", "Three", "Four", "Five", "AWS::Region", "AWS::NoValue"}


def bind(slot: dict[str, Any], *given: str) -> Any:
    return parameters.bind({"P": slot}, dict(zip("P", given, strict=False)), stored=lambda name: f"value of {name}")[
        "P"
    ]


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html",
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-supplied-parameter-types.html",
)
@pytest.mark.parametrize(
    ("slot", "given", "value"),
    [
        ({"Type": "String", "Default": "x"}, (), "x"),
        ({"Type": "Number", "Default": 2}, (), "2"),
        ({"Type": "String", "Default": True}, (), "true"),
        ({"Type": "CommaDelimitedList"}, ("a, b",), ["a", "b"]),
        ({"Type": "CommaDelimitedList"}, ("",), [""]),
        ({"Type": "List<AWS::EC2::Subnet::Id>"}, ("subnet-1,subnet-2",), ["subnet-1", "subnet-2"]),
        ({"Type": "AWS::EC2::VPC::Id"}, ("vpc-1",), "vpc-1"),
        ({"Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>"}, ("/ami",), "value of /ami"),
        ({"Type": "String", "AllowedPattern": "[a-z]+"}, ("abc",), "abc"),
    ],
)
def test_a_parameter_has_the_value_of_its_type(slot: dict[str, Any], given: tuple[str, ...], value: Any) -> None:
    assert bind(slot, *given) == value


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html",
)
@pytest.mark.parametrize(
    ("slot", "given"),
    [
        ({"Type": "String"}, ()),
        ({"Type": "String", "AllowedValues": ["a", "b"]}, ("c",)),
        ({"Type": "String", "AllowedPattern": "[a-z]+"}, ("abc1",)),
        ({"Type": "String", "MinLength": 2}, ("a",)),
        ({"Type": "Number"}, ("many",)),
        ({"Type": "Number", "MinValue": 2}, ("1",)),
        ({"Type": "Number", "MaxValue": 2}, ("3",)),
        ({"Type": "CommaDelimitedList", "AllowedValues": ["a"]}, ("a,b",)),
    ],
)
def test_a_parameter_out_of_bounds_is_refused_by_name(slot: dict[str, Any], given: tuple[str, ...]) -> None:
    with pytest.raises(ParameterError, match=r"\bP\b"):
        bind(slot, *given)


@pytest.mark.ours
def test_a_parameter_that_the_template_does_not_declare_is_refused() -> None:
    with pytest.raises(ParameterError, match="Memebrs"):
        parameters.bind({}, {"Memebrs": "2"}, stored=str)


RULE = {
    "RuleCondition": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]},
    "Assertions": [
        {"Assert": {"Fn::EachMemberIn": [{"Ref": "Zones"}, ["a", "b", "c"]]}, "AssertDescription": "zones"},
        {"Assert": {"Fn::Contains": [["4", "8"], {"Ref": "Members"}]}, "AssertDescription": "members"},
    ],
}


@pytest.mark.documented("https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html")
@pytest.mark.parametrize(
    ("values", "broken"),
    [
        ({"Stage": "prod", "Zones": ["a"], "Members": "4"}, None),
        ({"Stage": "prod", "Zones": ["d"], "Members": "4"}, "zones"),
        ({"Stage": "prod", "Zones": ["a"], "Members": "2"}, "members"),
        ({"Stage": "dev", "Zones": ["d"], "Members": "2"}, None),
    ],
)
def test_a_rule_holds_or_is_named_with_its_description(values: dict[str, Any], broken: str | None) -> None:
    scope = Scope(values, attribute=lambda *_: None)
    if broken is None:
        rules.check({"Sizes": RULE}, scope)
    else:
        with pytest.raises(RuleViolated, match=f"Sizes: {broken}"):
            rules.check({"Sizes": RULE}, scope)


@pytest.mark.ours
@pytest.mark.parametrize("function", ["Fn::RefAll", "Fn::ValueOf", "Fn::Made::Up"])
def test_a_rule_that_cannot_be_evaluated_is_refused(function: str) -> None:
    rule = {"Assertions": [{"Assert": {function: ["AWS::EC2::VPC::Id"]}}]}
    with pytest.raises(NotModelled, match=function):
        rules.check({"Looks into the account": rule}, scope())


def shaped(service: str, operation: str, value: Any) -> Any:
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    assert shape is not None
    return shapes.to_api(value, shape, "Thing (AWS::A::Thing)")


@pytest.mark.ours
def test_properties_take_the_case_and_the_types_of_the_api() -> None:
    assert shaped(
        "batch",
        "RegisterJobDefinition",
        {
            "JobDefinitionName": "gang",
            "PropagateTags": "true",
            "Timeout": {"AttemptDurationSeconds": "600"},
            "Tags": [{"Key": "a", "Value": "b"}],
            "ContainerProperties": {"Environment": [{"Name": "MEMBERS", "Value": 2}, {"Name": "ON", "Value": True}]},
        },
    ) == {
        "jobDefinitionName": "gang",
        "propagateTags": True,
        "timeout": {"attemptDurationSeconds": 600},
        "tags": {"a": "b"},
        "containerProperties": {"environment": [{"name": "MEMBERS", "value": "2"}, {"name": "ON", "value": "true"}]},
    }


@pytest.mark.ours
def test_a_map_becomes_a_list_of_tags_where_the_api_wants_one() -> None:
    assert shaped("iam", "CreateRole", {"Tags": {"a": "b"}}) == {"Tags": [{"Key": "a", "Value": "b"}]}


@pytest.mark.ours
@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"ContainerProperties": {"Ulimits": [{"Name": "memlock", "Hardlimits": 1}]}}, r"Ulimits\[0\].Hardlimits"),
        ({"Typo": 1}, "Thing .*Typo"),
        ({"Timeout": {"AttemptDurationSeconds": "soon"}}, "AttemptDurationSeconds = 'soon'"),
        ({"PropagateTags": "maybe"}, "PropagateTags = 'maybe'"),
        ({"Timeout": 60}, "Timeout"),
        ({"ContainerProperties": {"Ulimits": "all"}}, "Ulimits"),
    ],
)
def test_a_property_that_the_api_does_not_have_is_refused_by_its_path(value: Any, named: str) -> None:
    with pytest.raises(NotModelled, match=named):
        shaped("batch", "RegisterJobDefinition", value)


class Uploads(dict[str, bytes]):
    """Where artefacts go: addresses and bodies."""

    def __call__(self, body: bytes) -> str:
        address = f"s3://artefacts/{packaging.build_key(body)}"
        self[address] = body
        return address

    def names(self, address: str) -> list[str]:
        return zipfile.ZipFile(io.BytesIO(self[address])).namelist()


@pytest.mark.documented(
    "https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-cli-command-reference-sam-package.html",
    "https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html",
)
def test_artefacts_are_uploaded_as_sam_would(small_template: Path) -> None:
    # When a template is packaged
    uploads = Uploads()
    resources = packaging.package(small_template, uploads)["Resources"]
    # Then a function's code lies at the root of its archive, and what only builds it stays behind
    assert uploads.names(resources["Hello"]["Properties"]["CodeUri"]) == ["hello.py"]
    # And a layer that sam would build has its packages where Lambda looks for them
    assert uploads.names(resources["SharedLayer"]["Properties"]["ContentUri"]) == ["python/shared/__init__.py"]
    # And a nested template is uploaded, packaged itself, under a URL of S3
    url = resources["Compute"]["Properties"]["TemplateURL"]
    assert url.startswith("https://s3.amazonaws.com/artefacts/")
    # And a definition is taken as it is
    assert b"${Hello}" in uploads[resources["Machine"]["Properties"]["DefinitionUri"]]


@pytest.mark.ours
def test_the_same_sources_make_the_same_archive(tmp_path: Path) -> None:
    archives = []
    for name in ("one", "two"):
        folder = tmp_path / name
        (folder / "package" / "__pycache__").mkdir(parents=True)
        (folder / "package" / "__pycache__" / "module.pyc").write_text(name)
        (folder / "package" / "module.py").write_text("x = 1\n")
        archives.append(packaging.archive(folder))
    assert archives[0] == archives[1]


@pytest.mark.ours
def test_a_path_that_does_not_exist_is_named_with_its_resource(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("Resources: {Hello: {Type: AWS::Serverless::Function, Properties: {CodeUri: nowhere/}}}")
    with pytest.raises(TemplateError, match=r"Hello .*nowhere"):
        packaging.package(template, Uploads())


@pytest.mark.documented("https://docs.aws.amazon.com/cli/latest/reference/cloudformation/package.html")
def test_what_is_in_s3_already_is_left_alone(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("Resources: {Hello: {Type: AWS::Serverless::Function, Properties: {CodeUri: s3://there/code}}}")
    uploads = Uploads()
    assert packaging.package(template, uploads)["Resources"]["Hello"]["Properties"]["CodeUri"] == "s3://there/code"
    assert uploads == {}


@pytest.mark.ours
@pytest.mark.parametrize(
    ("template", "named"),
    [
        ({"Transform": "Some::Macro", "Resources": {}}, "Some::Macro"),
        ({"Transform": "AWS::LanguageExtensions", "Resources": {"Fn::ForEach::Queues": []}}, "Fn::ForEach::Queues"),
        ({"Resources": {"F": {"Type": "AWS::Serverless::Function"}}}, "F: types AWS::Serverless"),
        ({"Transform": transforms.SERVERLESS, "Resources": {"F": {"Type": "AWS::Serverless::Function"}}}, "F"),
    ],
)
def test_a_transform_that_the_twin_cannot_run_is_refused(
    template: dict[str, Any], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with pytest.raises(DeploymentError, match=named):
        transforms.expand(template, {})


def plan(resources: dict[str, Any], **sections: Any) -> engine.Plan:
    account = engine.Account("123456789012", "us-east-1", zones=lambda region: [], stored_parameter=str)
    template = {"Resources": resources, **sections}
    return engine.plan(template, {}, stack_name="s", stack_id="arn:s", account=account)


TOPIC: dict[str, Any] = {"Type": "AWS::SNS::Topic"}


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-dependson.html",
)
def test_resources_come_after_what_they_need() -> None:
    planned = plan(
        {
            "Policy": {
                "Type": "AWS::SNS::TopicPolicy",
                "Properties": {"Topics": [{"Ref": "Topic"}]},
                "DependsOn": "Last",
            },
            "Topic": {**TOPIC, "Properties": {"DisplayName": {"Fn::Sub": "${Other.TopicName}"}}},
            "Other": TOPIC,
            "Last": {**TOPIC, "DependsOn": ["Topic"]},
        }
    )
    assert planned.order == ["Other", "Topic", "Last", "Policy"]


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/conditions-section-structure.html",
)
def test_a_resource_whose_condition_does_not_hold_is_not_planned() -> None:
    planned = plan(
        {"Topic": TOPIC, "Never": {**TOPIC, "Condition": "Never"}},
        Conditions={"Never": {"Fn::Equals": ["a", "b"]}},
    )
    assert planned.order == ["Topic"]


@pytest.mark.ours
@pytest.mark.parametrize(
    ("resources", "sections", "named"),
    [
        ({"Zoo": {"Type": "AWS::Zoo::Cage"}}, {}, r"Zoo \(AWS::Zoo::Cage\)"),
        ({"Mine": {"Type": "Custom::Thing"}}, {}, r"Mine \(Custom::Thing\)"),
        ({"T": {**TOPIC, "CreationPolicy": {}}}, {}, "CreationPolicy of T"),
        ({"T": TOPIC}, {"Hooks": {}}, "Hooks"),
        ({"T": {**TOPIC, "DependsOn": "Nobody"}}, {}, "T refers to Nobody"),
        ({"T": {**TOPIC, "Properties": {"DisplayName": {"Ref": "Nobody"}}}}, {}, "T refers to Nobody"),
        ({"A": {**TOPIC, "DependsOn": "B"}, "B": {**TOPIC, "DependsOn": "A"}}, {}, "Circular dependency.*A.*B|B.*A"),
    ],
)
def test_a_template_that_cannot_be_deployed_is_refused_before_anything_is_made(
    resources: dict[str, Any], sections: dict[str, Any], named: str
) -> None:
    with pytest.raises(DeploymentError, match=named):
        plan(resources, **sections)
