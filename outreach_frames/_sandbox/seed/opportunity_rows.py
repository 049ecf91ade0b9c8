"""Rows of business: opportunities with their stages and roles, products and purchases."""

from collections.abc import Iterator

import numpy as np

from outreach_frames._sandbox.seed.clock import DAY
from outreach_frames._sandbox.seed.columns import (
    Link,
    Pointers,
    Resource,
    dates,
    instants,
    pick,
    records,
    resources,
    whole,
)
from outreach_frames._sandbox.seed.history import History
from outreach_frames._sandbox.seed.mailings import latest
from outreach_frames._sandbox.seed.opportunities import CURRENCIES, LOST, ROLES, STAGES, WON

_PRODUCTS = (
    ("Foundation", "Subscriptions"),
    ("Foundation Plus", "Subscriptions"),
    ("Onboarding", "Services"),
    ("Training day", "Services"),
)
_FORECASTS = ("Pipeline", "Best case", "Commit", "Omitted")


def business(history: History, pointers: Pointers) -> Iterator[Resource]:
    """Yield opportunities, their stages and roles, products and purchases."""
    made = instants(np.array([history.setting.before(700)]))[0]
    stamps = {"createdAt": made, "updatedAt": made, "creator": Link("user", 1)}
    yield from records(
        "opportunityStage",
        [
            stamps | {"name": name, "order": order, "isClosed": closed, "color": "#0072B2"}
            for order, (name, closed, _) in enumerate(STAGES, start=1)
        ],
    )
    yield from _opportunities(history, pointers)
    yield from _role_rows(history, pointers)
    common = {"status": True, "deleted": False, "classification": "standard", "unitOfMeasure": "seat", **stamps}
    yield from records(
        "product",
        [
            common | {"name": name, "productFamily": family, "code": f"00{number}", "owner": Link("user", 1)}
            for number, (name, family) in enumerate(_PRODUCTS, start=1)
        ],
    )
    yield from _purchases(history, pointers)


def _opportunities(history: History, pointers: Pointers) -> Iterator[Resource]:
    deals, as_of = history.opportunities, history.setting.as_of
    count = len(deals["opened"])
    numbers = np.arange(count)
    known = ~np.isnan(deals["amount"])
    amount = np.nan_to_num(deals["amount"]).astype(np.int64)
    accounts = history.cast.accounts.name
    changed = np.minimum(latest(deals["synced"], np.where(deals["stage"] >= WON, deals["closes"], np.nan)), as_of)
    touched = history.touched[deals["primary"]]
    attributes = {
        "name": [
            f"{accounts[place] if place >= 0 else 'Direct'} – {_PRODUCTS[number % len(_PRODUCTS)][0]}"
            for number, place in enumerate(deals["account"].tolist())
        ],
        "amount": whole(amount, where=known),
        "amountPrecise": [
            f"{value}.00" if given else None for value, given in zip(amount.tolist(), known.tolist(), strict=True)
        ],
        "currencyType": pick(CURRENCIES, deals["currency"]),
        "probability": [STAGES[stage][2] for stage in deals["stage"].tolist()],
        "forecastCategory": pick(_FORECASTS, np.where(deals["stage"] == LOST, 3, np.minimum(deals["stage"] // 2, 2))),
        "opportunityType": pick(("New business", "Expansion"), numbers % 4 // 3),
        "leadSource": pick(("Outbound", "Website", "Partner"), numbers % 4 - 1),
        "lostReason": pick(("Price", "No decision"), np.where(deals["stage"] == LOST, numbers % 2, -1)),
        "nextStep": pick(("Send the offer", "Agree on a date"), np.where(deals["stage"] < WON, numbers % 3 - 1, -1)),
        "customId": [f"00Q{number:09d}" for number in range(1, count + 1)],
        "tags": [[] for _ in range(count)],
        "closeDate": instants(np.floor(deals["closes"])),
        "externalCreatedAt": instants(np.where(deals["external"], deals["opened"], np.nan)),
        "externalUpdatedAt": instants(np.where(deals["external"], changed, np.nan)),
        "touchedAt": instants(touched),
        "trashedAt": instants(np.where(deals["trashed"], np.minimum(deals["synced"] + 2 * DAY, as_of), np.nan)),
        "createdAt": instants(deals["synced"]),
        "updatedAt": instants(latest(changed, touched)),
    }
    stage, owner = pointers.one("opportunityStage", deals["stage"] + 1), pointers.one("user", deals["owner"] + 1)
    relationships = {
        "account": pointers.one("account", deals["account"] + 1),
        "owner": owner,
        "creator": owner,
        "opportunityStage": stage,
        "stage": stage,
        "primaryProspect": pointers.one("prospect", deals["primary"] + 1),
    }
    yield from resources("opportunity", range(1, count + 1), attributes, relationships)


def _role_rows(history: History, pointers: Pointers) -> Iterator[Resource]:
    roles = history.roles
    synced = instants(history.opportunities["synced"][roles["opportunity"]])
    attributes = {
        "role": pick(ROLES, roles["role"]),
        "primary": roles["primary"].tolist(),
        "createdAt": synced,
        "updatedAt": synced,
    }
    relationships = {
        "opportunity": pointers.one("opportunity", roles["opportunity"] + 1),
        "prospect": pointers.one("prospect", roles["prospect"] + 1),
    }
    yield from resources("opportunityProspectRole", range(1, len(synced) + 1), attributes, relationships)


def _purchases(history: History, pointers: Pointers) -> Iterator[Resource]:
    rng = history.setting.random("purchases")
    accounts = np.arange(0, len(history.cast.accounts.name), 6)
    count = len(accounts)
    begins = np.floor(history.setting.as_of - rng.uniform(30, 500, count) * DAY)
    quantity = rng.integers(5, 200, count).astype(float)
    attributes = {
        "currency": pick(CURRENCIES, rng.integers(0, 3, count)),
        "description": "Yearly contract",
        "source": "CRM",
        "status": (begins + 365 * DAY > history.setting.as_of).tolist(),
        "totalQuantity": quantity.tolist(),
        "totalValue": (quantity * 240).tolist(),
        "potentialQuantity": (quantity * 2).tolist(),
        "potentialValue": (quantity * 480).tolist(),
        "saturation": 0.5,
        "startDate": dates(begins),
        "endDate": dates(begins + 365 * DAY),
        "createdAt": instants(begins),
        "updatedAt": instants(begins),
    }
    user = pointers.one("user", history.cast.accounts.owner[accounts] + 1)
    relationships = {
        "account": pointers.one("account", accounts + 1),
        "product": pointers.one("product", np.arange(count) % len(_PRODUCTS) + 1),
        "owner": user,
        "creator": user,
    }
    yield from resources("purchase", range(1, count + 1), attributes, relationships)
