"""Images: this host's library of them, archives, edits and what makes the first one."""
