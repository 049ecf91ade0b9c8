from .prospects import ProspectExplorer as ProspectExplorer, draw_timeline as draw_timeline
from .sending import MailboxExplorer as MailboxExplorer, SendTimeExplorer as SendTimeExplorer
from .sequences import DefinitionExplorer as DefinitionExplorer, SequenceExplorer as SequenceExplorer
from .templates import ABTestExplorer as ABTestExplorer, Messages as Messages
