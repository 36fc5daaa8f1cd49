"""Where jobs are to be logged: flags, then the environment, then the results folder."""

import pytest

from stylebench.errors import InputError
from stylebench.tracking.place import Place, chosen

ADDRESS, NAME = "http://me:secret@server:5000", "phd/backbones"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", ADDRESS)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", NAME)


def test_without_anything_it_is_the_folder() -> None:
    assert chosen() == Place()
    assert chosen().told == ""


@pytest.mark.usefixtures("environment")
def test_the_environment_is_heeded_and_told_without_secrets() -> None:
    found = chosen()
    assert (found.uri, found.experiment) == (ADDRESS, NAME)
    assert found.told == (
        "MLflow: at http://***@server:5000 ($MLFLOW_TRACKING_URI), "
        "experiment phd/backbones ($MLFLOW_EXPERIMENT_NAME)"
    )


@pytest.mark.usefixtures("environment")
def test_flags_go_before_the_environment() -> None:
    found = chosen("sqlite:///x.db", "mine")
    assert (found.uri, found.experiment, found.told) == ("sqlite:///x.db", "mine", "")
    found = chosen("sqlite:///x.db")
    assert (found.uri, found.experiment) == ("sqlite:///x.db", NAME)
    assert found.told == "MLflow: experiment phd/backbones ($MLFLOW_EXPERIMENT_NAME)"
    assert chosen("off") == Place("off")


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_is_none(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.setenv(name, value)
    assert chosen() == Place()


def test_off_in_the_environment_is_off_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "off")
    assert (chosen().uri, chosen().told) == ("off", "MLflow: at off ($MLFLOW_TRACKING_URI)")
    with pytest.raises(InputError, match="do nothing"):
        chosen(tags=["a=b"])


def test_a_wrong_name_in_the_environment_says_whose_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "a\nb")
    with pytest.raises(InputError, match=r"^\$MLFLOW_EXPERIMENT_NAME expects a name"):
        chosen()


def test_tags() -> None:
    found = chosen(tags=["a=b", "chapter/one=x=y", " who =", "a=b"]).tags
    assert found == {"a": "b", "chapter/one": "x=y", "who": ""}


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"uri": "off", "experiment": "x"}, "do nothing with --tracking-uri off"),
        ({"uri": "off", "tags": ["a=b"]}, "do nothing with --tracking-uri off"),
        ({"experiment": ""}, "--experiment-name expects a name of 1 to 500 characters"),
        ({"experiment": "  "}, "--experiment-name expects a name"),
        ({"experiment": "x" * 501}, "--experiment-name expects a name"),
        ({"tags": ["a"]}, "--tag expects key=value"),
        ({"tags": ["=b"]}, "--tag expects key=value"),
        ({"tags": ["a//b=c"]}, "--tag expects key=value"),
        ({"tags": ["../b=c"]}, "--tag expects key=value"),
        ({"tags": ["/b=c"]}, "--tag expects key=value"),
        ({"tags": ["a:b=c"]}, "--tag expects key=value"),
        ({"tags": ["x" * 251 + "=c"]}, "--tag expects key=value"),
        ({"tags": ["a=" + "x" * 5001]}, "expects at most 5000 characters, found 5001"),
        ({"tags": ["a=b", "a=c"]}, "'a' is given twice: 'b' and 'c'"),
        ({"tags": ["status=good"]}, "'status' is a tag that every run has"),
        ({"tags": ["mlflow.runName=x"]}, "'mlflow.runName' is a tag that every run has"),
        ({"tags": ["stylebench.out=x"]}, "'stylebench.out' is a tag that every run has"),
    ],
)
def test_what_would_do_nothing_or_mlflow_does_not_take(flags: dict[str, str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        chosen(**flags)


def test_every_key_that_is_taken_is_one_of_mlflow() -> None:
    from mlflow.utils.validation import _validate_tag_name

    for key in ("a", "A.b-c_d e", "x/y", "a.", "é"):
        assert chosen(tags=[f"{key}=1"]).tags == {key: "1"}
        _validate_tag_name(key)
