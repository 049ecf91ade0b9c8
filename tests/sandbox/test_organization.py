"""The invented organization is whole, possible, deterministic and as its model says."""

import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from time import process_time
from zoneinfo import ZoneInfo

import pytest

from outreach_frames import catalog
from outreach_frames._sandbox.seed import AS_OF, MODEL, iter_organization, organization, true_rates

SEQUENCE_COUNTERS = {
    "deliverCount": "deliveredAt",
    "bounceCount": "bouncedAt",
    "replyCount": "repliedAt",
    "optOutCount": "unsubscribedAt",
    "openCount": "openedAt",
    "clickCount": "clickedAt",
}
PLANS = {"scheduledAt", "dueAt", "autoskipAt", "closeDate", "availableAt", "followUpTaskScheduledAt"}


@pytest.fixture(scope="module")
def rows():
    return organization()


@pytest.fixture(scope="module")
def by_type(rows):
    grouped = defaultdict(list)
    for row in rows:
        grouped[row["type"]].append(row)
    return grouped


def attributes(by_type, type_):
    return [row["attributes"] for row in by_type[type_]]


def target(row, name):
    link = row["relationships"].get(name)
    return None if link is None else link["data"]["id"]


def instant(text):
    return datetime.fromisoformat(text)


def identifiers(row):
    for name, link in row["relationships"].items():
        data = link["data"]
        for one in data if isinstance(data, list) else [data]:
            yield name, one["type"], one["id"]


def sent(mailing):
    return any(name in mailing for name in ("deliveredAt", "bouncedAt", "repliedAt"))


def delivered(mailing):
    return sent(mailing) and not ("bouncedAt" in mailing and "repliedAt" not in mailing)


def test_the_same_arguments_give_the_same_organization(rows):
    """A seed names an organization, on every run and machine."""
    assert organization() == rows


def test_hash_randomization_changes_nothing():
    """Another process, with another seed for Python's hashes, invents the same organization."""
    program = "import json; from outreach_frames._sandbox.seed import organization; print(json.dumps(organization(40)))"
    printed = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


def test_another_seed_gives_another_organization():
    """Otherwise the seed would be decoration."""
    assert organization(50, seed=1) != organization(50, seed=2)


def test_the_past_only_moves_with_the_extraction_date():
    """Everything is laid out relative to `as_of`, so a whole number of weeks later the same things exist."""
    early = Counter(row["type"] for row in organization(200, as_of=datetime(2025, 6, 3, tzinfo=UTC)))
    assert set(early) == {row["type"] for row in organization(200)}


def test_iterating_yields_what_listing_returns():
    """The lazy form exists for large organizations and must not differ."""
    assert list(iter_organization(20)) == organization(20)


@pytest.mark.parametrize("prospects", [1, 2, 9])
def test_tiny_organizations_have_every_type_too(prospects):
    """Quick tests use few prospects and still fetch every resource."""
    listable = {name for name, kind in catalog.load().types.items() if "list" in kind.operations}
    assert listable <= {row["type"] for row in organization(prospects)}


def test_nobody_is_refused():
    """An organization without prospects has nothing to measure."""
    with pytest.raises(ValueError, match="at least one prospect"):
        organization(0)


def test_a_naive_date_is_refused():
    """Without a zone the extraction instant would depend on the machine."""
    with pytest.raises(ValueError, match="time zone"):
        organization(5, as_of=datetime(2026, 3, 31))  # noqa: DTZ001 - the point of the test


def test_every_listable_type_has_a_handful_of_rows(by_type):
    """Fetching any resource of the catalog shows something."""
    for name, kind in catalog.load().types.items():
        if "list" in kind.operations:
            assert len(by_type[name]) >= 3, name


def test_ids_are_unique_within_a_type(by_type):
    """Ids are keys."""
    for name, members in by_type.items():
        assert len({row["id"] for row in members}) == len(members), name


def test_ids_have_the_catalog_s_type(by_type):
    """Audit logs have text ids, everything else whole numbers."""
    for name, members in by_type.items():
        expected = str if catalog.load().types[name].id_type == "string" else int
        assert {type(row["id"]) for row in members} == {expected}, name


def fits(attribute, value):
    """
    Whether a value has an attribute's declared JSON type, format and length.

    Enumerated values are spared the length: the schema allows reply actions four letters and names longer ones.
    """
    if attribute.format == "date-time":
        return value.endswith("Z") and instant(value).tzinfo is not None
    if attribute.format == "date":
        return date.fromisoformat(value) is not None
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}
    right = isinstance(value, kinds[attribute.type]) and (attribute.type == "boolean" or not isinstance(value, bool))
    if right and attribute.max_length is not None and not attribute.enum:
        return len(value) <= attribute.max_length
    return right


