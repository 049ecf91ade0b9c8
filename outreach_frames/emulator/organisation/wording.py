"""
Names and phrases the organisation is dressed in.

Nobody here exists. Domains end in ``.example`` or lie under ``example.com``, ``example.org`` or ``example.net``, which
are reserved (RFC 2606); telephone numbers come from ranges set aside for fiction in their countries, and where a
country has none the North American one is used. Some names are there to break careless code: Null, leading zeros, apostrophes,
scripts other than Latin, a region called NA.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class City:
    """
    Where an account is at home.

    Attributes
    ----------
    zone
        IANA time zone.
    zone_text
        How people write it by hand; not a valid zone name.
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


_NORTH_AMERICA = "NA"

CITIES = (
    City(
        "Boston",
        "MA",
        "United States",
        _NORTH_AMERICA,
        "America/New_York",
        "Eastern Time (US & Canada)",
        "02108",
        "+12025550{:03d}",
        "english",
        20,
    ),
    City(
        "Chicago",
        "IL",
        "United States",
        _NORTH_AMERICA,
        "America/Chicago",
        "Central",
        "60601",
        "+13125550{:03d}",
        "english",
        12,
    ),
    City(
        "Denver",
        "CO",
        "United States",
        _NORTH_AMERICA,
        "America/Denver",
        "MST",
        "80014",
        "+13035550{:03d}",
        "english",
        5,
    ),
    City(
        "San Francisco",
        "CA",
        "United States",
        _NORTH_AMERICA,
        "America/Los_Angeles",
        "Pacific Time",
        "94103",
        "+14155550{:03d}",
        "english",
        17,
    ),
    City(
        "Toronto", "ON", "Canada", _NORTH_AMERICA, "America/Toronto", "ET", "M5H 2N2", "+14165550{:03d}", "english", 5
    ),
    City("London", "", "United Kingdom", "EMEA", "Europe/London", "GMT", "EC1A 1BB", "+442079460{:03d}", "english", 11),
    City("Dresden", "Sachsen", "Germany", "EMEA", "Europe/Berlin", "MEZ", "01067", "+493023125{:03d}", "german", 8),
    City("Paris", "", "France", "EMEA", "Europe/Paris", "heure de Paris", "07500", "+33199005{:03d}", "french", 4),
    City("Kraków", "", "Poland", "EMEA", "Europe/Warsaw", "CET", "30-001", "+12025550{:03d}", "polish", 3),
    City("Αθήνα", "", "Greece", "EMEA", "Europe/Athens", "EET", "010431", "+12025550{:03d}", "greek", 2),
    City("Bengaluru", "Karnataka", "India", "APAC", "Asia/Kolkata", "IST", "560001", "+12025550{:03d}", "indian", 5),
    City("東京", "東京都", "Japan", "APAC", "Asia/Tokyo", "日本標準時", "100-0001", "+12025550{:03d}", "japanese", 3),
    City("Sydney", "NSW", "Australia", "APAC", "Australia/Sydney", "AEST", "02000", "+61255500{:03d}", "english", 3),
    City(
        "São Paulo",
        "SP",
        "Brazil",
        "LATAM",
        "America/Sao_Paulo",
        "Horário de Brasília",
        "01310-100",
        "+12025550{:03d}",
        "portuguese",
        2,
    ),
)

