// SPDX-License-Identifier: Apache-2.0
//
// Brokers as tiles, grouped by upstream, in configured order; where there are many, those in trouble come first. A tile
// is a button that opens the broker's details; it is made once and changed in place, so that focus stays where it is.

import { make, makeIcon, makeLine, setAttribute, setIcon, setText } from "./dom.js";
import { drawLine } from "./lines.js";
import { byteRate, clock, count, nameOf, plural, rate, shortDuration, stateOf, states } from "./words.js";

/// From here on tiles are small and without lines.
const manyBrokers = 25;

export class Tiles {
  constructor(place, { onOpen }) {
    this.place = place;
    this.onOpen = onOpen;
    this.groups = new Map();
    this.tiles = new Map();
    this.onlyTrouble = false;
  }

  show(model, hasNewPoint) {
    const { groups } = model.state;
    let total = 0;
    for (const group of groups) total += group.brokers.length;
    const isMany = total >= manyBrokers;
    document.body.classList.toggle("many", isMany);

    const present = new Set(groups.map((group) => group.name));
    for (const [name, view] of this.groups) {
      if (present.has(name)) continue;
      view.section.remove();
      this.groups.delete(name);
    }
    const ids = new Set();
    groups.forEach((group, index) => {
      const view = this.groupView(group.name);
      putAt(this.place, index, view.section);
      this.showHead(view, group);
      let shown = 0;
      for (const broker of isMany ? troubleFirst(group.brokers) : group.brokers) {
        ids.add(broker.id);
        const tile = this.tile(broker);
        const isShown = !this.onlyTrouble || !stateOf(broker).takes;
        tile.item.hidden = !isShown;
        if (!isShown) continue;
        putAt(view.list, shown, tile.item);
        shown += 1;
        this.showTile(tile, broker, model, hasNewPoint && !isMany);
      }
      view.section.hidden = shown === 0;
    });
    for (const [id, tile] of this.tiles) {
      if (ids.has(id)) continue;
      tile.item.remove();
      this.tiles.delete(id);
    }
  }

  groupView(name) {
    let view = this.groups.get(name);
    if (view) return view;
    const heading = make("h3", { id: `group-${this.groups.size}-${Date.now()}` }, name);
    const note = make("p");
    const shares = make("div", { class: "shares", "aria-hidden": "true" });
    const list = make("ul", { class: "tiles", "aria-labelledby": heading.id });
    const head = make("div", { class: "group-head" }, heading, note, shares);
    const section = make("section", { class: "group", "aria-labelledby": heading.id }, head, list);
    view = { section, note, shares, list };
    this.groups.set(name, view);
    return view;
  }

  showHead(view, group) {
    const numbers = new Map();
    for (const name of group.brokers.map(nameOf)) numbers.set(name, (numbers.get(name) ?? 0) + 1);
    const parts = Object.keys(states).filter((state) => numbers.has(state));
    const words = parts.map((state) => `${numbers.get(state)} ${states[state].word}`);
    setText(view.note, [group.method, ...words].filter(Boolean).join(" · "));
    while (view.shares.childElementCount > parts.length) view.shares.lastChild.remove();
    parts.forEach((state, index) => {
      const share = view.shares.children[index] ?? view.shares.appendChild(make("span"));
      setAttribute(share, "data-tone", states[state].tone);
      share.style.flexGrow = String(numbers.get(state));
    });
  }

  tile(broker) {
    let tile = this.tiles.get(broker.id);
    if (tile) return tile;
    tile = {
      icon: makeIcon("wait"),
      word: make("span"),
      since: make("span", { class: "since" }),
      name: make("span", { class: "tile-name" }),
      reason: make("span", { class: "tile-reason" }),
      line: makeLine(200, 36),
      active: make("span"),
      sessions: make("span", { class: "extra" }),
      traffic: make("span", { class: "extra" }),
    };
    const state = make("span", { class: "tile-state" }, tile.icon, tile.word, tile.since);
    const figures = make("span", { class: "tile-figures" }, tile.active, tile.sessions, tile.traffic);
    const attributes = { class: "tile", type: "button", "aria-haspopup": "dialog", "data-broker": broker.id };
    tile.button = make("button", attributes, state, tile.name, tile.reason, tile.line, figures);
    tile.button.addEventListener("click", () => this.onOpen(broker.id));
    tile.button.addEventListener("animationend", () => tile.button.classList.remove("has-changed"));
    tile.item = make("li", {}, tile.button);
    this.tiles.set(broker.id, tile);
    return tile;
  }

  showTile(tile, broker, model, hasNewPoint) {
    const state = stateOf(broker);
    const { rates, history } = model.track(broker.id);
    if (tile.state !== undefined && tile.state !== broker.state) tile.button.classList.add("has-changed");
    tile.state = broker.state;
    setAttribute(tile.button, "data-tone", state.tone);
    setAttribute(tile.button, "data-state", broker.state);
    setIcon(tile.icon, state.icon);
    setText(tile.word, state.word);
    setText(tile.since, broker.since ? shortDuration(model.state.at - broker.since) : "");
    setText(tile.name, broker.address);
    setText(tile.reason, broker.reason ?? "");
    setFigure(tile.active, count(broker.active), broker.active === 1 ? "session" : "sessions");
    setFigure(tile.sessions, ...rate(rates.sessions, "new/s"));
    setFigure(tile.traffic, ...byteRate(rates.bytes));
    if (hasNewPoint) drawLine(tile.line, history.bytes);
    const since = broker.since ? `since ${clock(broker.since)}` : "";
    const words = [broker.address, state.word, broker.reason, since, plural(broker.active, "session")];
    setAttribute(tile.button, "aria-label", words.filter(Boolean).join(", "));
  }

  /// Marks the tile of a search's answer and brings it into view; nothing when there is none.
  mark(id) {
    for (const tile of this.tiles.values()) tile.button.classList.remove("is-found");
    const tile = this.tiles.get(id);
    if (!tile) return;
    tile.button.classList.add("is-found");
    if (!tile.item.hidden) tile.item.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  focus(id) {
    this.tiles.get(id)?.button.focus();
  }
}

/// Moves an element only where it must: one that is moved loses its focus.
function putAt(parent, index, element) {
  const present = parent.children[index] ?? null;
  if (present !== element) parent.insertBefore(element, present);
}

function troubleFirst(brokers) {
  const isTrouble = (broker) => ["bad", "warn"].includes(stateOf(broker).tone);
  return [...brokers.filter(isTrouble), ...brokers.filter((broker) => !isTrouble(broker))];
}

function setFigure(element, number, unit) {
  if (!element.firstChild) element.append(make("b"), document.createTextNode(""));
  setText(element.firstChild, number);
  const rest = ` ${unit}`;
  if (element.lastChild.data !== rest) element.lastChild.data = rest;
}
