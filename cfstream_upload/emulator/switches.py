"""What nobody outside Cloudflare knows about Stream, as one table of switches.

The documents are silent or contradict each other on each of these; a client has to hold under
every setting. The defaults are what is most likely or most often reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Gone = Literal["404", "410", "403"]


@dataclass(frozen=True)
class Switches:
    """Unknown behaviours of the real service; times in seconds, sizes in bytes.

    The upload URL
        after_completion          HEAD and PATCH once all bytes are there; "offset": go on
                                  telling the offset (and 409 for a PATCH from elsewhere)
        after_expiry              HEAD and PATCH past ``uploadExpiry``
        after_deletion            HEAD and PATCH once the video was deleted
        second_patch              a PATCH while another is under way: "locked" refuses it (423),
                                  "takes_over" cuts the older one
        keep                      what stays of a body that was cut: whole blocks of 256 KiB,
                                  all of it, nothing
        tus_errors                body of a refused HEAD or PATCH: JSON envelope, text, empty
        oversize_chunk            status for more than 200 MiB in one PATCH
        options                   OPTIONS is answered with the tus extensions, or refused (405)
        upload_expires_header     ``Upload-Expires`` is sent with offsets
        default_expiry            upload window when ``expiry`` is not given
        expiry_cap                longest ``expiry`` that is accepted; None: any
        tus_reservation           storage reserved by an upload without ``direct_user``

    Forms
        form_used                 a second POST to the upload URL of ``direct_upload``
        form_after_cut            that URL after a POST that broke off
        form_not_post             any other method on it ("must use POST")
        form_too_large            more than 200 MB in a form
        form_expiry_cap           longest ``expiry`` of ``direct_upload``; None: any
        form_name                 ``meta.name`` of a basic upload is the name of its file

    The video while it is pending
        meta_while_pending        ``meta`` is shown
        meta_keys                 keys of ``meta`` as they were sent, or in lower case
        meta_limit                longest ``Upload-Metadata`` that is accepted; None: any
        size_while_pending        ``size``: 0, what was received, or the whole length
        modified_while_uploading  ``modified`` follows each PATCH
        uploaded_at_creation      ``uploaded`` is set at once, not when the last byte came
        pending_after_whole       how long a whole video goes on saying ``pendingupload``
        expired_record            a video that was never completed stays, or vanishes

    The Video API
        list_lag                  until lists show a new video, and no longer show a deleted one
        false_404s                this many first GETs of each video answer 404
        before_inclusive          ``before`` means <= instead of <
        after_inclusive           ``after`` means >= instead of >
        total_as                  ``total`` and ``range`` are numbers or strings
        delete_reply              body of a successful DELETE
        wrong_token               status for a token that is not accepted
        wrong_account             status for an account that is not the token's
        token_owner               which of the two ``tokens/verify`` paths knows the token
        usage_counts_reservations ``totalStorageMinutes`` includes reservations
        uploads_count_to_limit    HEAD and PATCH count against the rate limit
        queue_full_code           code in the 429 while too many videos are being encoded
        queue_full_wait           ``Retry-After`` of that 429; None: none
    """

    after_completion: Literal["offset", "404", "410", "403"] = "offset"
    after_expiry: Gone = "404"
    after_deletion: Gone = "404"
    second_patch: Literal["locked", "takes_over"] = "locked"
    keep: Literal["blocks", "all", "nothing"] = "blocks"
    tus_errors: Literal["json", "text", "empty"] = "json"
    oversize_chunk: Literal["400", "413"] = "400"
    options: Literal["tus", "405"] = "tus"
    upload_expires_header: bool = False
    default_expiry: float = 24 * 3600.0
    expiry_cap: float | None = None
    tus_reservation: int = 14_400

    form_used: Literal["400", "403", "404", "409", "410"] = "400"
    form_after_cut: Literal["usable", "used"] = "usable"
    form_not_post: Literal["405", "400"] = "405"
    form_too_large: Literal["413", "400"] = "413"
    form_expiry_cap: float | None = 6 * 3600.0
    form_name: bool = True

    meta_while_pending: bool = True
    meta_keys: Literal["kept", "lower"] = "kept"
    meta_limit: int | None = None
    size_while_pending: Literal["zero", "received", "length"] = "zero"
    modified_while_uploading: bool = False
    uploaded_at_creation: bool = True
    pending_after_whole: float = 0.0
    expired_record: Literal["stays", "vanishes"] = "stays"

    list_lag: float = 0.0
    false_404s: int = 0
    before_inclusive: bool = False
    after_inclusive: bool = True
    total_as: Literal["int", "str"] = "int"
    delete_reply: Literal["empty", "json"] = "empty"
    wrong_token: Literal["401", "403"] = "401"
    wrong_account: Literal["403", "404"] = "403"
    token_owner: Literal["either", "user", "account"] = "either"
    usage_counts_reservations: bool = True
    uploads_count_to_limit: bool = False
    queue_full_code: int = 10005
    queue_full_wait: int | None = None
