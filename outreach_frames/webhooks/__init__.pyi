from .deliveries import Delivery as Delivery, parse as parse, verify as verify
from .receiving import receiver as receiver
from .store import read as read
