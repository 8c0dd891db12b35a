"""The user's own descriptions of participants, in the dataset that is made."""

import json

import pytest
from workspace import Workspace

OURS = "genotype of the participant, as given by the authors."


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(tmp_path)
    workspace.add_row("a.ims", subject="01")
    workspace.participants = [
        {"participant_id": "sub-01", "age": "12", "sex": "F", "genotype": "wt"},
    ]
    workspace.write()
    return workspace


def described(workspace):
    return json.loads((workspace.out / "participants.json").read_text())


def test_d4_without_a_file_the_words_are_ours(workspace):
    workspace.run()
    assert described(workspace)["age"] == {"Description": "Age of the participant, in years."}
    assert described(workspace)["genotype"] == {"Description": OURS}


@pytest.mark.parametrize(
    ("column", "said", "wanted"),
    [
        pytest.param("age", {"Units": "week"}, "Age of the participant.", id="d4-unit"),
        pytest.param(
            "age", {"Units": "year"}, "Age of the participant, in years.", id="d4-unit-of-bids"
        ),
        pytest.param("age", {"Description": "At death."}, "At death.", id="d4-words"),
        pytest.param("genotype", {"Levels": {"wt": "wild type"}}, OURS, id="d4-levels"),
    ],
)
def test_what_the_user_says_is_taken_over(workspace, column, said, wanted):
    (workspace.root / "participants.json").write_text(json.dumps({column: said}))
    workspace.run()
    assert described(workspace)[column] == said | {"Description": wanted}
    others = {"age", "sex", "genotype"} - {column}
    assert described(workspace).keys() == {column, *others}


def test_d4_levels_go_before_the_values_of_bids(workspace):
    workspace.participants[0]["sex"] = "1"
    workspace.write()
    (workspace.root / "participants.json").write_text('{"sex": {"Levels": {"1": "female"}}}')
    workspace.run()
    assert "sub-01\t12\t1\twt" in (workspace.out / "participants.tsv").read_text()


def test_d4_an_edit_reruns_and_nothing_else_does(workspace):
    file = workspace.root / "participants.json"
    file.write_text('{"genotype": {"Description": "One."}}')
    workspace.run()
    before = (workspace.out / "participants.json").stat().st_mtime_ns
    workspace.run()
    assert (workspace.out / "participants.json").stat().st_mtime_ns == before
    file.write_text('{"genotype": {"Description": "Two."}}')
    workspace.run()
    assert described(workspace)["genotype"] == {"Description": "Two."}
    file.unlink()
    workspace.run()
    assert described(workspace)["genotype"] == {"Description": OURS}
