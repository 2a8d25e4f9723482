"""Addresses in the AWS console."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

_HOSTS = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}


@dataclass(frozen=True)
class Console:
    """The console of one partition and region."""

    partition: str
    region: str

    @classmethod
    def of(cls, arn: str) -> "Console":
        """The console in which a resource is found."""
        _, partition, _, region, *_ = arn.split(":")
        return cls(partition, region)

    @property
    def _home(self) -> str:
        return f"https://{self.region}.{_HOSTS.get(self.partition, 'console.aws.amazon.com')}"

    def execution(self, arn: str) -> str:
        """A state machine execution's page, with its graph and the redrive button."""
        return f"{self._home}/states/home?region={self.region}#/v2/executions/details/{arn}"

    def s3_object(self, location: str) -> str:
        """The page of an object given as `s3://bucket/key`."""
        bucket, _, key = location.removeprefix("s3://").partition("/")
        return f"{self._home}/s3/object/{bucket}?{urlencode({'region': self.region, 'prefix': key})}"

    def log_stream(self, group: str, stream: str) -> str:
        """A log stream's page. CloudWatch's console wants names encoded twice, with `$` for `%`."""
        names = (quote(quote(name, safe=""), safe="").replace("%", "$") for name in (group, stream))
        return f"{self._home}/cloudwatch/home?region={self.region}#logsV2:log-groups/log-group/{next(names)}/log-events/{next(names)}"