def test_attributes_are_the_catalog_s_and_have_its_types(rows):
    """A value the vendor's schema forbids would teach the client the wrong thing."""
    types = catalog.load().types
    for row in rows:
        known = types[row["type"]].attributes
        for name, value in row["attributes"].items():
            assert value is not None
            assert not known[name].write_only
            assert fits(known[name], value), (row["type"], name, value)


def test_closed_enumerations_are_kept(rows):
    """Values named completely in the documentation are the only ones used, calls from other systems apart."""
    types = catalog.load().types
    for row in rows:
        for name, value in row["attributes"].items():
            attribute = types[row["type"]].attributes[name]
            if attribute.enum and not attribute.enum_open and (row["type"], name) != ("call", "outcome"):
                assert value in attribute.enum, (row["type"], name, value)


def test_relationships_are_the_catalog_s(rows):
    """Name, arity and target type are those of the schema."""
    types = catalog.load().types
    for row in rows:
        for name, link in row["relationships"].items():
            known = types[row["type"]].relationships[name]
            assert known.has_data
            assert isinstance(link["data"], list) == known.many
        for name, type_, _ in identifiers(row):
            assert type_ in types[row["type"]].relationships[name].targets, (row["type"], name, type_)


def test_every_relationship_points_to_a_row(rows):
    """A dangling identifier would break joins and includes."""
    present = {(row["type"], row["id"]) for row in rows}
    missing = {(row["type"], name, type_, id_) for row in rows for name, type_, id_ in identifiers(row)} - {
        (row["type"], name, type_, id_)
        for row in rows
        for name, type_, id_ in identifiers(row)
        if (type_, id_) in present
    }
    assert not missing


def test_addresses_and_domains_are_reserved(by_type):
    """Nobody can be written to by accident: RFC 2606."""
    addresses = [one["email"] for one in attributes(by_type, "emailAddress") + attributes(by_type, "user")]
    addresses += [one["email"] for one in attributes(by_type, "mailbox")]
    addresses += [one["value"] for one in attributes(by_type, "recipient")]
    domains = [address.split("@")[1] for address in addresses] + [
        one["domain"] for one in attributes(by_type, "account")
    ]
    reserved = (".example", "example.com", "example.org", "example.net")
    assert [domain for domain in domains if not domain.endswith(reserved)] == []


def test_awkward_names_are_there(by_type):
    """Null, leading zeros, NA and other scripts must survive every step of the way."""
    people = attributes(by_type, "prospect")
    assert "Null" in {one["lastName"] for one in people}
    assert "NA" in {one["region"] for one in people}
    assert any(one["addressZip"].startswith("0") for one in people)
    assert any(not one["firstName"].isascii() and ord(one["firstName"][0]) > 0x3000 for one in people)


def test_nothing_happened_after_the_extraction(rows):
    """Only plans lie ahead."""
    for row in rows:
        for name, value in row["attributes"].items():
            known = catalog.load().types[row["type"]].attributes[name]
            if known.format == "date-time" and name not in PLANS:
                assert instant(value) <= AS_OF, (row["type"], name, value)


def test_rows_are_not_updated_before_they_are_created(rows):
    """`updatedAt` is the last change."""
    for row in rows:
        one = row["attributes"]
        if "createdAt" in one and "updatedAt" in one:
            assert one["createdAt"] <= one["updatedAt"], row["type"]


def test_what_comes_back_comes_after_what_was_sent(by_type):
    """Opens, clicks, replies, opt-outs and bounces follow the delivery, and the delivery the creation."""
    for one in attributes(by_type, "mailing"):
        start = one.get("deliveredAt", one["createdAt"])
        assert one["createdAt"] <= start
        for name in ("openedAt", "clickedAt", "repliedAt", "unsubscribedAt", "bouncedAt", "markedAsSpamAt"):
            assert one.get(name, start) >= start
        if "deliveredAt" in one and "scheduledAt" in one:
            assert one["scheduledAt"] <= one["deliveredAt"]


def test_a_person_exists_before_being_contacted(by_type):
    """No mail to somebody not yet in the system."""
    born = {row["id"]: row["attributes"]["createdAt"] for row in by_type["prospect"]}
    for type_ in ("mailing", "sequenceState", "call", "task"):
        for row in by_type[type_]:
            person = target(row, "prospect")
            assert person is None or born[person] <= row["attributes"]["createdAt"], type_


