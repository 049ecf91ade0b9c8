from .deliveries import Delivery as Delivery, parse as parse, verify as verify
from .receiver_app import receiver as receiver
from .store import read as read
