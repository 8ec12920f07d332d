"""F1 to F8: what many machines rely on (docs/fleet.md). Run: ``python -m tests.guards F``."""

from __future__ import annotations

from guards.guard import Guard

_OUTAGE, _LOSSES = "test_fleet_outage.py::test_", "test_fleet_losses.py::test_"
_BUDGETS, _CLUSTER = "test_fleet_budgets.py::test_", "test_cluster.py::test_"
_RESTORED = "test_fleet_restored.py::test_"
_WEB, _TROUBLE = "test_remote_web.py::test_", "test_fleet_trouble.py::test_"

LOCKS = (
    Guard(
        "F1", f"{_LOSSES}a_write_under_a_lost_lock_is_refused",
        "a write under a lost lock is refused", "fleet/locks.py",
        "        if not self._stands(hold):\n            raise self._reach.estranged()\n", "",
        more=(("fleet/locks.py", "rows = self._reach.insisted(sql, values, hold.stood)",
               "rows = self._reach.ask(sql, values)"),),
    ),
    Guard(
        "F1", f"{_OUTAGE}a_lock_that_another_process_holds_names_it",
        "the advisory lock", "fleet/statements.py",
        "pg_try_advisory_lock(%(key)s)\"\nFREE =", "pg_try_advisory_lock_shared(%(key)s)\"\nFREE =",
    ),
    Guard(
        "F1", f"{_OUTAGE}a_lock_that_another_process_holds_names_it",
        "one process does not lock a file twice", "fleet/locks.py",
        "            if key in self._held:\n", "            if False:\n",
    ),
    Guard(
        "F1", "test_fleet_journal.py::test_rebuilding_keeps_the_host_and_the_old_schema",
        "who sends keeps a rebuild out", "fleet/statements.py",
        'TAKE = "SELECT pg_try_advisory_lock_shared(%(gate)s), ', 'TAKE = "SELECT true, ',
    ),
    Guard(
        "F1", f"{_LOSSES}while_a_journal_is_rebuilt_nobody_begins",
        "a rebuild keeps everybody out", "fleet/holding.py",
        "    if gate and lock:\n", "    if lock:\n",
    ),
    Guard(
        "F1", f"{_LOSSES}a_session_of_our_own_that_the_server_still_believes_in_is_ended",
        "our own ghost is ended", "fleet/holding.py",
        'ask(statements.END_GHOST, {"pid": ghost, "name": name})', "pass",
    ),
    Guard(
        "F2", f"{_OUTAGE}regaining_tells_whether_anybody_touched_the_rows",
        "regaining compares the seals", "fleet/locks.py",
        "same = hold.file is not None and hold.is_as_left(found)", "same = True",
    ),
    Guard(
        "F2", f"{_LOSSES}of_what_was_never_read_under_the_lock_nobody_says_that_it_is_untouched",
        "what was not read under the lock is not known", "fleet/locks.py",
        "same = hold.file is not None and ", "same = ",
    ),
    Guard(
        "F2", f"{_OUTAGE}a_commit_whose_reply_was_lost_is_found_to_be_made",
        "a write whose answer was lost may have been made", "fleet/holding.py",
        "        return seen in (before, after)\n", "        return seen == before\n",
    ),
    Guard(
        "F2", f"{_LOSSES}a_removal_whose_answer_was_lost_is_found_to_be_made_and_not_repeated",
        "a removal whose answer was lost may have been made", "transfer.py",
        "            if self._entry.is_forgotten(self.attempt):\n", "            if False:\n",
    ),
    Guard(
        "F2", f"{_OUTAGE}who_was_away_while_another_sent_the_file_finds_it_sent",
        "who was taken over hands over", "transfer.py",
        "            if not room.journal.regain(self._key, outage):\n"
        "                self._hand_over()\n",
        "            room.journal.regain(self._key, outage)\n",
    ),
    Guard(
        "F2", f"{_LOSSES}a_uid_that_no_list_would_show_is_discarded_by_who_was_taken_over",
        "a UID that only the loser knows is recorded", "entry.py",
        "    journal.record(lost)\n", "    pass\n",
    ),
    Guard(
        "F2", f"{_RESTORED}an_upload_under_way_goes_on_in_a_journal_that_is_restored_meanwhile"
        "[nothing-half-True]",
        "an upload that a restored journal forgot is recorded again", "entry.py",
        "    if written and not row and any(", "    if written or any(",
    ),
    Guard(
        "F2", f"{_RESTORED}an_upload_under_way_goes_on_in_a_journal_that_is_restored_meanwhile"
        "[nothing-sent-False]",
        "a watch is written with its row or not at all", "fleet/statements.py",
        "SELECT {_WATCH_VALUES} FROM changed", "VALUES ({_WATCH_VALUES})",
    ),
    Guard(
        "F2", f"{_RESTORED}an_upload_under_way_goes_on_in_a_journal_that_is_restored_meanwhile"
        "[nothing-created-False]",
        "a row that went under its lock is read anew", "fleet/journal.py",
        "family = Estranged if self._locks.holds(attempt) else JournalProblem",
        "family = JournalProblem",
    ),
    Guard(
        "F2", f"{_RESTORED}another_upload_under_the_number_of_ones_own_row_is_left_as_it_is",
        "a row is written by number and name", "fleet/statements.py",
        "row = %(row)s AND id = %(id)s", "row = %(row)s",
    ),
    Guard(
        "F2", f"{_OUTAGE}who_was_away_while_another_sent_the_file_finds_it_sent",
        "a file that was taken over starts over", "onefile.py",
        "            except (Estranged, TakenOver):\n                self._start_over()\n",
        "            except Estranged:\n                self._start_over()\n",
    ),
    Guard(
        "F3", f"{_OUTAGE}silence_stops_the_sending_before_the_server_frees_the_lock",
        "a request under way is cut when the lock is lost", "transfer.py",
        "        return self.room.interruption.count > self.heard or not self._stands()\n",
        "        return self.room.interruption.count > self.heard\n",
    ),
    Guard(
        "F3", f"{_OUTAGE}a_session_that_the_server_ended_is_noticed_at_once",
        "the watch", "fleet/link.py",
        "                    self._look(connection)\n", "                    pass\n",
    ),
    Guard(
        "F3", f"{_LOSSES}after_a_lost_lock_stream_is_asked_where_it_is",
        "after regaining, Stream says where it is", "transfer.py",
        "self.attempt.knows(certain=False, handed=None)", "self.attempt.knows(handed=None)",
    ),
    Guard(
        "F3", f"{_LOSSES}at_another_place_the_same_path_is_another_file",
        "a path is a place's own", "fleet/statements.py",
        "path = %(path)s AND place = %(place)s)", "path = %(path)s)",
    ),
)  # fmt: skip

