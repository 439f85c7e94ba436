// SPDX-License-Identifier: Apache-2.0
//
// The dashboard's beginning: the feed fills the model, the model is shown by the views.

import { byId, setText } from "./dom.js";
import { Details } from "./details.js";
import { Feed } from "./feed.js";
import { Model } from "./model.js";
import { Panels } from "./panels.js";
import { Search } from "./search.js";
import { Tiles } from "./tiles.js";
import { Top } from "./top.js";
import { clock, count, duration, stateOf } from "./words.js";

const model = new Model();
const topView = new Top();
const panels = new Panels();
const tiles = new Tiles(byId("groups"), { onOpen: (id) => details.open(id) });
const details = new Details(model, { onClose: (id) => tiles.focus(id) });
new Search(model, tiles);

const feed = new Feed("events", { onHello: ({ api }) => { model.api = api; }, onState: show, onLost: showLost });
let loss;
/// An open dialog covers the banner, so it says the same.
const lossNotes = [byId("lost"), byId("details-lost")];

byId("lost-retry").addEventListener("click", () => feed.retry());
byId("filter").addEventListener("change", ({ target }) => {
  tiles.onlyTrouble = target.value === "trouble";
  if (model.state) showBrokers(false);
});

function show(state) {
  const hasNewPoint = model.take(state);
  loss = undefined;
  for (const note of lossNotes) note.hidden = true;
  document.body.classList.remove("is-lost");
  topView.show(model, hasNewPoint);
  showBrokers(hasNewPoint);
  panels.show(model);
  details.show();
}

function showBrokers(hasNewPoint) {
  tiles.show(model, hasNewPoint);
  const brokers = [...model.brokers()];
  const trouble = brokers.filter(({ broker }) => !stateOf(broker).takes).length;
  setText(byId("count-all"), count(brokers.length));
  setText(byId("count-trouble"), count(trouble));
  const isEmpty = tiles.onlyTrouble ? trouble === 0 : brokers.length === 0;
  byId("no-brokers").hidden = !isEmpty;
  setText(byId("no-brokers"), tiles.onlyTrouble ? "Every broker is healthy." : "The configuration names no brokers.");
}

function showLost(since, nextTry) {
  loss = { since: loss?.since ?? since ?? Date.now(), nextTry };
  document.body.classList.add("is-lost");
  document.title = "⚠ Weir lost";
  for (const note of lossNotes) note.hidden = false;
  sayLoss();
}

/// The alert is said anew only when its text changes, so the seconds stand apart from it.
function sayLoss() {
  if (!loss) return;
  const { since, nextTry } = loss;
  const wait = nextTry - Date.now();
  for (const place of [byId("lost-text"), byId("details-lost")]) {
    setText(place, `Lost Weir at ${clock(since)}. What you see is from then.`);
  }
  const next = wait > 500 ? `in ${duration(wait)}` : "now";
  setText(byId("lost-wait"), `${duration(Date.now() - since)} ago, trying again ${next}`);
}
setInterval(sayLoss, 1000);
