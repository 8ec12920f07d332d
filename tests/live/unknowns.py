"""Everything about Stream that no document says, and the question that finds it out.

A question is the name of a test beside this file; where there is none, the reason why.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unknown:
    """``tests`` ask it; ``reason`` says what they cannot find out."""

    words: str
    tests: tuple[str, ...] = ()
    reason: str = ""


UNKNOWNS = (
    # What the collected facts of the API leave open.
    Unknown(
        "status of HEAD and PATCH after completion, expiry or DELETE",
        ("test_after_completion", "test_after_expiry", "test_after_deletion"),
    ),
    Unknown(
        "whether expired pending records disappear, and after how long",
        ("test_after_expiry",),
        "it watches for two minutes: what vanishes later is told as staying",
    ),
    Unknown("how much of a chunk that was cut is kept", ("test_what_a_cut_leaves",)),
    Unknown("tus extensions, OPTIONS, Upload-Expires", ("test_options", "test_upload_expires")),
    Unknown("default and longest upload window", ("test_default_expiry", "test_longest_expiry")),
    Unknown("storage that an upload with the token reserves", ("test_reservations",)),
    Unknown("whether modified or size change during an upload", ("test_size_and_modified",)),
    Unknown("how long lists lag", ("test_list_lag",)),
    Unknown("whether before and after include their end", ("test_bounds_of_a_list",)),
    Unknown(
        "body and code of 409, 429 and chunk-size errors",
        ("test_bodies_of_tus_errors", "test_oversize_chunk"),
        "429: to provoke it would block the whole account for five minutes",
    ),
    Unknown("limits of meta, and the case of its keys", ("test_meta", "test_longest_meta")),
    Unknown("whether calls to the upload host count", ("test_uploads_and_the_rate_limit",)),
    # What the design of the client rests on.
    Unknown(
        "whether direct_user takes HEAD and PATCH without the token, for hours",
        ("test_direct_user_needs_no_token",),
        "for hours: a run lasts minutes",
    ),
    Unknown("DELETE of a pending upload: code, body, twice", ("test_after_deletion",)),
    Unknown("whether a DELETE during a PATCH wins", ("test_delete_during_a_patch",)),
    Unknown("whether meta shows while pending", ("test_meta",)),
    Unknown("whether uploadExpiry can be edited", ("test_default_expiry",)),
    Unknown("whether size equals the bytes sent", ("test_size_and_modified",)),
    Unknown(
        "408 or 520 on a slow line",
        ("test_slow_line",),
        "two minutes of it: the reports are of far longer ones",
    ),
)

NOT_ASKED = {
    "oversize_chunk": "takes 200 MiB of traffic: --live-big",
    "form_too_large": "takes 200 MB of traffic: --live-big",
    "queue_full_code": "needs 120 videos that are being encoded at once",
    "queue_full_wait": "needs 120 videos that are being encoded at once",
}
"""Switches without an answer unless a question gives one."""

SWITCHES = {
    "after_completion": "test_after_completion",
    "after_expiry": "test_after_expiry",
    "after_deletion": "test_after_deletion",
    "second_patch": "test_second_patch",
    "keep": "test_what_a_cut_leaves",
    "tus_errors": "test_bodies_of_tus_errors",
    "oversize_chunk": "test_oversize_chunk",
    "options": "test_options",
    "upload_expires_header": "test_upload_expires",
    "default_expiry": "test_default_expiry",
    "expiry_cap": "test_longest_expiry",
    "tus_reservation": "test_reservations",
    "form_used": "test_a_form_that_is_sent_twice",
    "form_after_cut": "test_a_form_that_breaks_off",
    "form_not_post": "test_a_form_url_that_is_asked_otherwise",
    "form_too_large": "test_a_form_that_is_too_large",
    "form_expiry_cap": "test_longest_expiry_of_a_form",
    "form_name": "test_name_of_a_basic_upload",
    "meta_while_pending": "test_meta",
    "meta_keys": "test_meta",
    "meta_limit": "test_longest_meta",
    "size_while_pending": "test_size_and_modified",
    "modified_while_uploading": "test_size_and_modified",
    "uploaded_at_creation": "test_uploaded",
    "pending_after_whole": "test_pending_after_whole",
    "expired_record": "test_after_expiry",
    "list_lag": "test_list_lag",
    "false_404s": "test_first_looks",
    "before_inclusive": "test_bounds_of_a_list",
    "after_inclusive": "test_bounds_of_a_list",
    "total_as": "test_counts_of_a_list",
    "delete_reply": "test_after_deletion",
    "wrong_token": "test_wrong_token",
    "wrong_account": "test_wrong_account",
    "token_owner": "test_token_owner",
    "usage_counts_reservations": "test_reservations",
    "uploads_count_to_limit": "test_uploads_and_the_rate_limit",
}
"""Each switch of the model, and the question that sets it."""
