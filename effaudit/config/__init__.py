"""Settings of a project: the nearest `effaudit.yaml`, `.effaudit.yaml` or `[tool.effaudit]` of pyproject.toml."""

from effaudit.config.find import Found, nearest
from effaudit.config.folders import ENVIRONMENT, device_folders
from effaudit.config.schema import SCHEMA, Config

__all__ = ["ENVIRONMENT", "SCHEMA", "Config", "Found", "device_folders", "nearest"]
