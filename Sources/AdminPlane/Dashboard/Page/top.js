// SPDX-License-Identifier: Apache-2.0
//
// The top of the page, what a glance must give: how many brokers are healthy, sessions, rates, and the traffic as
// water. Health changes are also said to screen readers.

import { byId, make, makeLine, setAttribute, setIcon, setText } from "./dom.js";
import { drawLine, drawWave } from "./lines.js";
import { byteRate, count, duration, plural, rate, stateOf } from "./words.js";

const figures = [
  { title: "Sessions", line: "active", value: (model, sum) => [count(sum.active), ""] },
  { title: "New sessions", line: "sessions", value: (model) => rate(model.total.rates.sessions, "/s") },
  { title: "To brokers", line: "toPeer", value: (model) => byteRate(model.total.rates.toPeer) },
  { title: "To devices", line: "fromPeer", value: (model) => byteRate(model.total.rates.fromPeer) },
];

export class Top {
  constructor() {
    this.places = figures.map(({ title }) => {
      const place = { number: make("span"), unit: make("span", { class: "unit" }), line: makeLine(200, 30) };
      const detail = make("dd", {}, place.number, place.unit, place.line);
      byId("figures").append(make("div", {}, make("dt", {}, title), detail));
      return place;
    });
    /// States of the brokers as they were last said, by id.
    this.said = undefined;
  }

  show(model, hasNewPoint) {
    const brokers = [...model.brokers()];
    const sum = { active: 0 };
    for (const { broker } of brokers) sum.active += broker.active;
    this.showOverall(model, brokers);
    figures.forEach(({ line, value }, index) => {
      const place = this.places[index];
      const [number, unit] = value(model, sum);
      setText(place.number, number);
      setText(place.unit, unit && ` ${unit}`);
      if (hasNewPoint) drawLine(place.line, model.total.history[line]);
    });
    if (hasNewPoint) this.showWater(model);
    const { weir, at } = model.state;
    const parts = [`Weir ${weir.version}`, `up ${duration(at - weir.startedAt)}`, `generation ${weir.generation}`];
    setText(byId("build"), parts.join(" · "));
    this.announce(brokers);
  }

  showOverall(model, brokers) {
    const well = brokers.filter(({ broker }) => stateOf(broker).takes).length;
    const { tone, icon, text } = overall(well, brokers);
    const heading = byId("overall");
    setAttribute(heading, "data-tone", tone);
    setIcon(heading.firstElementChild, icon);
    setText(heading.lastElementChild, text);
    const troubles = brokers.filter(({ broker }) => ["bad", "warn"].includes(stateOf(broker).tone));
    const say = ({ broker }) => `${broker.address}: ${broker.reason || stateOf(broker).word}`;
    const first = troubles.slice(0, 2).map(say);
    if (troubles.length > 2) first.push(`and ${plural(troubles.length - 2, "more", "more")}`);
    setText(byId("overall-note"), first.join(" · ") || quietNote(brokers));
    const title = brokers.length ? `${well}/${brokers.length} healthy · Weir` : "Weir";
    document.title = tone === "bad" ? `✖ ${title}` : title;
  }

  showWater(model) {
    const { history } = model.total;
    const [back, front] = byId("water").querySelectorAll("path");
    drawWave(back, history.fromPeer ?? [], 600, 100, 0.8);
    drawWave(front, history.toPeer ?? [], 600, 100, 0.55);
  }

  announce(brokers) {
    const now = new Map(brokers.map(({ broker }) => [broker.id, broker]));
    const changes = [];
    for (const [id, broker] of now) {
      const before = this.said?.get(id);
      if (before === undefined || before.state === broker.state) continue;
      changes.push([broker.address, `is ${stateOf(broker).word}`, broker.reason].filter(Boolean).join(" "));
    }
    this.said = now;
    if (!changes.length) return;
    const rest = changes.length > 3 ? [`${changes.length - 3} more brokers changed`] : [];
    byId("announce").textContent = [...changes.slice(0, 3), ...rest].join(". ");
  }
}

function overall(well, brokers) {
  const isBad = brokers.some(({ broker }) => stateOf(broker).tone === "bad");
  if (brokers.length === 0) return { tone: "warn", icon: "warn", text: "No brokers are configured" };
  if (well === 0) return { tone: "bad", icon: "bad", text: "No broker takes new sessions" };
  if (well === brokers.length) {
    const text = well === 1 ? "The broker is healthy" : `All ${count(well)} brokers healthy`;
    return { tone: "good", icon: "good", text };
  }
  const text = `${count(well)} of ${plural(brokers.length, "broker")} healthy`;
  return isBad ? { tone: "bad", icon: "bad", text } : { tone: "warn", icon: "warn", text };
}

/// What is not healthy without being trouble.
function quietNote(brokers) {
  const parts = [];
  const words = { draining: "draining", down: "taken down", checking: "being checked", slow: "slow-starting" };
  for (const [state, word] of Object.entries(words)) {
    const number = brokers.filter(({ broker }) => broker.state === state).length;
    if (number) parts.push(`${count(number)} ${word}`);
  }
  return parts.join(" · ") || "\u00a0";
}