def test_steps_keep_their_interval(by_type):
    """Interval sequences wait at least as long as their steps say [seconds]; a reply or bounce ends them."""
    steps = {row["id"]: row for row in by_type["sequenceStep"]}
    previous = {}
    for row in sorted(by_type["mailing"], key=lambda row: row["attributes"].get("deliveredAt", "")):
        step, state = target(row, "sequenceStep"), target(row, "sequenceState")
        if step is None or "deliveredAt" not in row["attributes"]:
            continue
        at, order = instant(row["attributes"]["deliveredAt"]), steps[step]["attributes"]["order"]
        if state in previous:
            before, last = previous[state]
            assert order > last
            assert at - before >= timedelta(seconds=steps[step]["attributes"].get("interval", 0))
        previous[state] = (at, order)


def test_mail_ends_with_an_answer(by_type):
    """In sequences that finish on a reply, nothing leaves after the answer was seen."""
    finishing = {row["id"] for row in by_type["sequence"] if row["attributes"]["primaryReplyAction"] == "finish"}
    answered = {}
    for row in by_type["mailing"]:
        one, state = row["attributes"], target(row, "sequenceState")
        quick = "repliedAt" in one and "deliveredAt" in one
        quick = quick and instant(one["repliedAt"]) - instant(one["deliveredAt"]) < timedelta(minutes=5)
        if target(row, "sequence") in finishing and "repliedAt" in one and "bouncedAt" not in one and not quick:
            answered[state] = min(one["repliedAt"], answered.get(state, "9"))
    for row in by_type["mailing"]:
        first = answered.get(target(row, "sequenceState"), "9")
        assert row["attributes"].get("deliveredAt", "0") <= first


def test_few_messages_reach_those_who_opted_out(by_type):
    """Some do, for the compliance check to find; transactional ones may."""
    refused = {
        row["id"]: row["attributes"]["optedOutAt"] for row in by_type["prospect"] if row["attributes"]["optedOut"]
    }
    transactional = {row["id"] for row in by_type["sequence"] if row["attributes"]["transactional"]}
    late = [
        row
        for row in by_type["mailing"]
        if row["attributes"].get("deliveredAt", "0") > refused.get(target(row, "prospect"), "9")
        and target(row, "sequence") not in transactional
    ]
    assert 0 < len(late) < 0.01 * len(by_type["mailing"])


@pytest.mark.parametrize(
    ("type_", "relationship"),
    [("sequence", "sequence"), ("sequenceStep", "sequenceStep"), ("sequenceState", "sequenceState")],
)
@pytest.mark.parametrize(("counter", "instant_name"), SEQUENCE_COUNTERS.items())
def test_counters_are_the_rows_or_a_little_more(by_type, type_, relationship, counter, instant_name):
    """Counters count messages, not events; only deleted messages set them apart from the rows."""
    counted = Counter(target(row, relationship) for row in by_type["mailing"] if instant_name in row["attributes"])
    gaps = [row["attributes"][counter] - counted[row["id"]] for row in by_type[type_]]
    assert min(gaps) >= 0
    assert sum(gaps) <= 40
    if counter == "deliverCount":
        assert sum(gaps) > 0, "some messages were deleted"


def test_a_template_with_a_stats_target_counts_nothing_itself(by_type):
    """Its numbers go to the target."""
    sending = [row for row in by_type["template"] if "statsTarget" in row["relationships"]]
    used = Counter(target(row, "template") for row in by_type["mailing"])
    own = Counter(target(row, "template") for row in by_type["mailing"] if "deliveredAt" in row["attributes"])
    counted = {row["id"]: row["attributes"]["deliverCount"] for row in by_type["template"]}
    assert sending
    for row in sending:
        assert used[row["id"]] > 0
        assert row["attributes"]["deliverCount"] == 0
        assert counted[target(row, "statsTarget")] >= own[row["id"]] + own[target(row, "statsTarget")]


def test_prospect_counters_count_events_since_the_last_touch(by_type):
    """Opens before the last message are forgotten, so the sum stays below the mailings'."""
    opens = sum(one["openCount"] for one in attributes(by_type, "prospect"))
    assert 0 < opens < sum(one["openCount"] for one in attributes(by_type, "mailing"))


def test_open_counts_agree_with_the_open_events(by_type):
    """Exact first opens can be had from events, which must therefore be complete."""
    opened = defaultdict(list)
    for row in by_type["event"]:
        if row["attributes"]["name"] == "message_opened":
            opened[target(row, "mailing")].append(row["attributes"]["eventAt"])
    for row in by_type["mailing"]:
        events = opened[row["id"]]
        assert row["attributes"]["openCount"] == len(events)
        assert row["attributes"].get("openedAt") == (max(events) if events else None), "the latest open"


