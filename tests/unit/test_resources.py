"""Recipes by name or by path."""

from pathlib import Path

import pytest

from s2s import resources
from s2s.errors import ConfigError


def test_a_path_wins_over_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("task: X\n")
    assert resources.recipe("mine.yaml") == Path("mine.yaml")


def test_a_recipe_goes_by_its_name_with_or_without_suffix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small.yaml").write_text("task: X\n")
    monkeypatch.setattr(resources, "folder", lambda name: tmp_path)
    assert resources.recipe("small") == resources.recipe("small.yaml") == tmp_path / "small.yaml"


def test_an_unknown_recipe_is_answered_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("small", "large"):
        (tmp_path / f"{name}.yaml").write_text("task: X\n")
    monkeypatch.setattr(resources, "folder", lambda name: tmp_path)
    with pytest.raises(ConfigError, match="unknown recipe 'smal'; did you mean 'small'. Known: large, small"):
        resources.recipe("smal")
    for path in ("smal.yaml", "my/smal"):
        with pytest.raises(ConfigError, match=f"there is no file {path}; paths are relative to .*"):
            resources.recipe(path)
    with pytest.raises(ConfigError, match="there is no file /nowhere/smal.yaml$"):
        resources.recipe("/nowhere/smal.yaml")


def test_a_folder_is_no_configuration_but_has_one(tmp_path: Path) -> None:
    bundle = tmp_path / "run" / "bundle"
    bundle.mkdir(parents=True)
    with pytest.raises(
        ConfigError, match="bundle is a folder, not a configuration; name a YAML file, or a r"
    ):
        resources.recipe(str(bundle))
    (tmp_path / "run" / "config.yaml").touch()
    for folder in (bundle, bundle.parent):
        with pytest.raises(ConfigError, match=rf"did you mean {tmp_path}/run/config.yaml\?"):
            resources.recipe(str(folder))


def test_every_recipe_of_the_checkout_is_listed() -> None:
    root = Path(__file__).resolve().parents[2]
    assert set(resources.recipes()) == {path.stem for path in (root / "configs").glob("*.yaml")}


def test_a_folder_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match="has no 'nonsense' folder"):
        resources.folder("nonsense")
