"""Whatever the specs: an applied spec plans nothing, a rollback is the plan backwards, and no secret is shown."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailctl.apply.run import Order, apply_plan, apply_rollback
from mailctl.host import LocalHost
from mailctl.plan.json import plan_as_json
from mailctl.plan.make import make_plan, make_rollback_plan
from mailctl.plan.model import Plan
from mailctl.plan.text import render_text
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12
from tests.property.generated import HASHES, domains

ORDER = Order("ali", lambda message: None, b"version: 1\n", allow_destroy=True)
specs = st.fixed_dictionaries(
    {
        "version": st.just("1"),
        "server": st.fixed_dictionaries(
            {"hostname": st.just("mx1.example.org")},
            optional={"message_size": st.sampled_from(["20M", "30M"]), "trusted_networks": st.just(["10.1.0.0/16"])},
        ),
        "tls": st.just({"self_signed": "true"}),
        "domains": st.dictionaries(st.sampled_from(["example.org", "example.net"]), domains, min_size=1),
    },
    optional={
        "relays": st.just({"isp": {"hosts": ["[smtp.isp.example]:587"], "tls": "encrypt"}}),
        "postfix": st.just({"main": {"smtpd_timeout": "200s"}}),
    },
)


def show(plan: Plan) -> str:
    return render_text(plan, verbose=True) + repr(plan_as_json(plan))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted((folder / "etc").rglob("*")) if path.is_file()}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(specs, specs)
def test_apply_plan_rollback(before: dict[str, Any], after: dict[str, Any]) -> None:
    first, second = Spec.model_validate(before), Spec.model_validate(after)
    with tempfile.TemporaryDirectory() as folder:
        host = LocalHost(Path(folder))
        shown = ""
        states = []
        for spec in (first, second):
            plan = make_plan(spec, DEBIAN_12, host)
            shown += show(plan)
            if not plan.is_empty:
                apply_plan(host, DEBIAN_12, spec, plan, ORDER)
            assert make_plan(spec, DEBIAN_12, host).is_empty
            states.append(files(Path(folder)))
        back = make_rollback_plan(1, DEBIAN_12, host)
        shown += show(back)
        apply_rollback(host, DEBIAN_12, 1, back, ORDER)
        assert files(Path(folder)) == states[0]
        assert make_plan(first, DEBIAN_12, host).is_empty
        apply_rollback(host, DEBIAN_12, 0, make_rollback_plan(0, DEBIAN_12, host), ORDER)
        assert files(Path(folder)) == {}
        assert not any(text.rpartition("$")[2] in shown for text in HASHES)
