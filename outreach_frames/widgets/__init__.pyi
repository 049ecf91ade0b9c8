from .definitions import DefinitionSwitch as DefinitionSwitch
from .experiments import ABMonitor as ABMonitor
from .mailboxes import MailboxWatch as MailboxWatch
from .messages import Messages as Messages
from .send_times import SendTimePicker as SendTimePicker
from .sequences import SequenceExplorer as SequenceExplorer
from .timelines import ReplyTimeline as ReplyTimeline, draw_timeline as draw_timeline
