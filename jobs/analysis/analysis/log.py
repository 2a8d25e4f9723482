"""Log lines of the gang: one event a line, JSON where machines read them, plain where a person does."""

import json
import sys
import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Log:
    """Writes events with the fields that every line of this process carries.

    `form` is `json` (the default, what CloudWatch Logs and the twin read) or `text` (the command line).
    """

    form: str = "json"
    always: dict[str, object] = field(default_factory=dict)

    def __call__(self, event: str, **fields: object) -> None:
        """Write one event. A line below 4 KiB is written whole, so lines of several processes do not mix."""
        if self.form == "json":
            line = json.dumps({"event": event, **self.always, **fields}, default=str)
        else:
            details = " ".join(f"{name}={_format(value)}" for name, value in fields.items() if value is not None)
            who = " ".join(f"{name} {value}" for name, value in self.always.items() if name != "generation")
            line = f"{time.strftime('%H:%M:%S')} {who}: {event} {details}".rstrip()
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def bind(self, **fields: object) -> "Log":
        """A log whose lines carry these fields too."""
        return Log(self.form, {**self.always, **fields})


def _format(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
