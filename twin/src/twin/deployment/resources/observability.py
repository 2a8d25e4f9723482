"""Log groups, metric filters, saved queries, alarms, dashboards."""

from __future__ import annotations

from twin import credentials
from twin.deployment.errors import NotModelled
from twin.deployment.resource import Request, Resource, resource_type

_NO_METRICS = "the twin's services publish no metrics"


@resource_type("AWS::Logs::LogGroup", repeatable=True)
def _log_group(request: Request) -> Resource:
    request.accept("KmsKeyId", "nothing is encrypted at rest here")
    retention = request.take("RetentionInDays")
    name = request.name("LogGroupName", limit=512)
    made = request.take_rest()
    if request.current is None:
        request.call("logs", "CreateLogGroup", {"logGroupName": name, **made})
    elif made != {key: request.current.properties.get(key) for key in made}:
        raise NotModelled(f"an update of {request.where} other than of its retention (start the twin afresh)")
    if retention is not None:
        request.call("logs", "PutRetentionPolicy", {"logGroupName": name, "retentionInDays": retention})
    # "The ARN of the log group … ends with :*": return values of AWS::Logs::LogGroup.
    arn = f"arn:aws:logs:{credentials.region()}:{credentials.account()}:log-group:{name}:*"
    return Resource(name, {"Arn": arn})


@resource_type("AWS::Logs::MetricFilter", repeatable=True)
def _metric_filter(request: Request) -> Resource:
    name = request.name("FilterName", limit=512)
    request.call("logs", "PutMetricFilter", {"filterName": name, **request.take_rest()})
    request.note("", _NO_METRICS)
    return Resource(name)


@resource_type("AWS::Logs::QueryDefinition", repeatable=True)
def _query_definition(request: Request) -> Resource:
    request.shaped("logs", "PutQueryDefinition", request.take_rest())
    request.note("", "a saved query is for the console of Logs Insights")
    identifier = request.generated_name(limit=128)
    return Resource(identifier, {"QueryDefinitionId": identifier})


@resource_type("AWS::Logs::ResourcePolicy", repeatable=True)
def _logs_policy(request: Request) -> Resource:
    properties = request.take_rest()
    request.call("logs", "PutResourcePolicy", properties)
    return Resource(properties["PolicyName"])


@resource_type("AWS::CloudWatch::Alarm", repeatable=True)
def _alarm(request: Request) -> Resource:
    name = request.name("AlarmName", limit=255)
    request.call("cloudwatch", "PutMetricAlarm", {"AlarmName": name, **request.take_rest()})
    request.note("", _NO_METRICS)
    return Resource(name, {"Arn": _alarm_arn(name)})


@resource_type("AWS::CloudWatch::CompositeAlarm", repeatable=True)
def _composite_alarm(request: Request) -> Resource:
    name = request.name("AlarmName", limit=255)
    request.shaped("cloudwatch", "PutCompositeAlarm", {"AlarmName": name, **request.take_rest()})
    request.note("", _NO_METRICS)
    return Resource(name, {"Arn": _alarm_arn(name)})


@resource_type("AWS::CloudWatch::Dashboard", repeatable=True)
def _dashboard(request: Request) -> Resource:
    name = request.name("DashboardName", limit=255)
    request.call("cloudwatch", "PutDashboard", {"DashboardName": name, **request.take_rest()})
    request.note("", _NO_METRICS)
    return Resource(name)


def _alarm_arn(name: str) -> str:
    return f"arn:aws:cloudwatch:{credentials.region()}:{credentials.account()}:alarm:{name}"
