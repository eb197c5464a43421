"""The pages of ``serve``, for the owner: plain HTML that works without a script, and is livelier with one."""
