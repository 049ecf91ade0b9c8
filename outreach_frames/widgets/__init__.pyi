from .definitions import DefinitionSwitch as DefinitionSwitch
from .experiments import ABMonitor as ABMonitor
from .messages import Messages as Messages
from .sequences import SequenceExplorer as SequenceExplorer
from .timelines import ReplyTimeline as ReplyTimeline, draw_timeline as draw_timeline
