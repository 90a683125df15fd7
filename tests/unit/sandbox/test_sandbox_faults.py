from pathlib import Path

from mailctl.sandbox.faults import Fault, read_fault, read_faults, write_fault


def test_a_host_is_disturbed_until_it_is_made_well(tmp_path: Path) -> None:
    write_fault(tmp_path, "smtp.isp.example", Fault.DOWN)
    write_fault(tmp_path, "10.0.0.5", Fault.DEFER)
    assert read_fault(tmp_path, "smtp.isp.example") is Fault.DOWN
    assert read_fault(tmp_path, "other.example") is None
    write_fault(tmp_path, "smtp.isp.example", None)
    assert read_faults(tmp_path) == {"10.0.0.5": Fault.DEFER}
