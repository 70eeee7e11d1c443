// The life of a session's connections, as pure code: what happened goes in by a method, what is to
// be done comes out of `take()`. No sockets, no timers, no randomness of its own, so that every
// order of events can be tested. `session.ts` is what does it.
//
//     idle ── start ──► connecting ── welcome ──► open
//                          ▲  │                     │ lost, dead
//                    pause │  └──── lost ───┐       │
//                          └───────────── waiting ◄─┘
//     any ── refused, ended, taken over ──► closed
//
// Counting, as in docs/protocol.md: `got` are the server's data messages of the session, the
// outbox counts ours. A reset begins both anew, and hands back what no acknowledgement has counted.

import { pause, restartPause } from "./backoff.js";
import { Outbox, type Outgoing, type OutboxImage, type OutboxLimits, type Unsaved } from "./outbox.js";
import { problemOf, type Problem } from "./problem.js";
import { control, count, escaped, offers, ProtocolError, read, sizeAtMost, text, type Control, type Data } from "./wire.js";

export type State = "connecting" | "open" | "reconnecting" | "closed";
/** Why a session could not be resumed. */
export type ResetReason = "expired" | "behind" | "invalid-token";

/** What is to be done, in this order. */
export type Action =
  | { do: "connect"; protocols: string[] }
  | { do: "write"; data: Data }
  /** Close the connection there is, and hear nothing more of it. */
  | { do: "drop"; code: number; reason: string }
  | { do: "state"; state: State; retryInMs?: number }
  | { do: "welcome"; session: string; resumed: boolean; protocol: string | undefined }
  | { do: "deliver"; data: Data }
  | { do: "saved"; messages: Outgoing[] }
  | { do: "reset"; reason: ResetReason; unsaved: (Outgoing & Unsaved)[] }
  | { do: "presence"; message: Control }
  | { do: "problem"; problem: Problem }
  | { do: "closed"; code: number; reason: string; problem: Problem | undefined; unsaved: (Outgoing & Unsaved)[] };

export interface ConnectionOptions {
  /** Subprotocols of the application. */
  readonly protocols: readonly string[];
  readonly outbox: OutboxLimits;
  /** Silence after which the server is asked whether it is there. */
  readonly pingAfterMs: number;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

/** What outlives the page, if the application wants it. */
export interface ConnectionImage {
  readonly token: string;
  readonly got: number;
  readonly outbox: OutboxImage;
}

/** An answer to the handshake and a welcome come sooner, or the connection is given up. */
const WELCOME_WITHIN_MS = 10_000;
/** Pings without a word of the server, after which it counts as gone. */
const PINGS_UNANSWERED_MAX = 2;
/** When there is a reason to doubt the connection, an answer to a ping comes sooner. */
const PROBE_MS = 5_000;
/** Acknowledged at the latest after so many, so much, so long: 32, 64 KiB, 1 s. */
const ACK_MESSAGES = 32;
const ACK_BYTES = 64 * 1024;
const ACK_MS = 900; // timers are late
/** Changes of one's own presence are sent together; the server shows them ten times a second. */
const PRESENCE_EVERY_MS = 50;

/** Close codes of ours. The session stays: any but 1000 and 1001 leaves it away. */
const GIVEN_UP = 4000;

/** Another connection has the session now. */
const TAKEN_OVER = 4001;
/** A handshake that was given up may still reach the server within this time, and take the session over. */
const STRAY_MS = 60_000;

/** Codes after which it makes no sense to come again by itself. 1000 and 3000 to 4999: the object ended it, or another has it. */
const FINAL = new Set([1000, 1002, 1003, 1007, 1008, 1009, 1010]);
const RESTART = 1012;

type Phase = "idle" | "connecting" | "open" | "waiting" | "closed";

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #outbox: Outbox;
  #phase: Phase = "idle";
  #actions: Action[] = [];
  #wasOpen = false;
  /** Connections in a row that brought no welcome. */
  #failed = 0;
  #refusal: Problem | undefined;
  /** Attempts of ours that were given up before a welcome: until when they may still arrive. */
  #strays: number[] = [];

  #token: string | null = null;
  #got = 0;
  #unacknowledged = { messages: 0, bytes: 0 };
  #pingsUnanswered = 0;
  #presence: { state: unknown } | undefined;

  /** When what is due; a time that is not set never comes. */
  #welcomeBy = Infinity;
  #retryAt = Infinity;
  /** The server asked not to come sooner, whatever happens. */
  #notBefore = -Infinity;
  #pingAt = Infinity;
  #ackAt = Infinity;
  #presenceAt = Infinity;
  #presenceSentAt = -Infinity;

  constructor(options: ConnectionOptions, image?: ConnectionImage) {
    this.#options = options;
    this.#outbox = new Outbox(options.outbox);
    if (!image) return;
    this.#token = image.token;
    this.#got = image.got;
    this.#outbox.restore(image.outbox);
  }

  /** What is to be done now; each action is given out once. */
  take(): Action[] {
    return this.#actions.splice(0);
  }

