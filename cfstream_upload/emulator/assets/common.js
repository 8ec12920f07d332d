// What both pages need: elements, words for numbers, the live line, the question before a deletion.

export const $ = (id) => document.getElementById(id);

// Text is set as text, never as markup: names come from whoever uploads.
export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

// Writing the same words again would make screen readers repeat them.
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

// A number and its unit stay on one line.
export function size(bytes) {
  let power = 0;
  while (bytes >= 999.5 && power < UNITS.length - 1) {
    bytes /= 1000;
    power += 1;
  }
  return `${power ? bytes.toFixed(bytes < 9.95 ? 1 : 0) : bytes}\u00a0${UNITS[power]}`;
}

export function span(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds}\u00a0s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}\u00a0min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)}\u00a0h`;
  return `${Math.floor(seconds / 86400)}\u00a0days`;
}

export const grouped = (number) => number.toLocaleString("en").replaceAll(",", "\u202f");

// Characters that turn or hide what stands around them are shown by their numbers.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
export const plain = (text) => text.replace(
  HIDDEN, (sign) => `\\u${sign.codePointAt(0).toString(16).padStart(4, "0")}`);
export const nameOf = (video) => plain(video.meta.name || video.uid);
export const isPending = (video) => video.state === "pendingupload";

// Between two chunks an upload goes on.
const lastSent = new Map();

export function isSending(video) {
  const now = performance.now();
  if (video.sending) lastSent.set(video.uid, now);
  return isPending(video) && now - (lastSent.get(video.uid) ?? -Infinity) < 1500;
}

export function stateWords(video) {
  if (isPending(video)) {
    if (isSending(video)) return "uploading";
    return video.expired ? "pending, link expired" : "pending upload";
  }
  return { queued: "queued", inprogress: "encoding", ready: "ready", error: "failed" }[video.state]
    ?? video.state;
}

export function stateKind(video) {
  if (isPending(video)) return "pending";
  return { ready: "ready", error: "failed" }[video.state] ?? "busy";
}

// Bytes a second over the last moments, per video.
const pasts = new Map();

export function rate(video) {
  const now = performance.now();
  const past = pasts.get(video.uid) ?? [];
  if (!isSending(video)) past.length = 0;
  past.push([now, video.received]);
  while (past.length > 2 && now - past[0][0] > 3000) past.shift();
  pasts.set(video.uid, past);
  const [then, before] = past[0];
  return now - then > 300 ? Math.max(0, (1000 * (video.received - before)) / (now - then)) : 0;
}

// A bar of what is acknowledged, what has come beyond it, and words below.
export function progressBar() {
  const root = make("div", "progress");
  const bar = make("div", "bar");
  const words = make("p", "quiet");
  bar.setAttribute("role", "progressbar");
  bar.setAttribute("aria-label", "bytes received");
  bar.append(make("span", "came"), make("span", "safe"));
  root.append(bar, words);
  root.show = (video, now) => {
    const share = (bytes) => (video.length ? (100 * bytes) / video.length : 0);
    const percent = Math.floor(share(video.received));
    bar.style.setProperty("--came", `${share(video.received)}%`);
    bar.style.setProperty("--safe", `${share(video.offset)}%`);
    bar.setAttribute("aria-valuenow", percent);
    bar.setAttribute("aria-valuetext", `${percent} %`);
    const told = [`${size(video.received)} of ${size(video.length)}`, `${percent}\u00a0%`];
    const speed = rate(video);
    if (speed > 0) told.push(`${size(Math.round(speed))}/s`);
    if (!isSending(video) && !video.expired) told.push(`link ends in ${span(video.expiry - now)}`);
    write(words, told.join(" · "));
  };
  return root;
}

// Server-sent events, only while the page is seen: a browser has six connections to a server.
export function watch(query, heard) {
  let source = null;
  let ahead = 0;
  const line = $("line");
  const say = (kind, words) => {
    line.className = `line ${kind}`;
    write(line, words);
  };
  const open = () => {
    source = new EventSource(`/emulator/events${query}`);
    let over = false;
    source.onopen = () => say("live", "live");
    // The browser asks again and again by itself, so that a new server is found.
    source.onerror = () => over || say("lost", "no connection");
    source.onmessage = (event) => {
      const change = JSON.parse(event.data);
      over = Boolean(change.over);
      if (over) {
        say("lost", "the server has ended: start it by cfupload emulator, or by any command with --local");
        return;
      }
      if (change.fresh) ahead = change.now - Date.now();
      heard(change);
    };
  };
  const close = () => {
    source?.close();
    source = null;
    say("", "paused");
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else if (!source) open();
  });
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", () => source ?? open());
  if (!source && !document.hidden) open();
  return { now: () => Date.now() + ahead };
}

// Ask before a video is deleted; `done` hears whether it was.
export function askToDelete(video, done) {
  const dialog = $("confirm");
  write($("confirm-name"), nameOf(video));
  $("confirm-no").onclick = () => dialog.close();
  $("confirm-yes").onclick = async () => {
    dialog.close();
    let reply = null;
    try {
      reply = await fetch(`/emulator/videos/${video.uid}`, { method: "DELETE" });
    } catch {
      // Told by `done`, as a refusal is.
    }
    done(reply !== null && (reply.ok || reply.status === 404));
  };
  dialog.showModal();
}
