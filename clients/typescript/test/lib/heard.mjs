// Everything a session tells, in order, and waiting for something in it.
import { until } from "../../../../tests/clients/lib/check.mjs";

export class Heard {
  states = [];
  messages = [];
  resets = [];
  closes = [];
  presence = [];

  constructor(session) {
    this.session = session;
    session.on("state", ({ state }) => this.states.push(state));
    session.on("message", (data) => this.messages.push(data));
    session.on("reset", (event) => this.resets.push(event));
    session.on("close", (event) => this.closes.push(event));
    session.on("presence", (event) => this.presence.push(event));
  }

  async open() {
    await until("the session is open", () => this.session.state === "open");
  }

  async has(count) {
    await until(`${count} messages have come`, () => this.messages.length >= count);
  }
}