  /** When `tick` is to be called, in the time of `now`; `Infinity`: not by itself. */
  get dueAt(): number {
    return Math.min(this.#welcomeBy, this.#retryAt, this.#pingAt, this.#ackAt, this.#presenceAt);
  }

  /** Messages that are not durable yet. */
  get unsaved(): number {
    return this.#outbox.size;
  }

  /** What a reload takes along; nothing before the first welcome or after the end. */
  image(): ConnectionImage | undefined {
    if (this.#token === null || this.#phase === "closed") return undefined;
    return { token: this.#token, got: this.#got, outbox: this.#outbox.image() };
  }

  start(now: number): void {
    if (this.#phase === "idle") this.#connect(now);
  }

  /** Takes a message of the application; throws `BufferFullError` when there is no room. */
  send(message: Outgoing): void {
    this.#outbox.push(message);
    if (this.#phase === "open") this.#writeData(this.#outbox.takeWaiting());
  }

  /** Shows oneself on the object, or no longer with `null`. Only the newest state is sent. */
  present(state: unknown, now: number): void {
    this.#presence = { state };
    if (this.#phase === "open") this.#presenceAt = Math.max(now, this.#presenceSentAt + PRESENCE_EVERY_MS);
    this.tick(now);
  }

  /** A message came over the connection. */
  message(message: Data, now: number): void {
    if (this.#phase !== "connecting" && this.#phase !== "open") return;
    this.#pingsUnanswered = 0;
    // The close would have followed at once: it was about one message and not about the session.
    this.#refusal = undefined;
    try {
      const parsed = read(message);
      if ("control" in parsed) this.#control(parsed.control, now);
      else this.#deliver(parsed.data, now);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      // 1002 is not for clients to send; the session is ended, since both sides disagree about it.
      this.#act({ do: "drop", code: 1000, reason: "protocol error" });
      this.#close(1002, `the server broke the protocol: ${error.message}`);
    }
  }

  /** The connection ended, or never began: 1006. */
  lost(code: number, reason: string, now: number): void {
    if (this.#phase !== "connecting" && this.#phase !== "open") return;
    const refusal = this.#refusal;
    if (refusal?.code === "invalid-resume-token") {
      // Of another server, say. What it belonged to is as gone as an expired one.
      this.#token = null;
      this.#reset("invalid-token");
    } else if (code === TAKEN_OVER && this.#isByStray(now)) {
      // By an attempt of our own that came late and that nobody listens to: taken back.
    } else if (FINAL.has(code) || code >= 3000) {
      return this.#close(code, reason);
    }
    const random = this.#options.random();
    const usual = code === RESTART && this.#failed === 0 ? restartPause(random) : pause(this.#failed, random);
    const asked = refusal?.retry_after_ms ?? 0;
    this.#notBefore = now + asked;
    this.#wait(Math.max(usual, asked), now);
  }

  /** Does what is due. */
  tick(now: number): void {
    if (now >= this.#welcomeBy) this.#giveUp("no welcome", now);
    if (now >= this.#retryAt) this.#connect(now);
    if (now >= this.#pingAt) this.#ping(now);
    if (now >= this.#ackAt) this.#acknowledge();
    if (now >= this.#presenceAt) this.#writePresence(now);
  }

  /** The network is back, or the page is looked at: nothing waits, and nothing is taken for granted. */
  wake(now: number): void {
    if (this.#phase === "waiting" && now >= this.#notBefore) return this.#connect(now);
    // One that is asked already is not given more time by asking again.
    if (this.#phase === "open" && this.#pingsUnanswered < PINGS_UNANSWERED_MAX) this.#probe(now);
  }

  /** Leaves the connection, but not the session, until `wake`: a page that is put aside. */
  rest(): void {
    if (this.#phase !== "connecting" && this.#phase !== "open") return;
    this.#act({ do: "drop", code: GIVEN_UP, reason: "put aside" });
    this.#stopTimers();
    this.#enter("waiting");
    this.#act({ do: "state", state: this.#stateAway() });
  }

  /** Ends the session. */
  end(reason: string): void {
    if (this.#phase === "closed") return;
    if (this.#phase !== "idle") this.#act({ do: "drop", code: 1000, reason });
    this.#close(1000, reason);
  }

  #connect(now: number): void {
    this.#stopTimers();
    this.#enter("connecting");
    this.#refusal = undefined;
    this.#welcomeBy = now + WELCOME_WITHIN_MS;
    this.#act({ do: "state", state: this.#stateAway() });
    const session = this.#token === null ? null : { token: this.#token, got: this.#got };
    this.#act({ do: "connect", protocols: offers(session, this.#options.protocols) });
  }

  #control(message: Control, now: number): void {
    const isFirst = this.#phase === "connecting";
    switch (message.type) {
      case "welcome":
        if (!isFirst) throw new ProtocolError("a second welcome");
        return this.#welcome(message, now);
      case "error":
        this.#refusal = problemOf(message, 0);
        if (!isFirst) this.#act({ do: "problem", problem: this.#refusal });
        return;
      default:
        if (isFirst) throw new ProtocolError(`'${message.type}' before the welcome`);
    }
    switch (message.type) {
      case "ack":
        return this.#saved(count(message, "n"));
      case "skip":
        return this.#gotMore(count(message, "n"), 0, now);
      case "presence":
        return this.#act({ do: "presence", message });
      // `pong` has done its work by coming. What is not known is of a later version.
    }
  }

  #welcome(message: Control, now: number): void {
    const [session, token, received] = [text(message, "session"), text(message, "token"), count(message, "received")];
    const offered = this.#token !== null;
    const resumed = message["resumed"] === true;
    if (resumed && !offered) throw new ProtocolError("resumed what was not offered");
    this.#token = token;
    if (resumed) this.#saved(received);
    else if (offered) this.#reset(message["reset"] === "behind" ? "behind" : "expired");
    this.#welcomeBy = Infinity;
    this.#enter("open");
    this.#wasOpen = true;
    this.#failed = 0;
    this.#pingAt = now + this.#options.pingAfterMs;
    const protocol = typeof message["protocol"] === "string" ? message["protocol"] : undefined;
    this.#act({ do: "welcome", session, resumed, protocol });
    this.#act({ do: "state", state: "open" });
    this.#writeData(this.#outbox.takeAll());
    // What the server counts as got, this session's acknowledgement or the resume has told it.
    this.#unacknowledged = { messages: 0, bytes: 0 };
    if (this.#presence) this.#writePresence(now);
  }

  #deliver(data: Data, now: number): void {
    if (this.#phase === "connecting") throw new ProtocolError("data before the welcome");
    this.#act({ do: "deliver", data });
    this.#gotMore(1, sizeAtMost(data), now);
  }

  /** Counts messages of the server. */
  #gotMore(messages: number, bytes: number, now: number): void {
    this.#got += messages;
    this.#unacknowledged.messages += messages;
    this.#unacknowledged.bytes += bytes;
    const { messages: waiting, bytes: size } = this.#unacknowledged;
    if (waiting >= ACK_MESSAGES || size >= ACK_BYTES) this.#acknowledge();
    else this.#ackAt = Math.min(this.#ackAt, now + ACK_MS);
  }

  #acknowledge(): void {
    this.#ackAt = Infinity;
    this.#unacknowledged = { messages: 0, bytes: 0 };
    this.#write({ type: "ack", n: this.#got });
  }

  #saved(total: number): void {
    const messages = this.#outbox.acknowledge(total);
    if (messages.length > 0) this.#act({ do: "saved", messages });
  }

  /** The session is over and another begins: both counts from 0. */
  #reset(reason: ResetReason): void {
    this.#got = 0;
    this.#act({ do: "reset", reason, unsaved: this.#outbox.handBack() });
  }

  #ping(now: number): void {
    if (this.#pingsUnanswered >= PINGS_UNANSWERED_MAX) return this.#giveUp("no answer to pings", now);
    // Timers do not run while a machine sleeps: then the connection may be long gone.
    if (now > this.#pingAt + this.#options.pingAfterMs) return this.#probe(now);
    this.#pingsUnanswered += 1;
    this.#pingAt = now + this.#options.pingAfterMs;
    this.#write({ type: "ping" });
  }

  /** Asks once, and waits for the answer only a moment. */
  #probe(now: number): void {
    this.#pingsUnanswered = PINGS_UNANSWERED_MAX;
    this.#pingAt = now + Math.min(PROBE_MS, this.#options.pingAfterMs);
    this.#write({ type: "ping" });
  }

  #giveUp(reason: string, now: number): void {
    this.#act({ do: "drop", code: GIVEN_UP, reason });
    this.#wait(pause(this.#failed, this.#options.random()), now);
  }

  #wait(ms: number, now: number): void {
    this.#stopTimers();
    if (this.#phase === "connecting" && this.#token !== null) this.#strays.push(now + STRAY_MS);
    this.#enter("waiting");
    this.#failed += 1;
    this.#retryAt = now + ms;
    this.#act({ do: "state", state: this.#stateAway(), retryInMs: ms });
  }

  #isByStray(now: number): boolean {
    this.#strays = this.#strays.filter((until) => now < until);
    return this.#strays.shift() !== undefined;
  }

  #close(code: number, reason: string): void {
    this.#stopTimers();
    this.#enter("closed");
    const unsaved = this.#outbox.handBack();
    this.#act({ do: "state", state: "closed" });
    this.#act({ do: "closed", code, reason, problem: this.#refusal, unsaved });
  }

  #writeData(messages: Outgoing[]): void {
    for (const { data } of messages) this.#act({ do: "write", data: escaped(data) });
  }

  #writePresence(now: number): void {
    this.#presenceAt = Infinity;
    this.#presenceSentAt = now;
    this.#write({ type: "presence", state: this.#presence?.state ?? null });
  }

  #write(message: Control): void {
    this.#act({ do: "write", data: control(message) });
  }

  #act(action: Action): void {
    this.#actions.push(action);
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
  }

  #stateAway(): State {
    return this.#wasOpen ? "reconnecting" : "connecting";
  }

  #stopTimers(): void {
    this.#welcomeBy = this.#retryAt = this.#pingAt = this.#ackAt = this.#presenceAt = Infinity;
    this.#pingsUnanswered = 0;
  }
}
