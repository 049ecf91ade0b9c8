from .activity import (
    delivery_statistics as delivery_statistics,
    log_call as log_call,
    open_tasks as open_tasks,
    recent_events as recent_events,
)
from .administration import invite_user as invite_user, subscribe as subscribe, unsubscribe as unsubscribe
from .contents import (
    AccountWithProspects as AccountWithProspects,
    SequenceWithSteps as SequenceWithSteps,
    add_account as add_account,
    create_sequence as create_sequence,
    save_snippet as save_snippet,
    save_template as save_template,
)
from .enrollments import enroll as enroll, finish as finish, pause as pause, resume as resume
