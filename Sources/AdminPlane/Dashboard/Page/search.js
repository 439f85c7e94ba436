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
    const place = byId("search-answer");
    const say = (...parts) => place.replaceChildren(...parts);
    const { api } = this.model;
    if (!api) return say(make("p", {}, "This server has no API location to ask."));
    say(make("p", { class: "quiet" }, "Asking all workers…"));
    try {
      say(...this.answer(id, await findClient(api.path, id)));
    } catch (error) {
      say(make("p", {}, `No answer: ${error.message}`));
    }
  }

  answer(id, client) {
    const name = make("b", { class: "mono" }, id);
    const session = client?.sessions?.[0];
    if (!session) return [make("p", {}, name, " is not connected.")];
    return [make("p", {}, name, ` is at ${session.peer}.`)];
  }
}
