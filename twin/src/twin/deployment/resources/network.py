"""VPC, subnets, routes, endpoints, security groups, launch templates, placement groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin import credentials
from twin.deployment.resource import Request, Resource, resource_type

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_PACKETS = "no packet of the twin passes through a VPC"


@resource_type("AWS::EC2::VPC")
def _vpc(request: Request) -> Resource:
    switches = request.take_some("EnableDnsHostnames", "EnableDnsSupport")
    made = _create(request, "CreateVpc", "vpc", request.take_rest())["Vpc"]
    for name, value in switches.items():
        request.call("ec2", "ModifyVpcAttribute", {"VpcId": made["VpcId"], name: {"Value": value}})
    return Resource(
        made["VpcId"],
        {
            "VpcId": made["VpcId"],
            "CidrBlock": made["CidrBlock"],
            "DefaultSecurityGroup": _find_in_vpc("security_groups", "SecurityGroups", "GroupId", made["VpcId"]),
            "DefaultNetworkAcl": _find_in_vpc("network_acls", "NetworkAcls", "NetworkAclId", made["VpcId"]),
        },
    )


@resource_type("AWS::EC2::Subnet")
def _subnet(request: Request) -> Resource:
    public = request.take_some("MapPublicIpOnLaunch")
    made = _create(request, "CreateSubnet", "subnet", request.take_rest())["Subnet"]
    for name, value in public.items():
        request.call("ec2", "ModifySubnetAttribute", {"SubnetId": made["SubnetId"], name: {"Value": value}})
    attributes = {name: made[name] for name in ("SubnetId", "VpcId", "AvailabilityZone", "CidrBlock")}
    return Resource(made["SubnetId"], attributes)


@resource_type("AWS::EC2::RouteTable")
def _route_table(request: Request) -> Resource:
    made = _create(request, "CreateRouteTable", "route-table", request.take_rest())["RouteTable"]
    return Resource(made["RouteTableId"], {"RouteTableId": made["RouteTableId"]})


@resource_type("AWS::EC2::SubnetRouteTableAssociation")
def _route_table_association(request: Request) -> Resource:
    association = request.call("ec2", "AssociateRouteTable", request.take_rest())["AssociationId"]
    return Resource(association, {"Id": association})


@resource_type("AWS::EC2::Route")
def _route(request: Request) -> Resource:
    properties = request.take_rest()
    request.call("ec2", "CreateRoute", properties)
    destination = properties.get("DestinationCidrBlock") or properties.get("DestinationIpv6CidrBlock")
    return Resource(f"{properties['RouteTableId']}|{destination}", {"CidrBlock": destination})


@resource_type("AWS::EC2::InternetGateway")
def _internet_gateway(request: Request) -> Resource:
    made = _create(request, "CreateInternetGateway", "internet-gateway", request.take_rest())["InternetGateway"]
    return Resource(made["InternetGatewayId"], {"InternetGatewayId": made["InternetGatewayId"]})


@resource_type("AWS::EC2::VPCGatewayAttachment")
def _gateway_attachment(request: Request) -> Resource:
    properties = request.take_rest()
    request.call("ec2", "AttachInternetGateway", properties)
    return Resource(f"IGW|{properties['VpcId']}", {"AttachmentType": "IGW"})


@resource_type("AWS::EC2::EIP")
def _elastic_ip(request: Request) -> Resource:
    made = _create(request, "AllocateAddress", "elastic-ip", request.take_rest())
    return Resource(made["PublicIp"], {"AllocationId": made["AllocationId"], "PublicIp": made["PublicIp"]})


@resource_type("AWS::EC2::NatGateway")
def _nat_gateway(request: Request) -> Resource:
    made = _create(request, "CreateNatGateway", "natgateway", request.take_rest())["NatGateway"]
    return Resource(made["NatGatewayId"], {"NatGatewayId": made["NatGatewayId"]})


@resource_type("AWS::EC2::VPCEndpoint")
def _vpc_endpoint(request: Request) -> Resource:
    made = _create(request, "CreateVpcEndpoint", "vpc-endpoint", request.take_rest())["VpcEndpoint"]
    request.note("", _NO_PACKETS)
    return Resource(made["VpcEndpointId"], {"Id": made["VpcEndpointId"]})


@resource_type("AWS::EC2::FlowLog")
def _flow_log(request: Request) -> Resource:
    properties = request.take_rest()
    properties["ResourceIds"] = [properties.pop("ResourceId")]
    request.shaped("ec2", "CreateFlowLogs", _tagged(properties, "vpc-flow-log"))
    request.note("", _NO_PACKETS)
    return Resource(request.generated_name(limit=64), {})


@resource_type("AWS::EC2::SecurityGroup")
def _security_group(request: Request) -> Resource:
    rules = request.take_some("SecurityGroupIngress", "SecurityGroupEgress")
    description = request.need("GroupDescription")
    name = request.name("GroupName", limit=255)
    made = _create(
        request,
        "CreateSecurityGroup",
        "security-group",
        {"GroupName": name, "Description": description, **request.take_rest()},
    )
    group_id = made["GroupId"]
    for rule in rules.get("SecurityGroupIngress", []):
        _authorize(request, "Ingress", group_id, rule)
    if rules.get("SecurityGroupEgress"):
        # "The default egress rule is removed when you specify an egress rule": AWS::EC2::SecurityGroup.
        _revoke_default_egress(request, group_id)
        for rule in rules["SecurityGroupEgress"]:
            _authorize(request, "Egress", group_id, rule)
    group = credentials.internal_client("ec2").describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]
    return Resource(group_id, {"GroupId": group_id, "Id": group_id, "VpcId": group["VpcId"]})


@resource_type("AWS::EC2::SecurityGroupIngress")
def _security_group_ingress(request: Request) -> Resource:
    return _rule(request, "Ingress")


@resource_type("AWS::EC2::SecurityGroupEgress")
def _security_group_egress(request: Request) -> Resource:
    return _rule(request, "Egress")


@resource_type("AWS::EC2::LaunchTemplate")
def _launch_template(request: Request) -> Resource:
    name = request.name("LaunchTemplateName", limit=128)
    made = request.call("ec2", "CreateLaunchTemplate", {"LaunchTemplateName": name, **request.take_rest()})
    template = made["LaunchTemplate"]
    return Resource(
        template["LaunchTemplateId"],
        {
            "LaunchTemplateId": template["LaunchTemplateId"],
            "LatestVersionNumber": str(template["LatestVersionNumber"]),
            "DefaultVersionNumber": str(template["DefaultVersionNumber"]),
        },
    )


@resource_type("AWS::EC2::PlacementGroup")
def _placement_group(request: Request) -> Resource:
    name = request.generated_name(limit=255)
    request.shaped(
        "ec2", "CreatePlacementGroup", _tagged({"GroupName": name, **request.take_rest()}, "placement-group")
    )
    request.note("", "all members run on one machine")
    return Resource(name, {"GroupName": name})


def _create(request: Request, operation: str, tag_type: str, properties: dict[str, Any]) -> dict[str, Any]:
    return request.call("ec2", operation, _tagged(properties, tag_type))


def _tagged(properties: dict[str, Any], tag_type: str) -> dict[str, Any]:
    """EC2 takes the tags of a new resource by its type."""
    tags = properties.pop("Tags", None)
    if tags:
        properties["TagSpecifications"] = [{"ResourceType": tag_type, "Tags": tags}]
    return properties


def _find_in_vpc(what: str, answer: str, identifier: str, vpc_id: str) -> str:
    describe = getattr(credentials.internal_client("ec2"), f"describe_{what}")
    return str(describe(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])[answer][0][identifier])


def _rule(request: Request, direction: str) -> Resource:
    properties = request.take_rest()
    group_id = properties.pop("GroupId")
    made = _authorize(request, direction, group_id, properties)
    rules = made.get("SecurityGroupRules") or [{}]
    identifier = rules[0].get("SecurityGroupRuleId") or f"{group_id}|{direction.lower()}|{request.logical_id}"
    return Resource(identifier, {"Id": identifier})


def _authorize(request: Request, direction: str, group_id: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    operation = f"AuthorizeSecurityGroup{direction}"
    return request.call("ec2", operation, {"GroupId": group_id, "IpPermissions": [_permission(rule)]})


def _permission(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule of the template as an IpPermission of the API."""
    left = dict(rule)
    note = {"Description": left.pop("Description")} if "Description" in left else {}
    permission: dict[str, Any] = {"IpProtocol": str(left.pop("IpProtocol"))}
    for port in ("FromPort", "ToPort"):
        if port in left:
            permission[port] = left.pop(port)
    peers = {
        "CidrIp": ("IpRanges", "CidrIp"),
        "CidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
        "SourceSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
        "DestinationSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
        "SourcePrefixListId": ("PrefixListIds", "PrefixListId"),
        "DestinationPrefixListId": ("PrefixListIds", "PrefixListId"),
    }
    for name, (member, key) in peers.items():
        if name in left:
            permission[member] = [{key: left.pop(name), **note}]
    # What is left has no counterpart in an IpPermission and is refused by its shape.
    return {**permission, **left}


def _revoke_default_egress(request: Request, group_id: str) -> None:
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    request.call("ec2", "RevokeSecurityGroupEgress", {"GroupId": group_id, "IpPermissions": [everything]})
