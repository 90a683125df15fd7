"""The types of single values as the model names them: how each is read, and what its JSON Schema says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core.core_schema import CoreSchema, no_info_plain_validator_function

from mailctl.spec.values.addresses import (
    parse_address,
    parse_alias_key,
    parse_alias_target,
    parse_localpart,
    parse_mailbox_name,
    parse_recipient_pattern,
    parse_sender_pattern,
)
from mailctl.spec.values.amounts import parse_duration, parse_flag, parse_number, parse_size
from mailctl.spec.values.domains import parse_dns_name, parse_domain, parse_hostname, parse_selector
from mailctl.spec.values.networks import (
    NextHop,
    parse_host,
    parse_ip_address,
    parse_network,
    parse_next_hop,
    parse_port,
)
from mailctl.spec.values.text import parse_line, parse_name, parse_parameter, parse_path, parse_setting


@dataclass(frozen=True, slots=True, eq=False)
class ReadBy:
    """Says of a type how pydantic reads a value of it, and what its JSON Schema is; nothing else is tried on it."""

    validator: CoreSchema
    json_schema: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return self.validator

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.json_schema)


def _typed(parse: Callable[[Any], Any], title: str, example: Any, *kinds: str) -> ReadBy:
    types = kinds or ("string",)
    schema = {"type": types[0] if len(types) == 1 else list(types), "title": title, "examples": [example]}
    return ReadBy(no_info_plain_validator_function(parse), schema)


Domain = Annotated[str, _typed(parse_domain, "domain", "example.org")]
Hostname = Annotated[str, _typed(parse_hostname, "host name", "mx1.example.org")]
Localpart = Annotated[str, _typed(parse_localpart, "localpart", "ali")]
MailboxName = Annotated[str, _typed(parse_mailbox_name, "localpart", "ali")]
Address = Annotated[str, _typed(parse_address, "address", "ali@example.org")]
AliasKey = Annotated[str, _typed(parse_alias_key, "localpart or /regular expression/", "info")]
AliasTarget = Annotated[str, _typed(parse_alias_target, "localpart or address", "bob@elsewhere.example")]
SenderPattern = Annotated[str, _typed(parse_sender_pattern, "address or @domain", "@news.example.org")]
RecipientPattern = Annotated[str, _typed(parse_recipient_pattern, "address, domain or .domain", "outlook.com")]
ByteSize = Annotated[int, _typed(parse_size, "size", "5G", "string", "integer")]
Duration = Annotated[int, _typed(parse_duration, "duration", "180d", "string", "integer")]
Flag = Annotated[bool, _typed(parse_flag, "true or false", True, "boolean")]
Number = Annotated[int, _typed(parse_number, "whole number", 80, "integer")]
Network = Annotated[str, _typed(parse_network, "network", "10.1.0.0/24")]
Host = Annotated[str, _typed(parse_host, "host name or IP address", "10.0.0.5")]
IpAddress = Annotated[str, _typed(parse_ip_address, "IP address", "192.0.2.1")]
DnsName = Annotated[str, _typed(parse_dns_name, "name in the DNS", "_spf.example.org")]
Port = Annotated[int, _typed(parse_port, "port", 587, "integer")]
NextHopText = Annotated[NextHop, _typed(parse_next_hop, "host and port", "[smtp.isp.example]:587")]
FilePath = Annotated[PurePosixPath, _typed(parse_path, "absolute path", "/etc/ssl/mx1/fullchain.pem")]
Name = Annotated[str, _typed(parse_name, "name", "ses")]
Parameter = Annotated[str, _typed(parse_parameter, "postconf(5) parameter", "smtpd_timeout")]
Selector = Annotated[str, _typed(parse_selector, "DKIM selector", "s2026a")]
Setting = Annotated[str, _typed(parse_setting, "text on one line", "300s")]
Line = Annotated[str, _typed(parse_line, "text on one line", "300s")]
