"""Where clients of a probe come from: never from where the server trusts somebody."""

from __future__ import annotations

import pytest

from mailctl.errors import UnfitError
from mailctl.maillog.probes import NETWORKS
from mailctl.probe.arena import Family
from mailctl.probe.clients import CLIENT_NETWORKS, client_addresses, is_client
from mailctl.probe.outside import USED


def test_the_log_report_knows_the_networks_that_probes_come_from() -> None:
    assert sorted(NETWORKS) == sorted(USED)
    assert {str(network) for network in CLIENT_NETWORKS.values()} <= set(NETWORKS)


@pytest.mark.parametrize("network", ["203.0.113.0/28", "2001:db8:5::/64", "192.0.2.7"])
def test_other_trusted_networks_do_not_matter(network: str) -> None:
    for family in Family:
        assert is_client(next(client_addresses(family, [network])))


@pytest.mark.parametrize(("network", "family"), [("198.19.0.0/16", Family.IPV4), ("2001:db8::/32", Family.IPV6)])
def test_where_they_are_trusted_nothing_is_proved(network: str, family: Family) -> None:
    with pytest.raises(UnfitError, match="the server trusts"):
        client_addresses(family, [network])