ENDS = (
    Guard(
        "F4", f"{_TROUBLE}a_lost_answer_and_a_lost_database_together_are_a_leftover",
        "a create that may have been made is no nothing", "transfer.py",
        "        if attempt.uid is None and self._asked and attempt.now.asked:\n",
        "        if False:\n",
    ),
    Guard(
        "F4", f"{_TROUBLE}a_second_signal_to_a_process_that_a_silent_database_holds_up_"
        "ends_it_at_once",
        "a second signal ends a wait for an answer", "fleet/link.py",
        "(soon if self._gave_up() else late)", "late",
    ),
    Guard(
        "F4", f"{_TROUBLE}who_waits_for_a_database_before_anything_began_was_interrupted",
        "who waits for the journal hears a signal", "sending.py",
        "if isinstance(error, Unreached) and interruption.count:", "if False:",
    ),
    Guard(
        "F4", f"{_TROUBLE}a_bad_database_is_10_in_two_lines_and_once_it_is_well_the_same_command_"
        "sends[torn password]",
        "no piece of a password is taken for a host", "fleet/connecting.py",
        'torn = authority.count("@") > 1 or "@" in path', 'torn = "@" in path',
    ),
    Guard(
        "F4", f"{_TROUBLE}behind_a_real_pooler_nothing_is_sent",
        "a pooler is noticed", "fleet/schema.py",
        "    if backend != connection.info.backend_pid:\n", "    if False:\n",
    ),
)  # fmt: skip

SHARED = (
    Guard(
        "F5", f"{_BUDGETS}every_call_of_a_send_is_counted",
        "calls are counted", "session.py",
        "            self.company.spent()\n", "            pass\n",
    ),
    Guard(
        "F5", f"{_BUDGETS}a_429_of_one_machine_holds_up_the_next_video_of_all",
        "a 429 is told to all", "session.py",
        "            self.company.refused(retry_after)\n", "            pass\n",
    ),
    Guard(
        "F5", f"{_BUDGETS}after_a_429_no_machine_begins_before_its_time",
        "for as long as Stream said", "fleet/budgets.py",
        "left = self._kept - self._flow * seconds", "left = self._kept",
    ),
    Guard(
        "F5", f"{_BUDGETS}what_is_encoded_is_counted_once_the_slots_are_used_up",
        "one machine counts for all", "fleet/budgets.py",
        "            return False  # somebody else counts, or did just now\n", "            pass\n",
    ),
    Guard(
        "F5", f"{_BUDGETS}uploads_on_their_way_take_slots_too",
        "what is on its way is counted", "fleet/budgets.py",
        "self._slots - busy - int(flying)", "self._slots - busy",
    ),
    Guard(
        "F5", f"{_BUDGETS}nobody_is_held_up_where_the_database_is_out_of_reach",
        "budgets hold nothing up that is out of reach", "fleet/budgets.py",
        "        except (Lost, JournalProblem):\n            pass\n        return 0.0",
        "        except (Lost, JournalProblem):\n            return 1.0, NO_CALLS\n"
        "        return 0.0",
    ),
)  # fmt: skip

