// SPDX-License-Identifier: Apache-2.0
//
// Beside the tiles: the last events, workers, zones, reloads.

import { byId, make, makeIcon, setText, setTable } from "./dom.js";
import { bytes, clock, count, duration, plural } from "./words.js";

const eventsShownMax = 100;

/// Tone and icon of an event's level.
const levels = {
  good: { tone: "good", icon: "good" },
  bad: { tone: "bad", icon: "bad" },
  warn: { tone: "warn", icon: "warn" },
  note: { tone: "info", icon: "note" },
};

export class Panels {
  constructor() {
    this.shownEvents = undefined;
  }

  show({ state }) {
    this.showEvents(state.events);
    this.showWorkers(state);
    this.showZones(state.zones);
    const { reloads } = state.weir;
    const parts = [plural(reloads.done, "reload")];
    if (reloads.refused) parts.push(`${count(reloads.refused)} refused`);
    if (reloads.lastAt) parts.push(`last ${clock(reloads.lastAt)}`);
    setText(byId("freshness"), `As of ${clock(state.at)} · ${parts.join(", ")} · master process ${state.weir.pid}`);
  }

  /// Newest first. Events never change once they are there, so their ends tell whether there are new ones.
  showEvents(events) {
    const ends = JSON.stringify([events.length, events[0], events.at(-1)]);
    if (ends === this.shownEvents) return;
    this.shownEvents = ends;
    const items = events.slice(-eventsShownMax).reverse().map((event) => {
      const { tone, icon } = levels[event.level] ?? levels.note;
      const mark = make("span", { "data-tone": tone }, makeIcon(icon));
      const at = new Date(event.at);
      const time = make("time", { datetime: at.toISOString() }, clock(event.at));
      return make("li", {}, mark, time, make("p", {}, make("b", {}, event.title), ` ${event.text}`));
    });
    if (!items.length) items.push(make("li", {}, make("p", { class: "quiet" }, "Nothing has happened yet.")));
    byId("events").replaceChildren(...items);
  }

  showWorkers({ workers, at }) {
    const rows = workers.map((worker) => [
      `${worker.number}`, `${worker.pid}`, worker.state, count(worker.active), `${worker.respawns}`,
    ]);
    setTable(byId("workers"), ["Worker", "Process", "State", "Sessions", "Restarts"], rows);
  }

  showZones(zones) {
    byId("zones-card").hidden = zones.length === 0;
    if (!zones.length) return;
    const rows = zones.map((zone) => [
      zone.name, count(zone.active), count(zone.sessions), count(zone.failed), bytes(zone.received), bytes(zone.sent),
    ]);
    setTable(byId("zones"), ["Zone", "Now", "Ended", "Failed", "Received", "Sent"], rows);
  }
}
