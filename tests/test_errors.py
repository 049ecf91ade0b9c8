import inspect
import pickle

import pytest

from outreach_frames import errors


def test_message_and_hint_are_two_lines():
    assert str(errors.QueryError("It cannot be.", hint="Do this.")) == "It cannot be.\nHint: Do this."
    assert str(errors.QueryError("It cannot be.")) == "It cannot be."


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.UnknownNameError("x", kind="resource", valid=()), LookupError),
        (errors.TransportError("x"), ConnectionError),
        (errors.DeadlineError("x"), TimeoutError),
        (errors.PermissionDeniedError("x", scope="prospects.read", status=403), PermissionError),
        (errors.NotFoundError("x", status=404), LookupError),
        (errors.ValidationError("x", status=422), ValueError),
        (errors.MissingColumnError("opened_at", needed_for="open_rate"), LookupError),
        (errors.MissingExtraError("Pictures need …", extra="plots"), ModuleNotFoundError),
    ],
)
def test_errors_are_the_builtin_that_they_honestly_are(error, builtin):
    assert isinstance(error, errors.OutreachError)
    assert isinstance(error, builtin)


def test_every_error_and_warning_is_drawn_in_the_module_docstring():
    """The tree in the docstring is what readers go by."""
    classes = [
        c
        for _, c in inspect.getmembers(errors, inspect.isclass)
        if issubclass(c, Exception) and c.__module__ == errors.__name__
    ]

    assert all(c.__name__ in errors.__doc__ for c in classes)


def test_unknown_name_without_a_near_one_has_no_hint():
    assert errors.UnknownNameError("qqq", kind="resource", valid=["prospects"]).hint is None


@pytest.mark.parametrize(
    "error",
    [
        errors.UnknownNameError("titel", kind="attribute", valid=["title"]),
        errors.MissingColumnError("delivered_at", needed_for="engagement", hint="Fetch it."),
        errors.MissingExtraError("Pictures need …", extra="plots", module="matplotlib"),
        errors.IncompleteError("Half.", created=[("account", 1)]),
        errors.ValidationError("No.", status=422, errors=(errors.ErrorObject(id="x"),), hint="Correct it."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_travel_between_processes_whole(error):
    """A pool of processes breaks at an exception that cannot be read back."""
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  one's own

    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
