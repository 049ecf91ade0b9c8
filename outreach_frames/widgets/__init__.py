"""
Explorers: a few controls above one picture or table, for a notebook or a page served by Voilà.

Each is called ``<Subject>Explorer`` and takes a snapshot, a mapping of frames or a live client. What it shows is a pure
function of its controls, ``explorer.view(**explorer.state)``; the button "as code" prints the call that gives the same
outside.
"""

import lazy_loader

from outreach_frames._extras import require
from outreach_frames._renamed import with_old_names

require("notebook", "Explorers", "ipywidgets")
_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = with_old_names(
    __name__,
    _load,
    {
        "ABMonitor": "ABTestExplorer",
        "DefinitionSwitch": "DefinitionExplorer",
        "MailboxWatch": "MailboxExplorer",
        "ReplyTimeline": "ProspectExplorer",
        "SendTimePicker": "SendTimeExplorer",
    },
)
