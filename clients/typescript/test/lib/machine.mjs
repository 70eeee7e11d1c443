// A connection under test: time is a number, and what it wants done is written down.
import { Connection } from "../../dist/connection.js";

const ESCAPE = "\u0010";

export const OPTIONS = { protocols: [], outbox: { messages: 1_000, bytes: 1_000_000 }, pingAfterMs: 15_000, random: () => 0.5 };

export class Machine {
  now = 0;
  /** Everything it wanted done so far. */
  done = [];

  constructor(options = {}, image) {
    this.connection = new Connection({ ...OPTIONS, ...options }, image);
  }

  /** Does something with it, and gives back what it wants done. */
  act(what) {
    what(this.connection, this.now);
    const actions = this.connection.take();
    this.done.push(...actions);
    return actions;
  }

  start = () => this.act((it, now) => it.start(now));
  gets = (message) => this.act((it, now) => it.message(message, now));
  control = (message) => this.gets(ESCAPE + JSON.stringify(message));
  loses = (code = 1006, reason = "") => this.act((it, now) => it.lost(code, reason, now));
  sends = (data, settle) => this.act((it) => it.send({ data, settle }));
  wakes = () => this.act((it, now) => it.wake(now));

  welcome = (more = {}) => this.control({ type: "welcome", session: "7", token: "T7", resumed: false, received: 0, window_ms: 60_000, ...more });

  /** Connected, with a session of its own. */
  static open(options) {
    const machine = new Machine(options);
    machine.start();
    machine.welcome();
    return machine;
  }

  /** Lets time pass, doing what falls due on the way. */
  passes(ms) {
    const end = this.now + ms;
    const before = this.done.length;
    while (this.connection.dueAt <= end) {
      this.now = Math.max(this.now, this.connection.dueAt);
      this.act((it, now) => it.tick(now));
    }
    this.now = end;
    return this.done.slice(before);
  }
}

/** The actions of a kind. */
export const only = (actions, kind) => actions.filter((action) => action.do === kind);
/** The data written, control messages aside. */
export const written = (actions) => only(actions, "write").map(({ data }) => data).filter((data) => typeof data !== "string" || !data.startsWith(`${ESCAPE}{`));
/** The control messages written. */
export const controls = (actions) => only(actions, "write").map(({ data }) => data).filter((data) => typeof data === "string" && data.startsWith(`${ESCAPE}{`)).map((data) => JSON.parse(data.slice(1)));
/** The states told. */
export const states = (actions) => only(actions, "state").map(({ state }) => state);
