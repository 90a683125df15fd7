from mailctl.sandbox.names import Names


def test_each_name_has_an_address_of_its_own_that_leads_back_to_it() -> None:
    names = Names("mx1.example.org")
    first, second = names.ipv4("smtp.isp.example"), names.ipv4("mx.partner.example")
    assert first != second
    assert names.ipv4("smtp.isp.example") == first
    assert names.at(first) == names.contacted(first) == "smtp.isp.example"
    assert names.contacted(names.ipv6("mx.partner.example")) == "mx.partner.example"


def test_the_server_is_where_the_server_is() -> None:
    names = Names("mx1.example.org")
    assert (names.ipv4("mx1.example.org"), names.ipv6("mx1.example.org")) == ("192.0.2.10", "2001:db8::10")
    assert names.at("192.0.2.10") == "mx1.example.org"


def test_a_client_address_has_a_name_that_leads_back_to_it() -> None:
    names = Names("mx1.example.org")
    assert names.ipv4(names.at("192.0.2.77")) == "192.0.2.77"
    assert names.ipv6(names.at("2001:db8::77")) == "2001:db8::77"


def test_a_host_nobody_named_is_known_by_its_address() -> None:
    assert Names("mx1.example.org").contacted("10.0.0.5") == "10.0.0.5"
