from .administration import (
    delivery_statistics as delivery_statistics,
    invite_user as invite_user,
    recent_events as recent_events,
    subscribe as subscribe,
    unsubscribe as unsubscribe,
)
from .contents import (
    AccountWithProspects as AccountWithProspects,
    SequenceWithSteps as SequenceWithSteps,
    add_account as add_account,
    create_sequence as create_sequence,
    save_snippet as save_snippet,
    save_template as save_template,
)
from .enrollments import enroll as enroll
from .prospecting import (
    finish as finish,
    log_call as log_call,
    open_tasks as open_tasks,
    pause as pause,
    resume as resume,
)
from .tags import add_tags as add_tags, remove_tags as remove_tags
