// The last ten minutes of a camera in three lanes: faces covered, frames blanked, no signal.

const SPAN_S = 600;
const STEP_S = 4; // a mark of one second would be thinner than a pixel
const HEIGHT = 10;
const SVG = "http://www.w3.org/2000/svg";

// A second is [at, replaced, covered, blanked, noSignal].
const LANES = [
  { key: "covered", name: "covered", share: ([, replaced, covered]) => covered && covered / (covered + replaced) },
  { key: "blanked", name: "blank", share: ([, , , blanked]) => (blanked ? 1 : 0) },
  { key: "no-signal", name: "no signal", share: ([, , , , noSignal]) => noSignal },
];

export class Timeline {
  constructor(parent) {
    this.seconds = new Map();
    this.lanes = LANES.map(lane => ({ ...lane, ...draw(parent, lane) }));
  }

  forget() {
    this.seconds.clear();
  }

  // Take in seconds, replacing those that were told before, and show what is left of the last ten minutes.
  update(seconds, now) {
    for (const second of seconds) this.seconds.set(second[0], second);
    for (const at of this.seconds.keys()) if (at <= now - SPAN_S) this.seconds.delete(at);
    const all = [...this.seconds.values()];
    for (const lane of this.lanes) {
      const shares = all.map(second => [second[0], lane.share(second)]).filter(([, share]) => share);
      setAttribute(lane.path, "d", path(shares, now));
      setText(lane.words, shares.length ? `${lane.name} in ${shares.length} of 600 seconds` : `${lane.name}: never`);
      setText(lane.count, shares.length ? span(shares.length) : "–");
    }
  }
}

function draw(parent, { key, name }) {
  const row = element(parent, "div", `lane ${key}`);
  const label = element(row, "span", "lane-name", name);
  label.setAttribute("aria-hidden", "true");
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", `0 0 ${SPAN_S} ${HEIGHT}`);
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("aria-hidden", "true");
  const marks = document.createElementNS(SVG, "path");
  drawing.append(marks);
  row.append(drawing);
  const count = element(row, "span", "lane-count");
  count.setAttribute("aria-hidden", "true");
  return { path: marks, count, words: element(row, "span", "unseen") };
}

// One bar a step, as high as the largest share in it; steps are aligned to the clock, so that bars keep their shape.
function path(shares, now) {
  const steps = new Map();
  for (const [at, share] of shares) {
    const step = Math.floor(at / STEP_S);
    steps.set(step, Math.max(share, steps.get(step) || 0));
  }
  return [...steps].map(([step, share]) => {
    const x = Math.max(0, SPAN_S - 1 - now + step * STEP_S);
    const height = HEIGHT * Math.max(0.35, share);
    return `M${x} ${HEIGHT}v${-height}h${STEP_S}v${height}z`;
  }).join("");
}

function span(seconds) {
  return seconds < 100 ? `${seconds} s` : `${(seconds / 60).toFixed(1)} min`;
}

export function element(parent, kind, css, text = "") {
  const made = document.createElement(kind);
  made.className = css;
  made.textContent = text;
  parent.append(made);
  return made;
}

// Writing what is there already would make screen readers and the layout work for nothing.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}
