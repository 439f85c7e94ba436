// SPDX-License-Identifier: Apache-2.0
//
// What the page knows: the last state, rates from the differences of counters, and the last minutes of each. Counters
// that went backwards (a restart, a reset) give no rate for once.

/// Seconds that lines show at most.
const historyLength = 120;

/// Counters closer together than this give no good rate: a state that was pushed because of a change.
const rateMillisecondsMin = 700;

class Track {
  constructor() {
    this.rates = {};
    this.history = {};
    this.last = undefined;
  }

  /// `counters` become rates, `gauges` are kept as they are.
  add(at, counters, gauges) {
    if (this.last && at - this.last.at < rateMillisecondsMin && at >= this.last.at) return false;
    const seconds = this.last ? (at - this.last.at) / 1000 : 0;
    for (const [name, value] of Object.entries(counters)) {
      const difference = this.last ? value - this.last.counters[name] : -1;
      this.rates[name] = seconds > 0 && difference >= 0 ? difference / seconds : undefined;
      if (this.rates[name] !== undefined) this.keep(name, this.rates[name]);
    }
    for (const [name, value] of Object.entries(gauges)) this.keep(name, value);
    this.last = { at, counters };
    return true;
  }

  keep(name, value) {
    const history = (this.history[name] ??= []);
    history.push(value);
    if (history.length > historyLength) history.shift();
  }
}

export class Model {
  constructor() {
    this.state = undefined;
    /// The API of the same server, `{ path, canWrite }`, if it has one.
    this.api = undefined;
    this.total = new Track();
    this.tracks = new Map();
  }

  /// Takes a new state; true when a second has passed, so that lines have a new point.
  take(state) {
    const before = this.state;
    // A Weir that was started anew counts from zero.
    if (before && before.weir.startedAt !== state.weir.startedAt) this.forget();
    this.state = state;
    const sum = { sessions: 0, toPeer: 0, fromPeer: 0, active: 0 };
    const present = new Set();
    for (const { broker } of this.brokers()) {
      present.add(broker.id);
      for (const name of Object.keys(sum)) sum[name] += broker[name];
      const { sessions, toPeer, fromPeer, active } = broker;
      this.track(broker.id).add(state.at, { sessions, toPeer, fromPeer, bytes: toPeer + fromPeer }, { active });
    }
    for (const id of this.tracks.keys()) if (!present.has(id)) this.tracks.delete(id);
    const { active, ...counters } = sum;
    return this.total.add(state.at, counters, { active });
  }

  forget() {
    this.total = new Track();
    this.tracks.clear();
  }

  track(id) {
    let track = this.tracks.get(id);
    if (!track) this.tracks.set(id, (track = new Track()));
    return track;
  }

  /// All brokers with their groups.
  *brokers() {
    for (const group of this.state?.groups ?? []) for (const broker of group.brokers) yield { group, broker };
  }

  find(id) {
    for (const found of this.brokers()) if (found.broker.id === id) return found;
    return undefined;
  }
}
