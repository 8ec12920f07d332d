// The account: its videos, and what is said about them.
import {
  $, askToDelete, grouped, isPending, make, nameOf, progressBar, size, span, stateKind, stateWords,
  watch, write,
} from "./common.js";
import { startControl, refreshControl } from "./control.js";

const videos = new Map();
const rows = new Map();
let facts = { limit_minutes: 0 };
let started = false;

const here = watch("", (change) => {
  if (change.fresh) begin(change);
  for (const [uid, video] of Object.entries(change.videos ?? {})) place(uid, video);
  for (const uid of change.gone ?? []) remove(uid);
  if (change.totals) total(change.totals);
  if (facts.control) refreshControl();
  started = true;
});

let seconds = 0;
setInterval(() => {
  seconds += 1;
  for (const [uid, row] of rows) {
    if (isPending(videos.get(uid)) || seconds % 10 === 0) row.show(videos.get(uid));
  }
}, 1000);

function begin(change) {
  facts = change;
  write($("account"), change.account);
  write($("api"), `export CLOUDFLARE_API_BASE_URL=${location.origin}/client/v4\n`
    + `export CLOUDFLARE_ACCOUNT_ID=${change.account}`);
  for (const uid of [...rows.keys()]) if (!(uid in change.videos)) remove(uid);
  if (change.control) startControl();
  else $("no-control").hidden = false;
}

function total(totals) {
  write($("videos-total"), grouped(totals.videos));
  write($("pending-total"), grouped(totals.pending));
  $("pending-tile").className = totals.pending ? "alarm" : "fine";
  write($("used-total"), `${grouped(totals.used_minutes)}\u00a0min`);
  write($("bytes-total"), size(totals.bytes));
  write($("reserved-total"), `${grouped(totals.reserved_minutes)}\u00a0min`);
  const left = facts.limit_minutes - totals.used_minutes - totals.reserved_minutes;
  write($("limit"), `${grouped(Math.max(0, Math.floor(left)))}\u00a0left`);
  $("empty").hidden = totals.videos > 0;
  const unseen = totals.videos - rows.size;
  $("more").hidden = unseen <= 0;
  write($("more"), `${grouped(unseen)} older ones are not shown.`);
  document.title = `${totals.pending ? `(${totals.pending} pending) ` : ""}Embedded Stream`;
}

function place(uid, video) {
  const before = videos.get(uid);
  videos.set(uid, video);
  let row = rows.get(uid);
  if (!row) {
    row = newRow(uid);
    rows.set(uid, row);
  }
  if (!before || isPending(before) !== isPending(video)) putInOrder(row, video);
  row.show(video);
  if (!started || before?.state === video.state) return;
  tell(video, isPending(video) ? "began" : `is ${stateWords(video)}`);
}

// What is pending comes first, then what is new.
function putInOrder(row, video) {
  const focused = row.contains(document.activeElement) ? document.activeElement : null;
  const rank = (one) => [isPending(one) ? 1 : 0, one.created];
  const [pending, created] = rank(video);
  const later = [...$("videos").children].find((other) => {
    const [otherPending, otherCreated] = rank(videos.get(other.dataset.uid));
    return other !== row
      && (otherPending < pending || (otherPending === pending && otherCreated < created));
  });
  $("videos").insertBefore(row, later ?? null);
  focused?.focus({ preventScroll: true });
}

function remove(uid) {
  const row = rows.get(uid);
  if (!row) return;
  const focus = row.contains(document.activeElement) || document.activeElement === document.body;
  const next = row.nextElementSibling ?? row.previousElementSibling;
  tell(videos.get(uid), isPending(videos.get(uid)) ? "is gone, nothing pending of it" : "is gone");
  videos.delete(uid);
  rows.delete(uid);
  row.remove();
  if (focus) (next?.querySelector("a") ?? $("videos-title")).focus({ preventScroll: true });
}

function tell(video, words) {
  const name = make("bdi", "", nameOf(video));
  const time = make("span", "time", new Date().toTimeString().slice(0, 8));
  $("news").replaceChildren(time, " ", name, ` ${words}`);
}

function newRow(uid) {
  const row = make("li");
  row.dataset.uid = uid;
  const picture = make("img", "picture");
  picture.alt = "";
  picture.src = "/emulator/assets/film.svg";
  picture.width = 112;
  picture.height = 63;
  const link = make("a", "name");
  link.href = `/videos/${uid}`;
  const name = make("bdi");
  link.append(name);
  const state = make("span", "state");
  const about = make("p", "quiet about");
  const bar = progressBar();
  const button = make("button", "subtle", "Delete");
  button.onclick = () => askToDelete(videos.get(uid), (done) => {
    if (!done) tell(videos.get(uid), "could not be deleted");
  });
  const head = make("p", "head");
  head.append(link, " ", state);
  const body = make("div", "body");
  body.append(head, about, bar);
  row.append(picture, body, button);
  row.show = (video) => {
    row.className = stateKind(video);
    write(name, nameOf(video));
    write(state, stateWords(video));
    state.className = `state ${stateKind(video)}`;
    button.setAttribute("aria-label", `Delete ${nameOf(video)}`);
    const told = [size(video.length), `${span(here.now() - video.created)} ago`];
    if (video.meta.name) told.push(uid.slice(0, 8));
    if (video.state === "inprogress") told.push(`encoding ${Math.round(video.percent)}\u00a0%`);
    if (video.reason) told.push(video.reason);
    write(about, told.join(" · "));
    bar.hidden = !isPending(video);
    if (isPending(video)) bar.show(video, here.now());
    const seen = video.playable
      ? `/emulator/videos/${uid}/thumbnail` : "/emulator/assets/film.svg";
    if (picture.getAttribute("src") !== seen) picture.src = seen;
  };
  return row;
}
