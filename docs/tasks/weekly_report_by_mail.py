"""The report of the week as a mail, for the system's mailer."""

from outreach_frames.reports import write_report

parameters = {"source": str(snapshot.path.resolve()), "days": 7}
result = write_report("weekly.eml", parameters=parameters, mail_ready=True)
