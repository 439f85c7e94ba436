// SPDX-License-Identifier: Apache-2.0
//
// "Where is device…": asks the API for one client id, says where the device is and where the ring would put it, and
// marks the tile.

import { byId, make, setPairs } from "./dom.js";
import { findClient } from "./api.js";
import { bytes, clock, duration } from "./words.js";

export class Search {
  constructor(model, tiles) {
    this.model = model;
    this.tiles = tiles;
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.find(byId("search-id").value);
    });
  }

  async find(id) {
    const { api } = this.model;
    if (!api) {
      this.say(make("p", {}, "This server has no API location to ask."));
      return;
    }
    this.asked = id;
    this.say(make("p", { class: "quiet" }, "Asking all workers…"));
    try {
      const client = await findClient(api.path, id);
      // Somebody may have asked for another one meanwhile.
      if (this.asked === id) this.show(id, client);
    } catch (error) {
      if (this.asked === id) this.say(make("p", {}, `No answer: ${error.message}`));
    }
  }

  say(...parts) {
    byId("search-answer").replaceChildren(...parts);
  }

  show(id, { sessions = [], homes = [], faults = [] }) {
    const name = () => make("b", { class: "mono" }, id);
    const parts = sessions.flatMap((session) => this.session(name(), session));
    if (!sessions.length) parts.push(make("p", {}, name(), " is not connected."));
    for (const home of homes) parts.push(make("p", { class: "quiet" }, homeWords(home)));
    for (const fault of faults) {
      parts.push(make("p", {}, `Worker ${fault.worker} has not answered: ${fault.text}. It may be there.`));
    }
    this.say(...parts);
    this.tiles.mark(sessions[0]?.peer_id);
  }

  session(name, session) {
    const place = session.peer ? `is at ${session.peer}.` : `is in Weir (${session.phase}).`;
    const list = make("dl", { class: "pairs" });
    const since = Date.parse(session.since);
    setPairs(list, [
      ["Upstream", session.upstream ?? "–"],
      ["Since", `${clock(since)} (${duration(Date.now() - since)})`],
      ["Silent for", duration(session.idle_ms)],
      ["From", session.client ?? "a unix socket"],
      ["To the broker", bytes(session.received)],
      ["To the device", bytes(session.sent)],
      ["Keep-alive", session.keep_alive === undefined ? "–" : session.keep_alive ? `${session.keep_alive} s` : "off"],
      ["Protocol", `MQTT ${session.mqtt_version ?? "?"}${session.tls ? " over TLS" : ""}`],
      ["Worker", `${session.worker}`],
    ]);
    return [make("p", {}, name, ` ${place}`), list];
  }
}

/// Where an upstream's hash would put the id: with all servers well, and now.
function homeWords({ upstream, server, server_now: now, reason }) {
  if (!server) return `${upstream} has no home for it: ${reason}.`;
  if (now === server) return `Its home in ${upstream} is ${server}.`;
  return `Its home in ${upstream} is ${server}; now ${now ? `${now} stands` : "nobody stands"} in for it.`;
}