CLUSTER = (
    Guard(
        "F6", f"{_CLUSTER}a_letter_holds_no_secret_that_its_worker_knows",
        "letters are made safe", "cluster/letters.py",
        "        return redact(content)\n", "        return content\n",
    ),
    Guard(
        "F6", "test_cluster_runs.py::test_no_token_and_no_upload_url_passes_the_scheduler",
        "orders hold no token", "cluster/batching.py",
        "path=flight.absolute, terms=terms, plan=plan,",
        "path=flight.absolute, plan=plan,\n"
        '            terms={**terms, "token": self.session.settings.token.reveal()},',
    ),
    *(
        Guard(
            "F6", f"{_CLUSTER}a_worker_that_does_not_fit_is_named",
            f"the same {what}", "cluster/terms.py", old, new,
        )
        for what, old, new in (
            ("software", "if theirs.get(key) != ours[key]:", "if False:"),
            ("account", 'if theirs.get("target") != ours["target"]:', "if False:"),
            ("journal", 'if theirs.get("journal") != ours["journal"]:', "if False:"),
        )
    ),
    Guard(
        "F6", f"{_CLUSTER}a_worker_that_came_later_refuses_what_it_does_not_fit",
        "a worker judges each order", "cluster/post.py",
        '            _refuse(name, _terms_at(name, session), order["terms"], '
        'tuple(order["terms"]))\n', "",
    ),
    Guard(
        "F7", f"{_CLUSTER}a_file_that_kills_its_workers_is_given_up_unless_it_gets_on",
        "a lost worker's file goes again", "cluster/flight.py",
        "        return self._spent(BUSY_PAUSE)\n", "        return None\n",
    ),
    Guard(
        "F7", f"{_CLUSTER}a_file_that_kills_its_workers_is_given_up_unless_it_gets_on",
        "and not for ever", "cluster/flight.py",
        "return pause if self.lost <= MOST_LOST else None", "return pause",
    ),
    Guard(
        "F7", f"{_CLUSTER}a_worker_that_left_its_file_gives_it_to_another",
        "what a worker left goes again", "cluster/flight.py",
        "return self._spent(0.0) if error is not None else None", "return None",
    ),
    Guard(
        "F7", f"{_CLUSTER}a_lost_workers_lock_is_waited_for_and_a_strangers_is_not",
        "a lost worker's lock is waited for", "cluster/flight.py",
        "return BUSY_PAUSE if now - self.busy_since < BUSY_FOR else None", "return None",
    ),
    Guard(
        "F7", f"{_CLUSTER}a_worker_that_dask_closes_leaves_what_it_sends_and_waits_for_it",
        "who is asked to go leaves his uploads", "cluster/task.py",
        "            post.leave()\n", "            pass\n",
    ),
    Guard(
        "F7", f"{_CLUSTER}a_worker_that_was_told_to_stop_begins_nothing",
        "who was told to stop begins nothing", "cluster/post.py",
        "        if interruption.count:\n", "        if False:\n",
    ),
    Guard(
        "F7", "test_cluster_runs.py::test_ctrl_c_rolls_back_at_every_worker",
        "a signal reaches every worker", "cluster/batching.py",
        "                self._halt(link)\n", "",
    ),
)  # fmt: skip

AFAR = (
    Guard(
        "F8", f"{_WEB}an_answer_that_is_not_of_its_range_is_asked_for_again[cropped]",
        "an answer is as long as its range", "fromweb.py",
        "        return whole(data, start, stop)\n", "        return data\n",
    ),
    Guard(
        "F8", f"{_WEB}a_file_that_was_another_for_one_answer_is_refused",
        "each answer is of what was opened", "fromweb.py",
        "_facts(where, headers, start, stop) != pinned",
        "_facts(where, headers, start, stop) is None",
    ),
    Guard(
        "F8", f"{_WEB}a_range_is_asked_for_with_the_tag_of_what_was_opened",
        "ranges are asked for with If-Match", "fromweb.py",
        '{"if-match": pinned.etag} if pinned.firm else {}', "{}",
    ),
    Guard(
        "F8", f"{_WEB}an_answer_that_is_not_of_its_range_is_asked_for_again[shifted]",
        "an answer is about the range that was asked for", "fromweb.py",
        "    if first != start or last != min(stop, total) - 1:\n", "    if False:\n",
    ),
    Guard(
        "F8", f"{_WEB}the_last_piece_waits_for_a_last_look",
        "the last byte waits for a last look", "remote.py",
        "                self._check(given_up, tries)\n", "",
    ),
    Guard(
        "F8", f"{_WEB}a_new_signed_url_goes_on_with_what_the_old_one_began_"
        "and_no_query_is_ever_told",
        "a query is never shown", "remote.py",
        "self.path, self.name = where.text, where.name",
        "self.path, self.name = where.url, where.name",
    ),
)  # fmt: skip

FLEET = (*LOCKS, *ENDS, *SHARED, *CLUSTER, *AFAR)
