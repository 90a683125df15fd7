"""Where clients of a probe come from: never from where the server trusts somebody."""

from __future__ import annotations

import pytest

from mailctl.errors import UnfitError
from mailctl.probe.arena import Family
from mailctl.probe.clients import client_addresses, is_client


@pytest.mark.parametrize("network", ["203.0.113.0/28", "2001:db8:5::/64", "192.0.2.7"])
def test_other_trusted_networks_do_not_matter(network: str) -> None:
    for family in Family:
        assert is_client(next(client_addresses(family, [network])))


@pytest.mark.parametrize(("network", "family"), [("198.19.0.0/16", Family.IPV4), ("2001:db8::/32", Family.IPV6)])
def test_where_they_are_trusted_nothing_is_proved(network: str, family: Family) -> None:
    with pytest.raises(UnfitError, match="the server trusts"):
        client_addresses(family, [network])
