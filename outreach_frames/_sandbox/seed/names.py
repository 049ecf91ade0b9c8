"""
Names and texts of the organization.

All people are fictional. Domains end in ``.example``, ``example.com``, ``example.org`` or ``example.net``, which
are reserved (RFC 2606). Telephone numbers are from ranges reserved for fiction in their countries, and where a
country has none, the North American one is used. Some names test careless code: Null, leading zeros,
apostrophes, scripts other than Latin, a region called NA.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class City:
    """
    The city of an account.

    Attributes
    ----------
    zone
        IANA time zone.
    zone_text
        The time zone as people write it; not a valid zone name.
    phone
        Number with a place for three digits, from a range for fiction.
    names
        Key of the first and last names in `NAMES`.
    share
        Weight among the accounts.
    """

    name: str
    state: str
    country: str
    region: str
    zone: str
    zone_text: str
    postcode: str
    phone: str
    names: str
    share: float


def _city(line: str) -> City:
    name, state, country, region, zone, zone_text, postcode, phone, names, share = (
        cell.strip() for cell in line.split("|")
    )
    phone = phone.replace("###", "{:03d}")
    return City(name, state, country, region, zone, zone_text, postcode, phone, names, float(share))


_CITY_TABLE = """\
Boston | MA | United States | NA | America/New_York | Eastern Time (US & Canada) | 02108 | +12025550### | english | 20
Chicago | IL | United States | NA | America/Chicago | Central | 60601 | +13125550### | english | 12
Denver | CO | United States | NA | America/Denver | MST | 80014 | +13035550### | english | 5
San Francisco | CA | United States | NA | America/Los_Angeles | Pacific Time | 94103 | +14155550### | english | 17
Toronto | ON | Canada | NA | America/Toronto | ET | M5H 2N2 | +14165550### | english | 5
London |  | United Kingdom | EMEA | Europe/London | GMT | EC1A 1BB | +442079460### | english | 11
Dresden | Sachsen | Germany | EMEA | Europe/Berlin | MEZ | 01067 | +493023125### | german | 8
Paris |  | France | EMEA | Europe/Paris | heure de Paris | 07500 | +33199005### | french | 4
Kraków |  | Poland | EMEA | Europe/Warsaw | CET | 30-001 | +12025550### | polish | 3
Αθήνα |  | Greece | EMEA | Europe/Athens | EET | 010431 | +12025550### | greek | 2
Bengaluru | Karnataka | India | APAC | Asia/Kolkata | IST | 560001 | +12025550### | indian | 5
東京 | 東京都 | Japan | APAC | Asia/Tokyo | 日本標準時 | 100-0001 | +12025550### | japanese | 3
Sydney | NSW | Australia | APAC | Australia/Sydney | AEST | 02000 | +61255500### | english | 3
São Paulo | SP | Brazil | LATAM | America/Sao_Paulo | Horário de Brasília | 01310-100 | +12025550### | portuguese | 2
"""
CITIES = tuple(_city(line) for line in _CITY_TABLE.splitlines())


def _split_words(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


def _split_names(text: str) -> tuple[tuple[str, str], ...]:
    """Split a list of names; ``written/spelled`` gives the spelling in addresses where it is not the name itself."""
    pairs = (name.split("/") for name in _split_words(text))
    return tuple((pair[0], pair[-1]) for pair in pairs)


NAMES: dict[str, tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]] = {
    "english": (
        _split_names(
            "Avery, Brooke, Caleb, Dana, Elliot, Farrah, Grant, Harper, Imani, Jordan, Kendall, Logan, Maya, "
            "Noel, Owen, Paige, Quentin, Rowan, Sasha, Tessa, Uma, Vince, Wren, Xavier, Yolanda, Zane"
        ),
        _split_names(
            "Ashworth, Bellweather, Crane, Dunmore, Eastlake, Fairbanks, Greenholt, Hartsfield, Ironwood, "
            "Juniper, Kestrel, Larkspur, Millbrook, Null, O'Farrelly, Pennywhistle, Quillfeather, Redfern, "
            "Stonebridge, Thistledown, Underhill, Van der Wick, Winterbourne, Yarrow-Smythe"
        ),
    ),
    "german": (
        _split_names("Anke, Björn, Céline, Dörte, Falk, Greta, Jürgen, Käthe, Lorenz, Maren, Sönke, Wiebke"),
        _split_names(
            "Ahornweg, Birkenfels, Dünenstein, Großbach, Hügelmann, Kieselwetter, Mühlengrund, Straußberg, Weißdorn"
        ),
    ),
    "french": (
        _split_names("Aurélie, Benoît, Chloé, Étienne, Gaëlle, Loïc, Maëva, Noémie, Théo"),
        _split_names("Beauséjour, Châtaignier, D'Orveaux, Fontanelle, Grandpré, L'Hermitte, Rivesaltes"),
    ),
    "polish": (
        _split_names("Agnieszka, Błażej, Grażyna, Kinga, Łukasz, Mikołaj, Zofia"),
        _split_names("Brzozowiecka, Dębogórski, Jeziorańska, Leśniakiewicz, Żółtowodzki"),
    ),
    "greek": (
        _split_names("Αλέξανδρος/alexandros, Ελένη/eleni, Θάνος/thanos, Κατερίνα/katerina, Σοφία/sofia"),
        _split_names("Ανεμόμυλος/anemomylos, Γαλανόπετρας/galanopetras, Θαλασσινού/thalassinou, Πευκίδης/pefkidis"),
    ),
    "indian": (
        _split_names("Aarav, Bhavna, Chitra, Devika, Ishaan, Kavya, Lakshmi, Nikhil, Pranav, Rohini, Sanvi, Vikram"),
        _split_names("Ambarkar, Chandrapuri, Devanahalli, Gangapatnam, Kaveripalya, Malleswar, Neelakanth, Suryavanam"),
    ),
    "japanese": (
        _split_names("葵/aoi, 大輔/daisuke, 花子/hanako, 健太/kenta, 美咲/misaki, 翔/sho"),
        _split_names("青山谷/aoyamaya, 星川原/hoshikawara, 風見丘/kazamioka, 白鳥沢/shiratorizawa, 雪野森/yukinomori"),
    ),
    "portuguese": (
        _split_names("Beatriz, Caetano, Conceição, Iara, João, Luíza, Tomé"),
        _split_names("Araçatuba, Campo Belo, Jequitibá, Laranjeira, Ribeirão, Serra Azul"),
    ),
}
"""First and last names by language, each as (as written, as spelled in an address)."""

COMPANY_WORDS = _split_words(
    "Aldermoor, Bluefinch, Cindervale, Driftwood, Emberlane, Foxhollow, Glasswing, Harrowgate, Inkwell, "
    "Juniper, Kiteworth, Lanternfish, Mossbank, Nettlecombe, Oakhurst, Pinnacle, Quarrystone, Ravensbeck, "
    "Silverlode, Tidewater, Umberfield, Vellum, Willowmere, Yewtree, Zephyrine"
)
COMPANY_TRADES = _split_names(
    "Robotics/Manufacturing, Freight/Logistics, Analytics/Software, Biologics/Healthcare, Cover/Insurance, "
    "Power/Energy, Foods/Consumer goods, Capital/Financial services, Cloud/Software, Materials/Manufacturing, "
    "Stores/Retail, Learning/Education"
)
"""Second words of company names, each with its industry."""
COMPANY_SUFFIXES = ("Inc.", "Ltd", "LLC", "Group", "GmbH", "")
ODD_COMPANIES = (
    ("Mühlbach & Söhne GmbH", "xn--mhlbach-shne-djb9e.example", "Manufacturing"),
    ("株式会社星雲製作所", "seiun.example", "Manufacturing"),
    ("Null Island Surveying", "null-island.example", "Software"),
    ("007 Locksmiths", "007.example.com", "Retail"),
    ("Αιγαίο Ναυτιλιακή", "aigaio.example", "Logistics"),
    ("N/A Holdings", "na-holdings.example", "Financial services"),
)

TITLES = _split_words(
    "VP Engineering, Head of Operations, CTO, Director of Sales, Chief of Staff, Platform Engineer, Head of Security, "
    "Procurement Manager, COO, Head of Revenue Operations, IT Director, Data Protection Officer"
)
PERSONAS = (
    ("Technical decider", "Signs off on tools for engineering."),
    ("Operations leader", "Owns the handovers."),
    ("Economic buyer", "Holds the budget."),
    ("Security reviewer", "Asks for the questionnaire."),
    ("Champion", "Uses it every day."),
)
PROSPECT_STAGES = (
    ("New", 0xBFC9D9),
    ("Working", 0x56B4E9),
    ("Replied", 0x009E73),
    ("Meeting set", 0x0072B2),
    ("Not interested", 0x999999),
    ("Opted out", 0xD55E00),
    ("Bad data", 0xCC79A7),
    ("Customer", 0xF0E442),
)
SOURCES = ("Website", "Conference list", "Referral", "CRM import", "Research team", "Webinar sign-up")
TAGS = ("tier 1", "tier 2", "newsletter", "event 2025", "decision maker", "needs review", "GDPR")
REPLY_NOTES = (
    "Asked for a price list.",
    "Wants a call next quarter.",
    "Sends us to procurement.",
    "Liked the customer story.",
)
OFFICES = ("Boston", "San Francisco", "London", "Dresden", "Bengaluru")
USER_TITLES = (
    "Sales Development Representative",
    "Account Executive",
    "Senior Account Executive",
    "Customer Success Manager",
)
ERROR_REASONS = (
    "Missing variable: {{prospect.custom1}}",
    "The mailbox is not allowed to send",
    "Mailbox authentication failed",
)
BODY = (
    "<p>Hi {{{{first_name}}}},</p><p>{opening}</p><p>{question}</p><p>{{{{sender.first_name}}}}</p>"
    '<p><a href="https://www.example.com/{slug}">More about it</a></p>'
)
OPENINGS = (
    "I looked at how teams of your size hand work over.",
    "Two of your neighbors in the industry asked us the same thing this month.",
    "You asked for this, so I keep it short.",
    "Last time I promised numbers rather than adjectives.",
)
QUESTIONS = (
    "Is it worth fifteen minutes next week?",
    "Who on your side looks after this?",
    "Shall I send the three-page version?",
)