# First names and last names; a pair is (as written, as in an e-mail address), where the two differ by more than accents.
NAMES: dict[str, tuple[tuple[str | tuple[str, str], ...], tuple[str | tuple[str, str], ...]]] = {
    "english": (
        (
            "Avery",
            "Brooke",
            "Caleb",
            "Dana",
            "Elliot",
            "Farrah",
            "Grant",
            "Harper",
            "Imani",
            "Jordan",
            "Kendall",
            "Logan",
            "Maya",
            "Noel",
            "Owen",
            "Paige",
            "Quentin",
            "Rowan",
            "Sasha",
            "Tessa",
            "Uma",
            "Vince",
            "Wren",
            "Xavier",
            "Yolanda",
            "Zane",
        ),
        (
            "Ashworth",
            "Bellweather",
            "Crane",
            "Dunmore",
            "Eastlake",
            "Fairbanks",
            "Greenholt",
            "Hartsfield",
            "Ironwood",
            "Juniper",
            "Kestrel",
            "Larkspur",
            "Millbrook",
            "Null",
            "O'Farrelly",
            "Pennywhistle",
            "Quillfeather",
            "Redfern",
            "Stonebridge",
            "Thistledown",
            "Underhill",
            "Van der Wick",
            "Winterbourne",
            "Yarrow-Smythe",
        ),
    ),
    "german": (
        ("Anke", "Björn", "Céline", "Dörte", "Falk", "Greta", "Jürgen", "Käthe", "Lorenz", "Maren", "Sönke", "Wiebke"),
        (
            "Ahornweg",
            "Birkenfels",
            "Dünenstein",
            "Großbach",
            "Hügelmann",
            "Kieselwetter",
            "Mühlengrund",
            "Straußberg",
            "Weißdorn",
        ),
    ),
    "french": (
        ("Aurélie", "Benoît", "Chloé", "Étienne", "Gaëlle", "Loïc", "Maëva", "Noémie", "Théo"),
        ("Beauséjour", "Châtaignier", "D'Orveaux", "Fontanelle", "Grandpré", "L'Hermitte", "Rivesaltes"),
    ),
    "polish": (
        ("Agnieszka", "Błażej", "Grażyna", "Kinga", "Łukasz", "Mikołaj", "Zofia"),
        ("Brzozowiecka", "Dębogórski", "Jeziorańska", "Leśniakiewicz", "Żółtowodzki"),
    ),
    "greek": (
        (
            ("Αλέξανδρος", "alexandros"),
            ("Ελένη", "eleni"),
            ("Θάνος", "thanos"),
            ("Κατερίνα", "katerina"),
            ("Σοφία", "sofia"),
        ),
        (
            ("Ανεμόμυλος", "anemomylos"),
            ("Γαλανόπετρας", "galanopetras"),
            ("Θαλασσινού", "thalassinou"),
            ("Πευκίδης", "pefkidis"),
        ),
    ),
    "indian": (
        (
            "Aarav",
            "Bhavna",
            "Chitra",
            "Devika",
            "Ishaan",
            "Kavya",
            "Lakshmi",
            "Nikhil",
            "Pranav",
            "Rohini",
            "Sanvi",
            "Vikram",
        ),
        (
            "Ambarkar",
            "Chandrapuri",
            "Devanahalli",
            "Gangapatnam",
            "Kaveripalya",
            "Malleswar",
            "Neelakanth",
            "Suryavanam",
        ),
    ),
    "japanese": (
        (("葵", "aoi"), ("大輔", "daisuke"), ("花子", "hanako"), ("健太", "kenta"), ("美咲", "misaki"), ("翔", "sho")),
        (
            ("青山谷", "aoyamaya"),
            ("星川原", "hoshikawara"),
            ("風見丘", "kazamioka"),
            ("白鳥沢", "shiratorizawa"),
            ("雪野森", "yukinomori"),
        ),
    ),
    "portuguese": (
        ("Beatriz", "Caetano", "Conceição", "Iara", "João", "Luíza", "Tomé"),
        ("Araçatuba", "Campo Belo", "Jequitibá", "Laranjeira", "Ribeirão", "Serra Azul"),
    ),
}

COMPANY_WORDS = (
    "Aldermoor", "Bluefinch", "Cindervale", "Driftwood", "Emberlane", "Foxhollow", "Glasswing", "Harrowgate", "Inkwell", "Juniper",
    "Kiteworth", "Lanternfish", "Mossbank", "Nettlecombe", "Oakhurst", "Pinnacle", "Quarrystone", "Ravensbeck", "Silverlode", "Tidewater",
    "Umberfield", "Vellum", "Willowmere", "Yewtree", "Zephyrine",
)  # fmt: skip
COMPANY_TRADES = (
    ("Robotics", "Manufacturing"), ("Freight", "Logistics"), ("Analytics", "Software"), ("Biologics", "Healthcare"),
    ("Insurance", "Insurance"), ("Power", "Energy"), ("Foods", "Consumer goods"), ("Capital", "Financial services"),
    ("Cloud", "Software"), ("Materials", "Manufacturing"), ("Retail", "Retail"), ("Learning", "Education"),
)  # fmt: skip
COMPANY_SUFFIXES = ("Inc.", "Ltd", "LLC", "Group", "GmbH", "")
ODD_COMPANIES = (
    ("Mühlbach & Söhne GmbH", "xn--mhlbach-shne-djb9e.example", "Manufacturing"),
    ("株式会社星雲製作所", "seiun.example", "Manufacturing"),
    ("Null Island Surveying", "null-island.example", "Software"),
    ("007 Locksmiths", "007.example.com", "Retail"),
    ("Αιγαίο Ναυτιλιακή", "aigaio.example", "Logistics"),
    ("N/A Holdings", "na-holdings.example", "Financial services"),
)

TITLES = (
    "VP Engineering", "Head of Operations", "CTO", "Director of Sales", "Chief of Staff", "Platform Engineer", "Head of Security",
    "Procurement Manager", "COO", "Head of Revenue Operations", "IT Director", "Data Protection Officer",
)  # fmt: skip
PERSONAS = (
    ("Technical decider", "Signs off on tools for engineering."), ("Operations leader", "Owns the handovers."),
    ("Economic buyer", "Holds the budget."), ("Security reviewer", "Asks for the questionnaire."), ("Champion", "Uses it every day."),
)  # fmt: skip
STAGES = (
    ("New", 0xBFC9D9), ("Working", 0x56B4E9), ("Replied", 0x009E73), ("Meeting set", 0x0072B2), ("Not interested", 0x999999),
    ("Opted out", 0xD55E00), ("Bad data", 0xCC79A7), ("Customer", 0xF0E442),
)  # fmt: skip
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
    "Two of your neighbours in the industry asked us the same thing this month.",
    "You asked for this, so I keep it short.",
    "Last time I promised numbers rather than adjectives.",
)
QUESTIONS = (
    "Is it worth fifteen minutes next week?",
    "Who on your side looks after this?",
    "Shall I send the three-page version?",
)
