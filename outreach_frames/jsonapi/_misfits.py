"""Values that do not fit: refused with an error, or left out with a warning that counts and names them."""

from collections.abc import Iterable
from dataclasses import dataclass

from outreach_frames._warn import warn
from outreach_frames.errors import DocumentError, OutreachDataWarning

SHOWN_IDS = 3


@dataclass(frozen=True)
class Misfit:
    """
    A value that does not fit, and where it stands; not the value itself.

    Attributes
    ----------
    resource_type, id, name
        The record, and the API's name of the attribute or relationship.
    what
        What is the matter with it, as the rest of a sentence that begins with the name.
    outcome
        What became of it, as the rest of a sentence that begins with "It is".
    """

    resource_type: str
    id: int | str | None
    name: str
    what: str
    outcome: str

    def error(self) -> DocumentError:
        """Return the error for those who want none of it; it names the place and keeps the value to itself."""
        return DocumentError(
            f"In the {self.resource_type} with the id {self.id!r:.60}, {self.name!r} {self.what}.",
            resource_type=self.resource_type,
            id=self.id,
            attribute=self.name,
        )


def misfit(resource_type: str, id_: int | str | None, name: str, meant: str) -> DocumentError:
    """Return the error for a value that cannot be read as what it should be."""
    return Misfit(resource_type, id_, name, f"is not {meant}", "refused").error()


class Misfits:
    """Misfits of many pages, by what is the matter with them."""

    def __init__(self, misfits: Iterable[Misfit] = ()) -> None:
        self._ids: dict[tuple[str, str, str, str], dict[int | str | None, None]] = {}
        self.add(misfits)

    def add(self, misfits: Iterable[Misfit]) -> None:
        """Count further ones; a record that comes again counts once."""
        for each in misfits:
            self._ids.setdefault((each.resource_type, each.name, each.what, each.outcome), {})[each.id] = None

    def warn(self, *, hint: str = " strict=True refuses it.") -> None:
        """Warn once for everything that is the matter, with the number of records and the first ids."""
        for (resource_type, name, what, outcome), ids in self._ids.items():
            shown = ", ".join(map(str, list(ids)[:SHOWN_IDS])) + (" …" if len(ids) > SHOWN_IDS else "")
            warn(
                f"{resource_type}.{name} {what}, in {len(ids):,} record{'s' * (len(ids) != 1)} (id {shown}). "
                f"It is {outcome}.{hint}",
                OutreachDataWarning,
            )
