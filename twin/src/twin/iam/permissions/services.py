"""Permissions of Lambda, Step Functions, Secrets Manager, CloudWatch Logs, STS, IAM and Systems Manager.

Source: their pages "Actions, resources, and condition keys for ..." (Service Authorization Reference).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.secretsmanager.models import secretsmanager_backends

from twin import credentials
from twin.iam.permissions.roles import pass_role
from twin.iam.policies import Ask

if TYPE_CHECKING:
    from twin.iam.requests import Call

_LAMBDA_WITHOUT_RESOURCE = frozenset({"CreateEventSourceMapping", "ListLayerVersions"})
_LOGS_WITHOUT_RESOURCE = frozenset({"DeleteIndexPolicy", "DescribeLogGroups", "PutIndexPolicy"})
_INVOCATIONS = frozenset({"Invoke", "InvokeAsync", "InvokeWithResponseStream"})


def lambda_(call: Call) -> list[Ask]:
    """A function's operations; invoking has an action of another name, and names a version if the caller does."""
    parameters, operation = call.parameters, call.operation
    action = "InvokeFunction" if operation in _INVOCATIONS else operation
    if "Resource" in parameters and "Tags" in operation.replace("Resource", "Tags"):
        return [Ask(f"lambda:{action}", parameters["Resource"])]
    if operation in _LAMBDA_WITHOUT_RESOURCE:
        return [Ask(f"lambda:{action}")]
    if layer := parameters.get("LayerName"):
        version = f":{parameters['VersionNumber']}" if "VersionNumber" in parameters else ""
        return [Ask(f"lambda:{action}", layer if layer.startswith("arn:") else call.arn(f"layer:{layer}{version}"))]
    name = parameters.get("FunctionName")
    if not name:
        return [Ask(f"lambda:{action}")]
    arn = name if name.startswith("arn:") else call.arn(f"function:{name.rsplit('function:', 1)[-1]}")
    qualifier = parameters.get("Qualifier")
    passed = [pass_role(parameters["Role"], "lambda.amazonaws.com")] if parameters.get("Role") else []
    return [Ask(f"lambda:{action}", f"{arn}:{qualifier}" if qualifier and arn.count(":") == 6 else arn), *passed]


def states(call: Call) -> list[Ask]:
    """State machines and executions. SendTaskSuccess, SendTaskFailure and SendTaskHeartbeat know no resource."""
    parameters, operation = call.parameters, call.operation
    passed = [pass_role(parameters["roleArn"], "states.amazonaws.com")] if parameters.get("roleArn") else []
    if operation == "CreateStateMachine":
        return [Ask("states:CreateStateMachine", call.arn(f"stateMachine:{parameters.get('name')}")), *passed]
    for name in (
        "executionArn",
        "stateMachineArn",
        "activityArn",
        "mapRunArn",
        "resourceArn",
        "stateMachineVersionArn",
    ):
        if arn := parameters.get(name):
            return [Ask(f"states:{operation}", arn), *passed]
    return [Ask(f"states:{operation}")]


def secretsmanager(call: Call) -> list[Ask]:
    """A secret, by its name or ARN. What is asked for is its full ARN, with the six characters behind its name."""
    parameters, operation = call.parameters, call.operation
    if operation == "BatchGetSecretValue":
        each = [
            Ask("secretsmanager:GetSecretValue", _secret(call, name)) for name in parameters.get("SecretIdList", [])
        ]
        return [Ask("secretsmanager:BatchGetSecretValue"), *each]
    name = parameters.get("SecretId") or parameters.get("Name")
    return [Ask(f"secretsmanager:{operation}", _secret(call, name) if name else "*")]


def _secret(call: Call, name: str) -> str:
    for secret in list(secretsmanager_backends[credentials.account()][call.region].secrets.values()):
        if name in (secret.name, secret.arn) or secret.arn.rsplit("-", 1)[0] == name:
            return str(secret.arn)
    return name if name.startswith("arn:") else call.arn(f"secret:{name}")


def logs(call: Call) -> list[Ask]:
    """Log groups and streams: every operation on a group asks for its (perhaps unnamed) stream."""
    parameters, operation = call.parameters, call.operation
    if "resourceArn" in parameters:
        return [Ask(f"logs:{operation}", parameters["resourceArn"])]
    identifier = parameters.get("logGroupName") or parameters.get("logGroupIdentifier")
    if identifier is None or operation in _LOGS_WITHOUT_RESOURCE:
        return [Ask(f"logs:{operation}")]
    group = str(identifier).rsplit("log-group:", 1)[-1].removesuffix(":*")
    stream = parameters.get("logStreamName") or ""
    return [Ask(f"logs:{operation}", call.arn(f"log-group:{group}:log-stream:{stream}"))]


def sts(call: Call) -> list[Ask]:
    """GetCallerIdentity needs no permission, even where one denies it (STS API reference)."""
    if call.operation == "GetCallerIdentity":
        return []
    parameters = call.parameters
    context = {}
    if name := parameters.get("RoleSessionName"):
        context["sts:rolesessionname"] = (name,)
    if identifier := parameters.get("ExternalId"):
        context["sts:externalid"] = (identifier,)
    return [Ask(f"sts:{call.operation}", parameters.get("RoleArn", "*"), context)]


def iam(call: Call) -> list[Ask]:
    """Roles, users, groups, policies and instance profiles. A user may leave its own name out."""
    parameters, operation = call.parameters, call.operation
    if "PolicyArn" in parameters and not any(f"{kind}Name" in parameters for kind in ("Role", "User", "Group")):
        return [Ask(f"iam:{operation}", parameters["PolicyArn"])]
    for name, kind in (
        ("GroupName", "group"),  # before the user: who joins or leaves a group needs a permission on the group
        ("InstanceProfileName", "instance-profile"),
        ("RoleName", "role"),
        ("UserName", "user"),
        ("PolicyName", "policy"),
    ):
        if name in parameters:
            path = parameters.get("Path", "/").strip("/")
            resource = f"{kind}/{path}/{parameters[name]}" if path else f"{kind}/{parameters[name]}"
            arn = f"arn:aws:iam::{credentials.account()}:{resource}"
            passed = (
                [pass_role(parameters["RoleName"], "ec2.amazonaws.com")]
                if operation == "AddRoleToInstanceProfile"
                else []
            )
            return [Ask(f"iam:{operation}", arn), *passed]
    return [Ask(f"iam:{operation}")]


def ssm(call: Call) -> list[Ask]:
    """Parameters, one permission for each that is named; of other resources of Systems Manager the twin knows none."""
    parameters = call.parameters
    if "Parameter" not in call.operation:
        return [Ask(f"ssm:{call.operation}")]
    names = parameters.get("Names") or [parameters[key] for key in ("Name", "Path") if key in parameters]
    arns = [call.arn(f"parameter/{str(name).lstrip('/')}") for name in names]
    return [Ask(f"ssm:{call.operation}", arn) for arn in arns] or [Ask(f"ssm:{call.operation}")]
