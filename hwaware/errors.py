"""The one family of expected failures.

Every message is one line that says what went wrong, where, and what to type next. The command line prints it
as ``error: ...`` and exits with status 1; anything outside this family is a defect of hwaware itself.
"""

from __future__ import annotations


class HwawareError(Exception):
    """Base of every expected failure."""


class ModelError(HwawareError):
    """A model reference that cannot be loaded, captured or run."""


class UnsupportedOpError(ModelError):
    """An operator without a lowering; names the operator and the module path it came from."""


class TaskError(HwawareError):
    """A task (model with data) that cannot be trained or evaluated."""


class BudgetError(HwawareError):
    """A budget that cannot be parsed or reached; says the nearest reachable one."""


class BuildError(HwawareError):
    """Code generation, linking or artifact writing failed."""


class ArtifactError(HwawareError):
    """An artifact or report on disk that is missing, corrupt or of a foreign schema."""


class TableError(HwawareError):
    """A cost table that is missing, corrupt, of a foreign schema or of another device."""


class MissingCostError(TableError):
    """The table has no cost for a workload; missing is an error, never a silent zero."""


class DeviceError(HwawareError):
    """A device that is unknown, unreachable or failed while doing its work."""


class DeviceBusyError(DeviceError):
    """Another user holds the device's lease."""


class HostKeyError(DeviceError):
    """The host key of an SSH device is unknown or has changed."""


class AgentError(DeviceError):
    """The agent's output broke the protocol, or the agent reported an error."""
