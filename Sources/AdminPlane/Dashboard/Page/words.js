// SPDX-License-Identifier: Apache-2.0
//
// How numbers, times and states are said. One word and one icon a state; colours only underline them.

/// What the feed calls a broker's state, and how the page says it. `takes`: new sessions go to it.
export const states = {
  up: { word: "healthy", tone: "good", icon: "good", takes: true },
  // Nobody asks it how it is; as far as sessions tell, it is well.
  unchecked: { word: "up, not checked", tone: "good", icon: "open", takes: true },
  slow: { word: "slow-starting", tone: "good", icon: "rise", takes: true },
  checking: { word: "checking", tone: "info", icon: "wait", takes: false },
  draining: { word: "draining", tone: "drain", icon: "drain", takes: false },
  down: { word: "down", tone: "off", icon: "off", takes: false },
  unavailable: { word: "unavailable", tone: "warn", icon: "warn", takes: false },
  unhealthy: { word: "unhealthy", tone: "bad", icon: "bad", takes: false },
};

export function nameOf(broker) {
  return broker.state === "up" && broker.checks === 0 ? "unchecked" : broker.state;
}

export function stateOf(broker) {
  return states[nameOf(broker)] ?? { word: broker.state, tone: "warn", icon: "warn", takes: false };
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/// Exact up to seven digits, then short.
export function count(value) {
  if (value < 1e7) return whole.format(value);
  return value < 1e9 ? `${tenth.format(value / 1e6)} M` : `${tenth.format(value / 1e9)} G`;
}

/// A number and its unit apart, so that the unit can be smaller.
export function rate(value, unit) {
  if (value === undefined) return ["–", unit];
  return [value < 10 ? tenth.format(value) : count(value), unit];
}

export function byteRate(value) {
  if (value === undefined) return ["–", "B/s"];
  const [number, unit] = bytesInParts(value);
  return [number, `${unit}/s`];
}

function bytesInParts(value) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let index = 0;
  while (value >= 1000 && index < units.length - 1) {
    value /= 1000;
    index += 1;
  }
  return [index === 0 || value >= 100 ? whole.format(value) : tenth.format(value), units[index]];
}

export function bytes(value) {
  return bytesInParts(value).join(" ");
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/// "12 s", "4 min", "3 h 5 min", "2 d 4 h".
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  const days = Math.floor(hours / 24);
  return hours % 24 === 0 ? `${days} d` : `${days} d ${hours % 24} h`;
}

/// The largest unit alone, where there is little room: "12 s", "4 min", "3 h", "2 d".
export function shortDuration(milliseconds) {
  return duration(milliseconds).split(" ").slice(0, 2).join(" ");
}

/// The viewer's clock time, with the date when it was another day.
export function clock(milliseconds) {
  const at = new Date(milliseconds);
  const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  return at.toDateString() === new Date().toDateString() ? time : `${at.toLocaleDateString()} ${time}`;
}
