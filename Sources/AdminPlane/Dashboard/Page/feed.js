// SPDX-License-Identifier: Apache-2.0
//
// The way to the server: one stream of events, and what to do when it ends. The server speaks once a second; when
// nothing came for a while it is lost, whatever the connection says. Then it is tried again, soon at first, each half
// minute in the end, and at once when the page is shown again or somebody asks.
//
//   connecting ──state──► live ──silence or error──► waiting ──time, `retry`──► connecting
//                          └──`again` (a reload)──► connecting, nothing is lost
//
// A page that nobody sees lets go of the stream, so that the server need not look at anything for it.

const silenceMilliseconds = 4000;
const firstPauseMilliseconds = 500;
const pauseMillisecondsMax = 30000;

export class Feed {
  /// `onHello(greeting)` before the first `onState(state)`; `onLost(since, nextTry)`, both in milliseconds of this
  /// clock; `since` is when the last word came.
  constructor(address, { onHello, onState, onLost }) {
    this.address = address;
    this.onHello = onHello;
    this.onState = onState;
    this.onLost = onLost;
    this.lastWordAt = undefined;
    this.pause = firstPauseMilliseconds;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.rest();
      else this.retry();
    });
    this.connect();
  }

  connect() {
    this.close();
    this.source = new EventSource(this.address);
    this.source.addEventListener("hello", (event) => this.onHello(JSON.parse(event.data)));
    this.source.addEventListener("again", () => this.connect());
    this.source.addEventListener("state", (event) => this.hear(event.data));
    this.source.addEventListener("error", () => this.lose());
    this.listenForSilence();
  }

  hear(text) {
    const state = JSON.parse(text);
    this.lastWordAt = Date.now();
    this.pause = firstPauseMilliseconds;
    this.listenForSilence();
    this.onState(state);
  }

  listenForSilence() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.lose(), silenceMilliseconds);
  }

  lose() {
    this.close();
    const pause = this.pause * (0.8 + Math.random() * 0.4);
    this.pause = Math.min(this.pause * 2, pauseMillisecondsMax);
    this.timer = setTimeout(() => this.connect(), pause);
    this.onLost(this.lastWordAt, Date.now() + pause);
  }

  retry() {
    if (this.source) return;
    this.pause = firstPauseMilliseconds;
    this.connect();
  }

  rest() {
    this.close();
  }

  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = undefined;
  }
}
