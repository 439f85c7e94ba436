// SPDX-License-Identifier: Apache-2.0
//
// What an action on a broker will do, in words, before it is done: who stays, who goes where, and whether anybody is
// left to take new sessions.

import { plural, stateOf } from "./words.js";

export function consequences(action, { group, broker }, weight) {
  const takers = group.brokers.filter((other) => other.id !== broker.id && stateOf(other).takes);
  const others = takers.filter((other) => !other.backup);
  const backups = takers.filter((other) => other.backup);
  const lines = [];
  const say = (text, isGrave = false) => lines.push({ text, isGrave });
  const stay = broker.active === 0 ? "It has no session now." : broker.active === 1
    ? "Its one session stays until it ends." : `Its ${plural(broker.active, "session")} stay until they end.`;

  switch (action) {
    case "drain":
    case "down":
      say(stay);
      if (others.length === 1) {
        say(`New sessions go to ${others[0].address}, the only other healthy broker of ${group.name}.`);
      } else if (others.length) {
        say(`New sessions go to the other ${others.length} healthy brokers of ${group.name}.`);
      } else if (backups.length) {
        say(`New sessions go to the ${plural(backups.length, "backup")} of ${group.name}.`);
      } else {
        say(`No other broker of ${group.name} is healthy: new sessions are refused.`, true);
      }
      say("It is out of service until somebody brings it up.");
      return {
        title: action === "drain" ? `Drain ${broker.address}?` : `Take down ${broker.address}?`,
        lines, button: action === "drain" ? "Drain it" : "Take it down",
      };
    case "up":
      say("New sessions go to it again, as soon as its checks pass.");
      say("Sessions that went elsewhere meanwhile stay there until they end.");
      return { title: `Bring up ${broker.address}?`, lines, button: "Bring it up" };
    case "weight": {
      const rest = others.reduce((sum, other) => sum + other.weight, 0);
      const share = (own) => `${Math.round((100 * own) / Math.max(1, own + rest))} %`;
      say(`Weight ${broker.weight} becomes ${weight}.`);
      say(`Its share of new sessions goes from about ${share(broker.weight)} to ${share(weight)}.`);
      say(stay);
      if (/hash/.test(group.method)) say("Some client ids get another home, and go there when they next connect.");
      return { title: `Set the weight of ${broker.address}?`, lines, button: `Set ${weight}` };
    }
    default: throw new Error(action);
  }
}
