"""``python -m outreach_frames`` is the command ``outreach-frames``, also where its folder is not on the path."""

from outreach_frames.cli import main

if __name__ == "__main__":
    main(prog_name="outreach-frames")