def test_state_is_the_latest_fact(by_type):
    """A reply shows before an open, a later bounce before the reply."""
    for one in attributes(by_type, "mailing"):
        if one["state"] == "replied":
            assert one["repliedAt"] >= one.get("bouncedAt", "")
        elif one["state"] == "bounced":
            assert one["bouncedAt"] > one.get("repliedAt", "")
        elif one["state"] in {"opened", "delivered"}:
            assert ("openedAt" in one) == (one["state"] == "opened")
            assert "repliedAt" not in one
        else:
            assert not sent(one)


def test_every_state_occurs(by_type):
    """Nothing the statistics must tell apart is missing."""
    states = Counter(one["state"] for one in attributes(by_type, "sequenceState"))
    assert set(states) == {"active", "pending", "paused", "finished", "bounced", "opted_out", "failed", "disabled"}
    mail = Counter(one["state"] for one in attributes(by_type, "mailing"))
    assert set(mail) >= {"delivered", "opened", "replied", "bounced", "scheduled", "queued", "drafted", "failed"}
    assert {one["state"] for one in attributes(by_type, "task")} == {"pending", "incomplete", "complete"}
    assert {one["mailingType"] for one in attributes(by_type, "mailing")} == {"sequence", "single", "campaign"}
    assert {one["outcome"] for one in attributes(by_type, "call")} == {
        "Answered",
        "Not Answered",
        "completed",
        "no_answer",
    }


def test_failed_mail_says_why(by_type):
    """A failure has a reason and left nothing."""
    failed = [one for one in attributes(by_type, "mailing") if one["state"] == "failed"]
    assert failed
    assert all("errorReason" in one and not sent(one) for one in failed)


def test_known_contradictions_are_there(by_type):
    """Traps the statistics have to survive: each must occur."""
    mail = attributes(by_type, "mailing")
    assert any("bouncedAt" in one and "repliedAt" in one for one in mail)
    assert any("bouncedAt" in one and "deliveredAt" not in one for one in mail)
    assert any("bouncedAt" in one and "deliveredAt" in one for one in mail)
    assert any("clickedAt" in one and "openedAt" not in one for one in mail)
    assert any("trackOpens" not in one for one in mail)
    assert any(target(row, "prospect") is None for row in by_type["mailing"])
    repeated = Counter((target(row, "prospect"), target(row, "sequence")) for row in by_type["sequenceState"])
    assert max(repeated.values()) > 1
    deals = attributes(by_type, "opportunity")
    assert len({one["currencyType"] for one in deals}) > 1
    assert any("externalCreatedAt" not in one for one in deals)
    assert any("timeZoneIana" not in one and "timeZone" in one for one in attributes(by_type, "prospect"))
    assert any(
        one.get("pauseReason") == "ooto" and one["state"] == "paused" for one in attributes(by_type, "sequenceState")
    )


def test_a_blind_mailbox_sees_no_replies(by_type):
    """Its synchronization broke weeks ago: mail still leaves, nothing comes back."""
    blind = [row for row in by_type["mailbox"] if "syncErroredAt" in row["attributes"]]
    assert len(blind) == 1
    since = blind[0]["attributes"]["syncSuccessAt"]
    mine = [row["attributes"] for row in by_type["mailing"] if target(row, "mailbox") == blind[0]["id"]]
    assert any(one.get("deliveredAt", "") > since for one in mine)
    assert not any(one.get("repliedAt", "") > since or one.get("bouncedAt", "") > since for one in mine)


def test_magnitudes_are_those_of_a_real_organization(by_type):
    """Replies 2–8 %, opens 30–60 %, bounces 1–4 %, opt-outs about half to one per cent."""
    mail = attributes(by_type, "mailing")
    reached = [one for one in mail if delivered(one)]
    tracked = [one for one in reached if one.get("trackOpens") is not False]
    assert 0.02 < sum("repliedAt" in one for one in reached) / len(reached) < 0.08
    assert 0.30 < sum(one["openCount"] > 0 for one in tracked) / len(tracked) < 0.60
    tried = [one for one in mail if sent(one)]
    assert 0.01 < sum("bouncedAt" in one for one in tried) / len(tried) < 0.04
    assert 0.004 < sum("unsubscribedAt" in one for one in reached) / len(reached) < 0.012
    assert 0.05 < sum(one["state"] == "completed" for one in attributes(by_type, "call")) / len(by_type["call"]) < 0.2


