// SPDX-License-Identifier: Apache-2.0
//
// The dialog of one broker: everything that is known of it, and what may be done with it when the API of the same
// server may write. Nothing is done before a second dialog has said what will happen.

import { byId, setAttribute, setIcon, setPairs, setText, makeIcon, make } from "./dom.js";
import { change } from "./api.js";
import { consequences } from "./consequences.js";
import { drawLine } from "./lines.js";
import { byteRate, bytes, clock, count, duration, rate, stateOf } from "./words.js";

export class Details {
  constructor(model, { onClose }) {
    this.model = model;
    this.id = undefined;
    this.dialog = byId("details");
    this.dialog.addEventListener("close", () => {
      const id = this.id;
      this.id = undefined;
      onClose(id);
    });
    // A click beside the dialog closes it; Escape does by itself.
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog && isOutside(event, this.dialog)) this.dialog.close();
    });
    byId("details-close").addEventListener("click", () => this.dialog.close());
    for (const action of ["drain", "down", "up"]) {
      byId(`act-${action}`).addEventListener("click", () => this.ask(action));
    }
    byId("act-weight").addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask("weight", byId("weight").valueAsNumber);
    });
    const line = byId("details-state");
    line.append(makeIcon("wait"), make("b"), make("span"));
  }

  open(id) {
    const found = this.model.find(id);
    if (!found) return;
    this.id = id;
    byId("weight").value = found.broker.weight;
    setText(byId("details-result"), "");
    this.show();
    this.dialog.showModal();
  }

  show() {
    if (this.id === undefined) return;
    const found = this.model.find(this.id);
    if (!found) {
      this.dialog.close();
      return;
    }
    const { group, broker } = found;
    const { api } = this.model;
    const { at } = this.model.state;
    const state = stateOf(broker);
    const { rates, history } = this.model.track(broker.id);
    setText(byId("details-title"), broker.address);
    setText(byId("details-group"), `Server of upstream ${group.name}`);

    const line = byId("details-state");
    setAttribute(line, "data-tone", state.tone);
    setIcon(line.children[0], state.icon);
    setText(line.children[1], state.word);
    const since = broker.since ? `since ${clock(broker.since)} (${duration(at - broker.since)})` : "";
    setText(line.children[2], [broker.reason, since].filter(Boolean).join(" · "));

    drawLine(byId("details-line"), history.bytes);
    setText(byId("details-line-title"), `${byteRate(rates.bytes).join(" ")} now`);
    setPairs(byId("details-figures"), [
      ["Sessions now", count(broker.active)],
      ["Sessions ever", `${count(broker.sessions)} (${rate(rates.sessions, "new/s").join(" ")})`],
      ["Failed connects", count(broker.failed)],
      ["To the broker", `${bytes(broker.toPeer)} (${byteRate(rates.toPeer).join(" ")})`],
      ["From the broker", `${bytes(broker.fromPeer)} (${byteRate(rates.fromPeer).join(" ")})`],
      ["Weight", `${broker.weight}${broker.backup ? ", backup" : ""}`],
      ["Checks", broker.checks ? `${count(broker.checks)}, ${count(broker.checksFailed)} failed` : "none"],
      ["Last check", broker.lastCheckAt ? clock(broker.lastCheckAt) : "–"],
    ]);

    const mayWrite = Boolean(api?.canWrite);
    byId("actions").hidden = !mayWrite;
    byId("read-only").hidden = mayWrite;
    const reason = api ? "this server's API location has no write=on" : "this server has no API location";
    setText(byId("read-only"), `Read only: ${reason}.`);
    const isOff = broker.state === "down";
    const isDraining = broker.state === "draining";
    byId("act-drain").hidden = isDraining || isOff;
    byId("act-down").hidden = isOff;
    byId("act-up").hidden = !isOff && !isDraining;
  }

  ask(action, weight) {
    const found = this.model.find(this.id);
    if (!found) return;
    const { title, lines, button } = consequences(action, found, weight);
    const dialog = byId("confirm");
    setText(byId("confirm-title"), title);
    byId("confirm-text").replaceChildren(
      ...lines.map(({ text, isGrave }) => make("li", isGrave ? { class: "grave" } : {}, text)));
    setText(byId("confirm-yes"), button);
    dialog.returnValue = "no";
    dialog.showModal();
    const decide = () => { if (dialog.returnValue === "yes") this.act(action, found, weight); };
    dialog.addEventListener("close", decide, { once: true });
  }

  async act(action, { group, broker }, weight) {
    const result = byId("details-result");
    setText(result, "Asking Weir…");
    const [parameters, done] = {
      drain: [{ drain: true }, "is draining"],
      down: [{ down: true }, "is down"],
      up: [{ down: false, drain: false }, "is up"],
      weight: [{ weight }, `has weight ${weight}`],
    }[action];
    try {
      await change(this.model.api.path, group.name, broker.id, parameters);
      setText(result, `Done: ${broker.address} ${done}.`);
    } catch (error) {
      setText(result, `Not done: ${error.message}`);
    }
  }
}

function isOutside({ clientX, clientY }, dialog) {
  const box = dialog.getBoundingClientRect();
  return clientX < box.left || clientX > box.right || clientY < box.top || clientY > box.bottom;
}
