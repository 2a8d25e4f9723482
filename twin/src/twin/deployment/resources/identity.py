"""Roles, policies, instance profiles, secrets, parameters."""

from __future__ import annotations

import json
from typing import Any

from twin import credentials
from twin.deployment.errors import NotModelled
from twin.deployment.resource import Request, Resource, as_list, generated_name, resource_type


def _update_role(request: Request) -> Resource:
    old = request.existing
    name = request.name("RoleName", limit=64)
    for fixed in ("RoleName", "Path", "PermissionsBoundary", "Tags"):
        if request.has_changed(fixed):
            raise NotModelled(f"an update of {request.where}.{fixed} (start the twin afresh)")
        request.take(fixed)
    request.call(
        "iam",
        "UpdateAssumeRolePolicy",
        {"RoleName": name, "PolicyDocument": request.need("AssumeRolePolicyDocument")},
    )
    details = request.take_some("Description", "MaxSessionDuration")
    if details:
        request.call("iam", "UpdateRole", {"RoleName": name, **details})
    policies, managed = request.take("Policies", []), request.take("ManagedPolicyArns", [])
    for gone in {policy["PolicyName"] for policy in old.properties.get("Policies", [])} - {
        policy["PolicyName"] for policy in policies
    }:
        request.call("iam", "DeleteRolePolicy", {"RoleName": name, "PolicyName": gone})
    for arn in set(old.properties.get("ManagedPolicyArns", [])) - set(managed):
        request.call("iam", "DetachRolePolicy", {"RoleName": name, "PolicyArn": arn})
    _grant(request, name, policies, managed)
    return Resource(name, old.attributes)


@resource_type("AWS::IAM::Role", update=_update_role)
def _role(request: Request) -> Resource:
    policies = request.take("Policies", [])
    managed = request.take("ManagedPolicyArns", [])
    name = request.name("RoleName", limit=64)
    made = request.call("iam", "CreateRole", {"RoleName": name, **request.take_rest()})["Role"]
    _grant(request, name, policies, managed)
    return Resource(name, {"Arn": made["Arn"], "RoleId": made["RoleId"]})


@resource_type("AWS::IAM::Policy", repeatable=True)
def _inline_policy(request: Request) -> Resource:
    name = request.need("PolicyName")
    document = request.need("PolicyDocument")
    for owner, operation in (("Role", "PutRolePolicy"), ("User", "PutUserPolicy"), ("Group", "PutGroupPolicy")):
        for target in request.take(f"{owner}s", []):
            request.call("iam", operation, {f"{owner}Name": target, "PolicyName": name, "PolicyDocument": document})
    physical_id = request.current.physical_id if request.current else None
    return Resource(physical_id or request.generated_name(limit=64))


@resource_type("AWS::IAM::RolePolicy", repeatable=True)
def _role_policy(request: Request) -> Resource:
    properties = request.take_rest()
    request.call("iam", "PutRolePolicy", properties)
    return Resource(f"{properties['RoleName']}:{properties['PolicyName']}")


@resource_type("AWS::IAM::ManagedPolicy")
def _managed_policy(request: Request) -> Resource:
    owners = {owner: request.take(f"{owner}s", []) for owner in ("Role", "User", "Group")}
    name = request.name("ManagedPolicyName", limit=128)
    made = request.call("iam", "CreatePolicy", {"PolicyName": name, **request.take_rest()})["Policy"]
    for owner, targets in owners.items():
        for target in targets:
            request.call("iam", f"Attach{owner}Policy", {f"{owner}Name": target, "PolicyArn": made["Arn"]})
    return Resource(made["Arn"], {"PolicyArn": made["Arn"], "PolicyId": made["PolicyId"]})


@resource_type("AWS::IAM::InstanceProfile")
def _instance_profile(request: Request) -> Resource:
    roles = request.need("Roles")
    name = request.name("InstanceProfileName", limit=128)
    made = request.call("iam", "CreateInstanceProfile", {"InstanceProfileName": name, **request.take_rest()})
    for target in as_list(roles):
        request.call("iam", "AddRoleToInstanceProfile", {"InstanceProfileName": name, "RoleName": target})
    return Resource(name, {"Arn": made["InstanceProfile"]["Arn"]})


@resource_type("AWS::IAM::ServiceLinkedRole")
def _service_linked_role(request: Request) -> Resource:
    made = request.call("iam", "CreateServiceLinkedRole", request.take_rest())["Role"]
    return Resource(made["RoleName"], {"RoleName": made["RoleName"]})


@resource_type("AWS::SecretsManager::Secret")
def _secret(request: Request) -> Resource:
    request.accept("KmsKeyId", "nothing is encrypted at rest here")
    generate = request.take("GenerateSecretString")
    # "If you don't specify a name, CloudFormation generates one": from the logical id, without the stack's name.
    name = request.take("Name") or generated_name(request.logical_id, limit=256)
    properties = {"Name": name, **request.take_rest()}
    if generate is not None:
        properties["SecretString"] = _generated_secret(request, generate)
    made = request.call("secretsmanager", "CreateSecret", properties)
    return Resource(made["ARN"], {"Id": made["ARN"]})


@resource_type("AWS::SecretsManager::ResourcePolicy", repeatable=True)
def _secret_policy(request: Request) -> Resource:
    properties = request.take_rest()
    properties["ResourcePolicy"] = json.dumps(properties.pop("ResourcePolicy"))
    request.call("secretsmanager", "PutResourcePolicy", properties)
    return Resource(properties["SecretId"], {"Id": properties["SecretId"]})


@resource_type("AWS::SSM::Parameter", repeatable=True)
def _ssm_parameter(request: Request) -> Resource:
    name = request.name("Name", limit=1024)
    properties = {"Name": name, **request.take_rest()}
    request.call("ssm", "PutParameter", {**properties, "Overwrite": request.current is not None})
    return Resource(name, {"Type": properties["Type"], "Value": properties["Value"]})


def _grant(request: Request, name: str, policies: list[dict[str, Any]], managed: list[str]) -> None:
    for arn in managed:
        request.call("iam", "AttachRolePolicy", {"RoleName": name, "PolicyArn": arn})
    for policy in policies:
        request.call("iam", "PutRolePolicy", {"RoleName": name, **policy})


def _generated_secret(request: Request, generate: dict[str, Any]) -> str:
    options = dict(generate)
    template, key = options.pop("SecretStringTemplate", None), options.pop("GenerateStringKey", None)
    shaped = request.shaped("secretsmanager", "GetRandomPassword", options)
    password: str = credentials.internal_client("secretsmanager").get_random_password(**shaped)["RandomPassword"]
    if template is None:
        return password
    return json.dumps({**json.loads(template), key: password})