def test_mail_leaves_in_business_hours_on_working_days(by_type):
    """Hardly anything at the weekend."""
    days = [instant(one["deliveredAt"]).weekday() for one in attributes(by_type, "mailing") if "deliveredAt" in one]
    assert 0 < sum(day >= 5 for day in days) / len(days) < 0.05


def test_true_rates_name_the_rows(by_type):
    """Truth and data are joined on ids."""
    joins = {(row["id"], target(row, "sequenceStep"), target(row, "template")) for row in by_type["sequenceTemplate"]}
    truth = true_rates(MODEL)
    assert {(row["sequence_template_id"], row["sequence_step_id"], row["template_id"]) for row in truth} == joins
    orders = {row["id"]: (row["attributes"]["order"], target(row, "sequence")) for row in by_type["sequenceStep"]}
    assert all(orders[row["sequence_step_id"]] == (row["order"], row["sequence_id"]) for row in truth)


def test_effects_average_one_over_the_slots_mail_uses():
    """A sequence's true rate is that of an average slot."""
    assert MODEL.hour_factor() @ MODEL.send_hours / sum(MODEL.send_hours) == pytest.approx(1)
    assert MODEL.weekday_factor() @ MODEL.weekday_share / sum(MODEL.weekday_share) == pytest.approx(1)


@pytest.fixture(scope="module")
def many():
    """Mailings that were delivered, and the clocks of people who have a named one, in a larger organization."""
    sent_mail, zones = [], {}
    for row in iter_organization(12_000, seed=3):
        if row["type"] == "mailing" and delivered(row["attributes"]):
            sent_mail.append(row)
        elif row["type"] == "prospect" and "timeZoneIana" in row["attributes"]:
            zones[row["id"]] = ZoneInfo(row["attributes"]["timeZoneIana"])
    return sent_mail, zones


def reply_rate(mail):
    return sum("repliedAt" in row["attributes"] for row in mail) / len(mail)


@pytest.mark.slow
def test_observed_reply_rates_recover_the_model(many):
    """
    With many people, messages are answered as often as the model says, sequence by sequence.

    The truth lies within four standard errors and a quarter: hours, senders, the mailbox that sees nothing,
    out-of-office notices and answers still to come lie between the rate and what is observed.
    """
    truth = {row["sequence_template_id"]: row for row in true_rates(MODEL)}
    variant = {(row["sequence_step_id"], row["template_id"]): number for number, row in truth.items()}
    grouped = defaultdict(list)
    for row in many[0]:
        if target(row, "sequence") is not None:
            grouped[variant[target(row, "sequenceStep"), target(row, "template")]].append(row)
    expected, observed = Counter(), Counter()
    for number, mail in grouped.items():
        sequence = truth[number]["sequence"]
        expected[sequence] += truth[number]["reply"] * len(mail)
        observed[sequence] += reply_rate(mail) * len(mail)
    assert len(expected) == 11
    for sequence, number in expected.items():
        assert abs(observed[sequence] - number) < 4 * number**0.5 + 0.25 * number, sequence


@pytest.mark.slow
def test_the_better_variant_wins(many):
    """The short question lifts replies by two fifths; with thousands of messages the data say so."""
    by_template = defaultdict(list)
    for row in many[0]:
        by_template[target(row, "template")].append(row)
    assert reply_rate(by_template[2]) > 1.15 * reply_rate(by_template[1])


@pytest.mark.slow
def test_morning_mail_is_answered_more_often(many):
    """The hour effect is on the recipient's clock: 8 to 11 against lunchtime, 1.2 against 0.8 in the model."""
    mail, zones = many
    by_hour = defaultdict(list)
    for row in mail:
        zone = zones.get(target(row, "prospect"))
        if zone is not None and "deliveredAt" in row["attributes"]:
            by_hour[instant(row["attributes"]["deliveredAt"]).astimezone(zone).hour].append(row)
    morning = [row for hour in (8, 9, 10) for row in by_hour[hour]]
    midday = [row for hour in (12, 13) for row in by_hour[hour]]
    assert reply_rate(morning) > 1.2 * reply_rate(midday)


@pytest.mark.slow
def test_time_grows_no_faster_than_people():
    """Ten times the prospects take about ten times as long."""
    began = process_time()
    organization(1_000)
    small = process_time() - began
    began = process_time()
    organization(10_000)
    assert process_time() - began < 30 * max(small, 0.2)
