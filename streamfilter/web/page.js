// The page: listens to the server, keeps a tile for each camera, and says so when it hears nothing any more.

import { Pictures } from "./pictures.js";
import { Tile, drawOn, moodOf, stateOf } from "./tile.js";
import { element, setAttribute, setText } from "./timeline.js";

const SILENT_MS = 3500; // the server tells something every second
const AGAIN_MS = 2000;
const TILE_FPS = 10;
const LARGE_FPS = 25;
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const COUNTS = ["No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten"];

const byId = id => document.getElementById(id);
const tiles = new Map();
const seen = new Set();
const large = byId("large");
let enlarged = null;
let heardAt = performance.now();
let lostSince = null;
let source = null;
let lastSecond = -1;

const pictures = new Pictures((name, bitmap) => {
  const tile = tiles.get(name);
  tile?.show(bitmap);
  if (tile && tile === enlarged) drawOn(byId("large-picture"), bitmap);
});
const watcher = new IntersectionObserver(entries => {
  for (const { target, isIntersecting } of entries) seen[isIntersecting ? "add" : "delete"](target.dataset.camera);
  choosePictures();
}, { rootMargin: "100px" });

// Only what can be seen is fetched, and no larger than it is shown.
function choosePictures() {
  if (document.hidden || lostSince) return pictures.want([], 0, 0);
  if (enlarged) return pictures.want([enlarged.name], devicePixels(large), LARGE_FPS);
  const names = [...seen].filter(name => tiles.has(name)).sort();
  const widths = names.map(name => devicePixels(tiles.get(name).canvas));
  pictures.want(names, Math.max(160, ...widths), TILE_FPS);
}

function devicePixels(node) {
  const pixels = node.clientWidth * Math.min(devicePixelRatio, 2);
  return Math.min(1920, Math.max(160, 160 * Math.ceil(pixels / 160)));
}

function listen() {
  source?.close();
  source = new EventSource("/events");
  source.onmessage = ({ data }) => hear(JSON.parse(data));
  source.onerror = () => lose();
}

function hear({ second, cameras }) {
  heardAt = performance.now();
  if (second < lastSecond) for (const tile of tiles.values()) tile.timeline.forget(); // another run of the server
  lastSecond = second;
  if (lostSince) found();
  setText(byId("link"), "Connected");
  for (const camera of cameras) tell(camera, second);
  const names = new Set(cameras.map(({ name }) => name));
  for (const [name, tile] of tiles) if (!names.has(name)) remove(name, tile);
  summarise(cameras);
}

function tell(camera, second) {
  const tile = tiles.get(camera.name) ?? add(camera.name);
  const before = tile.camera && stateOf(tile.camera);
  tile.update(camera, second);
  if (before && before !== stateOf(camera) && !camera.silent_s) announce(camera, tile);
  if (tile === enlarged) describeLarge();
}

function announce(camera, tile) {
  const reason = camera.well ? "" : tile.events.at(-1)?.reason;
  const line = `${camera.name}: ${stateOf(camera)}${reason ? `, ${reason}` : ""}.`;
  const heard = byId("heard");
  if (heard.children.length > 5) heard.firstElementChild.remove();
  element(heard, "span", "", `${line} `);
}

function add(name) {
  const tile = new Tile(name, enlarge);
  tiles.set(name, tile);
  byId("tiles").append(tile.node);
  watcher.observe(tile.node);
  return tile;
}

function remove(name, tile) {
  if (tile === enlarged) large.close();
  watcher.unobserve(tile.node);
  tile.node.remove();
  tiles.delete(name);
  seen.delete(name);
  choosePictures();
}

function summarise(cameras) {
  const ill = cameras.filter(camera => !camera.well);
  const live = cameras.filter(camera => camera.state === "live" && camera.well).length;
  setText(byId("headline"), headline(cameras.length, live, ill.length));
  setText(byId("advice"), advice(ill, cameras.filter(({ sinks }) => sinks?.some(sink => !sink.well))));
  setAttribute(document.querySelector(".banner"), "data-mood", ill.length ? "bad" : "good");
  document.title = ill.length ? `(${ill.length}) streamfilter` : "streamfilter";
}

function headline(all, live, ill) {
  if (!all) return "Waiting for the cameras";
  if (live === all) return all === 1 ? "The camera is live" : `All ${count(all).toLowerCase()} cameras are live`;
  if (!live && !ill) return all === 1 ? "The camera has ended" : "All cameras have ended";
  if (all === 1) return "The camera is not live";
  return `${live ? count(live) : "None"} of ${count(all).toLowerCase()} cameras ${live <= 1 ? "is" : "are"} live`;
}

function advice(ill, cut) {
  const names = cameras => list(cameras.map(({ name }) => name));
  return [
    ill.length ? `${names(ill)} ${ill.length === 1 ? "needs" : "need"} a look.` : "",
    cut.length ? `${cut.length === 1 ? "A sink of" : "Sinks of"} ${names(cut)} ${cut.length === 1 ? "is" : "are"} in trouble.` : "",
  ].join(" ").trim();
}

function count(number) {
  return COUNTS[number] ?? String(number);
}

function list(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function lose() {
  if (!lostSince) {
    lostSince = new Date();
    document.body.classList.add("is-lost");
    setText(byId("link"), "Not connected");
    byId("lost").hidden = false;
    setText(byId("lost"), `The connection to the server was lost at ${CLOCK.format(lostSince)}. What you see is old. Trying again.`);
    choosePictures();
  }
}

function found() {
  lostSince = null;
  document.body.classList.remove("is-lost");
  byId("lost").hidden = true;
  setText(byId("lost"), "");
  choosePictures();
}

// A server that hangs closes nothing, and a browser gives up after an answer that is no stream: so look, and try again.
async function look() {
  if (performance.now() - heardAt > SILENT_MS) lose();
  if (lostSince && performance.now() - heardAt > SILENT_MS) {
    heardAt = performance.now() - SILENT_MS + AGAIN_MS;
    if (await tokenIsAsked()) setText(byId("lost"), "The server has been started anew. Open its address with the token again.");
    listen();
  }
}

async function tokenIsAsked() {
  try {
    return (await fetch("/healthz")).status === 401;
  } catch {
    return false;
  }
}

function enlarge(tile) {
  enlarged = tile;
  setText(byId("large-name"), tile.name);
  byId("large-picture").setAttribute("aria-label", `Protected picture of ${tile.name}, enlarged`);
  drawOn(byId("large-picture"), tile.canvas);
  describeLarge();
  large.showModal();
  choosePictures();
}

function describeLarge() {
  const { camera, events } = enlarged;
  setText(byId("large-state"), stateOf(camera));
  setAttribute(byId("large-state"), "data-mood", moodOf(camera));
  const key = events.map(event => event.at).join();
  const box = byId("large-events");
  if (box.dataset.key === `${enlarged.name} ${key}`) return;
  box.dataset.key = `${enlarged.name} ${key}`;
  box.replaceChildren();
  for (const event of [...events].reverse()) {
    const row = element(box, "li", "");
    element(row, "time", "", CLOCK.format(event.at));
    element(row, "span", "", stateOf({ state: event.state }));
    element(row, "span", "note", event.reason);
  }
}

large.addEventListener("close", () => {
  enlarged = null;
  choosePictures();
});
large.addEventListener("click", event => event.target === large && large.close());
byId("large-close").addEventListener("click", () => large.close());
document.addEventListener("visibilitychange", choosePictures);
addEventListener("resize", choosePictures);
setInterval(look, 500);
listen();
