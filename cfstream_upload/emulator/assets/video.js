// One video: played where its bytes are kept, and all that is known of it.
import {
  $, askToDelete, grouped, isPending, make, nameOf, plain, progressBar, size, stateKind, stateWords,
  watch, write,
} from "./common.js";

const uid = location.pathname.split("/").pop();
const bar = progressBar();
let video = null;
$("progress").append(bar);
$("delete").onclick = () => askToDelete(video, (done) => {
  if (!done) write($("news"), "It could not be deleted.");
});

const here = watch(`?uid=${uid}`, (change) => {
  const found = change.videos?.[uid];
  if (found) show(found);
  else if (change.gone?.includes(uid) || (change.fresh && !found)) gone();
});

function show(seen) {
  if (video && video.state !== seen.state) write($("news"), stateWords(seen));
  video = seen;
  write($("name"), nameOf(video));
  document.title = `${nameOf(video)} - Embedded Stream`;
  write($("state"), stateWords(video));
  $("state").className = `state ${stateKind(video)}`;
  $("progress").hidden = !isPending(video);
  if (isPending(video)) bar.show(video, here.now());
  $("delete").hidden = false;
  play();
  list();
}

function play() {
  const player = $("player");
  const address = `/emulator/videos/${uid}/media`;
  if (video.playable && player.getAttribute("src") !== address) {
    player.src = address;
    player.onerror = () => note("This browser cannot play the file.");
  }
  player.hidden = !video.playable;
  if (video.playable) note(player.error ? "This browser cannot play the file." : "");
  else if (isPending(video)) note("It can be played once all its bytes are there.");
  else note("This server keeps only the digest of what is sent, so there is nothing to play. "
    + "Started with a folder for its videos, it plays them.");
}

function note(words) {
  $("note").hidden = !words;
  write($("note"), words);
}

function list() {
  const time = (milliseconds) => new Date(milliseconds).toLocaleString(
    undefined, { dateStyle: "medium", timeStyle: "medium" });
  const facts = [
    ["UID", uid, "code"],
    ["Size", `${size(video.length)} (${grouped(video.length)} bytes)`],
    ["Acknowledged", isPending(video) ? `${grouped(video.offset)} bytes` : ""],
    ["Created", time(video.created)],
    ["Upload link until", isPending(video) ? time(video.expiry) : ""],
    ["Creator", video.creator ?? ""],
    ["Failed because", video.reason],
    ...Object.entries(video.meta).map(([key, value]) => [`meta ${key}`, value]),
  ].filter(([, value]) => value);
  $("facts").replaceChildren(...facts.flatMap(([key, value, tag]) => {
    const term = make("dt");
    term.append(make("bdi", "", plain(key)));
    const told = make("dd");
    told.append(make(tag ?? "bdi", "", plain(value)));
    return [term, told];
  }));
}

function gone() {
  const words = video ? "This video is gone." : "There is no such video.";
  $("player").removeAttribute("src");
  $("player").load();
  $("player").hidden = $("progress").hidden = $("delete").hidden = true;
  if (!video) write($("name"), uid);
  write($("state"), "gone");
  $("state").className = "state failed";
  note(words);
  write($("news"), words);
}
