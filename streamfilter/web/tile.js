// One camera on the page: its picture, its state in words, its numbers, its last ten minutes, its sinks.

import { Timeline, element, setAttribute, setText } from "./timeline.js";

const STATES = {
  connecting: "Connecting", live: "Live", stalled: "Stalled", reconnecting: "Reconnecting", ended: "Ended",
};
const SINKS = {
  open: "Open", stalled: "Stalled", retrying: "Retrying", failed: "Failed", closed: "Closed", abandoned: "Abandoned",
};
const NUMBER = new Intl.NumberFormat("en", { useGrouping: true });

export function stateOf(camera) {
  if (camera.silent_s) return `No news for ${camera.silent_s} s`;
  return camera.gave_up ? "Given up" : STATES[camera.state] ?? camera.state;
}

// Colour goes with words everywhere; "good", "bad" and "over" choose it.
export function moodOf(camera) {
  if (!camera.well) return "bad";
  return camera.state === "ended" ? "over" : "good";
}

export class Tile {
  constructor(name, onEnlarge) {
    const article = document.getElementById("tile").content.firstElementChild.cloneNode(true);
    this.node = article;
    this.name = name;
    this.events = [];
    this.pictureAt = null;
    this.find = selector => article.querySelector(selector);
    article.dataset.camera = name;
    this.find(".name").textContent = name;
    article.setAttribute("aria-label", name);
    this.find(".enlarge").setAttribute("aria-label", `Enlarge ${name}`);
    this.find(".enlarge").addEventListener("click", () => onEnlarge(this));
    this.canvas = this.find("canvas");
    this.canvas.setAttribute("aria-label", `Protected picture of ${name}`);
    this.timeline = new Timeline(this.find(".lanes"));
  }

  show(bitmap) {
    drawOn(this.canvas, bitmap);
    this.node.classList.add("has-picture");
  }

  update(camera, second) {
    this.camera = camera;
    if (camera.events) this.events = camera.events.map(event => ({ ...event, at: Date.now() - 1000 * event.ago_s }));
    this.state(camera);
    for (const [figure, value] of [
      ["fps", decimal(camera.fps)], ["p50", milliseconds(camera.latency_p50_ms)], ["p95", milliseconds(camera.latency_p95_ms)],
    ]) setText(this.find(`[data-figure=${figure}]`), value);
    for (const node of this.node.querySelectorAll("[data-counter]")) {
      setText(node, NUMBER.format(camera.counters?.[node.dataset.counter] ?? 0));
    }
    this.timeline.update(camera.seconds ?? [], second);
    this.sinks(camera.sinks ?? []);
  }

  state(camera) {
    const state = this.find(".state");
    setText(state, stateOf(camera));
    setAttribute(state, "data-mood", moodOf(camera));
    setAttribute(this.node, "data-mood", moodOf(camera));
    const reason = this.find(".reason");
    const last = this.events.at(-1);
    reason.hidden = camera.well || !last?.reason;
    setText(reason, reason.hidden ? "" : sentence(last.reason));
    setText(this.find(".nothing"), camera.size ? "" : "No picture yet");
    if (camera.size && !this.node.classList.contains("has-picture")) {
      [this.canvas.width, this.canvas.height] = camera.size;
    }
  }

  sinks(sinks) {
    const list = this.find(".sinks ul");
    while (list.children.length > sinks.length) list.lastElementChild.remove();
    while (list.children.length < sinks.length) sinkRow(list);
    sinks.forEach((sink, at) => {
      const [name, state, counts, reason] = list.children[at].children;
      setText(name, sink.name);
      setText(state, SINKS[sink.state] ?? sink.state);
      setAttribute(state, "data-mood", sink.state === "closed" ? "over" : sink.well ? "good" : "bad");
      setText(counts, `${NUMBER.format(sink.written)} written, ${NUMBER.format(sink.dropped)} dropped`);
      setText(reason, sink.well ? "" : sentence(sink.error ?? ""));
    });
    this.find(".sinks").hidden = !sinks.length;
  }
}

export function drawOn(canvas, bitmap) {
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  }
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
}

function sinkRow(list) {
  const row = element(list, "li", "sink");
  for (const css of ["sink-name", "state", "sink-counts", "sink-reason"]) element(row, "span", css);
}

function decimal(number) {
  return number === undefined ? "–" : number.toFixed(1);
}

function milliseconds(number) {
  return number === null || number === undefined ? "–" : `${Math.round(number)} ms`;
}

function sentence(text) {
  return text && text[0].toUpperCase() + text.slice(1);
}
