// Faults and the request log, over the server's own HTTP interface.
import { $, make, size, write } from "./common.js";

const PRESETS = [
  ["Cut the next chunk", "PATCH 1 cut=1MB"],
  ["Lose the next create's reply", "POST 1 lose"],
  ["Refuse the next chunk (500)", "PATCH 1 status=500"],
  ["Never answer the next chunk", "PATCH 1 hang"],
];
const SHOWN = 100;
const PAUSE = 500;
let next = 0;
let started = false;
let waiting = false;
let again = false;

export function startControl() {
  if (started) return;
  started = true;
  $("faults").hidden = $("requests").hidden = false;
  for (const [words, text] of PRESETS) {
    const button = make("button", "", words);
    button.title = text;
    button.onclick = () => add(text);
    $("presets").append(button);
  }
  $("fault-form").onsubmit = async (event) => {
    event.preventDefault();
    if (await add($("fault-text").value)) $("fault-text").value = "";
  };
  $("fault-clear").onclick = () => change("", "DELETE");
}

// Many events come while an upload runs; one look at a time, and a pause after each.
export async function refreshControl() {
  if (waiting) {
    again = true;
    return;
  }
  waiting = true;
  again = false;
  try {
    await Promise.all([refreshFaults(), refreshLog()]);
  } catch {
    // The live line says that there is no connection.
  }
  setTimeout(() => {
    waiting = false;
    if (again) refreshControl();
  }, PAUSE);
}

async function add(text) {
  return change("", "POST", JSON.stringify({ fault: text }));
}

async function change(path, method, body) {
  let problem = "";
  try {
    const headers = body ? { "content-type": "application/json" } : {};
    const reply = await fetch(`/emulator/faults${path}`, { method, headers, body });
    if (!reply.ok) problem = (await reply.json()).error ?? `The server said ${reply.status}.`;
  } catch {
    problem = "The server could not be asked.";
  }
  write($("fault-error"), problem);
  await refreshFaults().catch(() => {});
  return !problem;
}

async function refreshFaults() {
  const reply = await fetch("/emulator/faults");
  if (!reply.ok) return;
  const { faults } = await reply.json();
  const known = new Map([...$("fault-list").children].map((item) => [item.dataset.id, item]));
  for (const fault of faults) {
    const id = String(fault.id);
    const item = known.get(id) ?? newFault(id);
    known.delete(id);
    item.show(fault);
  }
  for (const item of known.values()) item.remove();
  $("fault-none").hidden = faults.length > 0;
  $("fault-clear").hidden = faults.length < 2;
}

function newFault(id) {
  const item = make("li");
  item.dataset.id = id;
  const text = make("code");
  const told = make("span", "quiet");
  const button = make("button", "subtle", "Remove");
  button.onclick = () => change(`/${id}`, "DELETE");
  const words = make("p");
  words.append(text, " ", told);
  item.append(words, button);
  item.show = (fault) => {
    write(text, fault.text);
    button.setAttribute("aria-label", `Remove ${fault.text}`);
    item.className = fault.left === 0 ? "spent" : "";
    const left = fault.left === null ? "for ever" : fault.left ? `${fault.left} left` : "over";
    write(told, `struck ${fault.struck} of ${fault.seen} · ${left}`);
  };
  $("fault-list").append(item);
  return item;
}

async function refreshLog() {
  const reply = await fetch(`/emulator/log?after=${next}`);
  if (!reply.ok) return;
  const log = await reply.json();
  next = log.next;
  for (const entry of log.entries.slice(-SHOWN)) $("log").prepend(newEntry(entry));
  while ($("log").children.length > SHOWN) $("log").lastElementChild.remove();
  $("log-none").hidden = $("log").children.length > 0;
}

function newEntry(entry) {
  const row = make("tr", entry.fault ? "struck" : entry.status >= 400 ? "refused" : "");
  const what = make("td");
  what.append(make("b", "", entry.method), ` ${entry.kind}`);
  if (entry.uid) what.append(" ", make("code", "", String(entry.uid).slice(0, 8)));
  if (entry.fault) what.append(make("span", "fault", entry.fault));
  const at = new Date(typeof entry.at === "number" ? entry.at * 1000 : entry.at);
  row.append(
    make("td", "time", at.toTimeString().slice(0, 8)), what,
    make("td", "", String(entry.status ?? "none")),
    make("td", "number", entry.bytes ? size(entry.bytes) : "–"),
    make("td", "number", `${Number(entry.seconds ?? 0).toFixed(2)}\u00a0s`));
  return row;
}
