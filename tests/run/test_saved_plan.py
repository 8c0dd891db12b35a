"""A process that has not read the inputs works by the saved plan, and reads only what it needs."""

from __future__ import annotations

import pytest
from workspace import Workspace, small_workspace

from spimpack_tasks.errors import ExitCode, InputError, SpimpackError
from spimpack_tasks.packaging.prepare import find_prepared_run
from spimpack_tasks.state.session import SESSION
from spimpack_tasks.state.store import Store


@pytest.fixture
def packaged(tmp_path) -> Workspace:
    space = small_workspace(tmp_path)
    assert space.run().exit_code is ExitCode.OK
    SESSION.reset()  # as in another process
    return space


def test_each_part_is_read_by_itself(packaged, monkeypatch):
    plan_id = Store(str(packaged.out)).current_plan_id()
    whole = Store(str(packaged.out)).find_plan(plan_id)
    read = []
    find_part = Store.find_part
    monkeypatch.setattr(Store, "find_plan", None)
    monkeypatch.setattr(Store, "find_part", lambda *of: (read.append(of[2]), find_part(*of))[1])
    prepared = find_prepared_run(packaged.options(backend="symlink"), plan_id)
    assert prepared.dataset is None
    assert prepared.is_planned
    names = sorted(path.stem for path in (packaged.out / ".spimpack/plan" / plan_id).iterdir())
    outputs = [output for name in names for output in prepared.part(name)]
    assert {output.path for output in outputs} == {output.path for output in whole.outputs}
    assert read == names
    assert prepared.part(names[0]) is prepared.part(names[0])
    assert read == names


def test_a_lost_part_is_told(packaged):
    plan_id = Store(str(packaged.out)).current_plan_id()
    prepared = find_prepared_run(packaged.options(backend="symlink"), plan_id)
    places = sorted((packaged.out / ".spimpack/plan" / plan_id).iterdir())
    places[0].unlink()
    with pytest.raises(SpimpackError) as told:
        prepared.part(places[0].stem)
    assert not isinstance(told.value, InputError)


def test_there_is_no_plan_before_the_inputs_are_read(tmp_path):
    space = small_workspace(tmp_path)
    space.description |= {"BIDSVersion": "ten"}
    space.write()
    refused = find_prepared_run(space.options(), "0123456789abcdef")
    assert not refused.is_planned
