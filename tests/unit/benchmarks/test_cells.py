"""The shoot-out's page says what its raw results say."""

import cells


def test_the_table_is_that_of_the_results() -> None:
    page = cells.PAGE.read_text(encoding="utf-8")
    assert cells.with_table(page, cells.known()) == page, "run: python benchmarks/cells.py table"


def test_ratios_are_of_medians() -> None:
    def measured(*speeds: float) -> dict[str, object]:
        return {"samples": [{"train_tokens_per_second": speed} for speed in speeds]}

    speeds = {"LSTM": measured(2.0, 4.0, 90.0), "Other": measured(1.0, 2.0, 3.0)}
    assert cells._of_reference(speeds, "Other", "train_tokens_per_second") == "0.50"
    assert cells._of_reference(speeds, "Absent", "train_tokens_per_second") == ""
