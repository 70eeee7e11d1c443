// A session on an object, as the application sees it: it outlives its connections.
//
// What to do when is decided in `connection.ts`; here it is done, on a WebSocket and a timer.

import { Connection, type Action, type ConnectionImage, type ResetReason, type State } from "./connection.js";
import { Events } from "./events.js";
import type { Outgoing, OutboxLimits, Unsaved } from "./outbox.js";
import { Presence, type PresenceChange } from "./presence.js";
import { AbideError } from "./problem.js";
import { listen } from "./wakeups.js";
import { ProtocolError, type Data } from "./wire.js";

/** What of a WebSocket is used: the browser's, Node's own (from 22 on), or that of the package `ws`. */
export interface Socket {
  binaryType: string;
  readonly readyState: number;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  addEventListener(name: string, listener: (event: never) => void): void;
}

export type SocketConstructor = new (url: string, protocols: string[]) => Socket;

/** Where a session is put when the page is left: `sessionStorage`, or anything like it. */
export interface TokenStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** The `readyState` of a socket that can be written to. */
const OPEN = 1;

export interface SessionOptions {
  /** Reaches the object's `connected`; sent again with each connection. */
  query?: Record<string, string | number | boolean>;
  /** Subprotocols of the application. */
  protocols?: string[];
  /**
   * With it, a page that is left and loaded again goes on with its session: `sessionStorage`. What is
   * kept is a secret of this page. Without it, leaving the page ends the session.
   */
  storage?: TokenStorage;
  /** How much may wait to be sent or acknowledged; more makes `send` throw. 1,024 messages, 1 MiB. */
  buffer?: Partial<OutboxLimits>;
  /** Silence after which the server is asked whether it is there; 15 s. Twice without an answer is a lost connection. */
  pingAfterMs?: number;
  /** What the others on the object are to see of this session, where the object lets clients say it. */
  presence?: unknown;
  /** For Node before 22: `import { WebSocket } from "ws"`. */
  WebSocket?: SocketConstructor;
}

/** How the session is; `connecting` until the first welcome, `reconnecting` after it. */
export interface StateEvent {
  readonly state: State;
  /** When the next attempt comes, if it waits for one. */
  readonly retryInMs?: number;
}

/** The session could not be resumed, and a new one has begun: the object has sent what it sends to newcomers. */
export interface ResetEvent {
  readonly reason: ResetReason;
  /** What was sent and not acknowledged, in order. It is not sent again: only the application knows whether that is safe. */
  readonly unsaved: Unsaved[];
}

export interface CloseEvent {
  /** 1000: ended by `close`, or by the object. 4001: another connection has taken the session over. */
  readonly code: number;
  readonly reason: string;
  /** Why the server refused the session, if it did. */
  readonly problem: AbideError | undefined;
  readonly unsaved: Unsaved[];
}

export interface SessionEvents {
  state: StateEvent;
  message: Data;
  /** Messages have become durable; `unsaved` are left. A "saved" indicator shows `unsaved === 0`. */
  saved: { readonly unsaved: number };
  reset: ResetEvent;
  presence: PresenceChange;
  /** The server refused something in the session, such as `present` where the object does not allow it. */
  problem: AbideError;
  close: CloseEvent;
}

/** The message did not become durable in its session. `mayHaveTakenEffect` says what is known. */
export class UnsavedError extends Error {
  override readonly name = "UnsavedError";
  readonly mayHaveTakenEffect: boolean;

  constructor(message: string, mayHaveTakenEffect: boolean) {
    super(message);
    this.mayHaveTakenEffect = mayHaveTakenEffect;
  }
}

const BUFFER: OutboxLimits = { messages: 1_024, bytes: 1024 * 1024 };
const PING_AFTER_MS = 15_000;
const PRESENCE_MAX_BYTES = 4_096;
/** The form of what is stored over a reload; of another one nothing is taken up. */
const STORED_FORM = 1;
/** The longest a timer can be set to. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** A session on an object. It connects by itself, and again whenever the connection is lost, until it is closed. */
export class Session<PresenceState = unknown> {
  /** Who is on the object. */
  readonly presence = new Presence<PresenceState>();
  readonly #url: string;
  readonly #options: SessionOptions;
  readonly #WebSocket: SocketConstructor;
  readonly #connection: Connection;
  readonly #events = new Events<SessionEvents>();
  readonly #stopListening: () => void;
  #socket: Socket | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #actions: Action[] = [];
  #performing = false;
  #state: State = "connecting";
  #id: string | undefined;
  #protocol: string | undefined;

  /** @internal Made by `client.object(…).session()`. */
  constructor(url: URL, options: SessionOptions) {
    for (const [name, value] of Object.entries(options.query ?? {})) url.searchParams.set(name, String(value));
    this.#url = url.href.replace(/^http/, "ws");
    this.#options = options;
    const WebSocket = options.WebSocket ?? (globalThis as { WebSocket?: SocketConstructor }).WebSocket;
    if (!WebSocket) throw new Error('there is no WebSocket here, give one: `import { WebSocket } from "ws"`');
    this.#WebSocket = WebSocket;
    const settings = {
      protocols: options.protocols ?? [],
      outbox: { ...BUFFER, ...options.buffer },
      pingAfterMs: options.pingAfterMs ?? PING_AFTER_MS,
      random: Math.random,
    };
    const presence = small(options.presence);
    this.#connection = new Connection(settings, this.#takeStored());
    if (presence !== undefined) this.#connection.present(presence, now());
    this.#stopListening = listen({
      wake: () => {
        // The page is back: what was put aside is here again, and nobody else may take it up.
        this.#takeStored();
        this.#handle((connection) => connection.wake(now()));
      },
      hide: (kept) => this.#hide(kept),
    });
    // After the caller has added listeners.
    queueMicrotask(() => this.#handle((connection) => connection.start(now())));
  }

  get state(): State {
    return this.#state;
  }

  /** The session's id, as the object and the presence know it; a reset brings another. */
  get id(): string | undefined {
    return this.#id;
  }

  /** The application's subprotocol that the object has chosen. */
  get protocol(): string | undefined {
    return this.#protocol;
  }

  /** Messages sent that are not durable yet. */
  get unsaved(): number {
    return this.#connection.unsaved;
  }

  /** Calls the listener at each such event; the function that comes back takes it off. */
  on<Name extends keyof SessionEvents>(name: Name, listener: (event: SessionEvents[Name]) => void): () => void {
    return this.#events.on(name, listener);
  }

  /**
   * Sends a message, now or when there is a connection. It takes effect once, however often the
   * connection is lost while the session lives.
   *
   * The promise is kept when what the object did with the message is durable, and broken with
   * `UnsavedError` when that is no longer to be known; nobody has to wait for it. Throws
   * `BufferFullError`, or `UnsavedError` on a closed session: then nothing was sent.
   */
  send(data: Data): Promise<void> {
    if (this.#state === "closed") throw new UnsavedError("the session is closed", false);
    let settle!: NonNullable<Outgoing["settle"]>;
    const saved = new Promise<void>((resolve, reject) => (settle = { saved: resolve, lost: reject }));
    // Bytes are copied: they may wait, and the caller may write over them.
    const copy = typeof data === "string" ? data : data.slice();
    this.#handle((connection) => connection.send({ data: copy, settle }));
    // A broken promise that nobody looks at is no error: `reset` and `close` tell it too.
    saved.catch(() => {});
    return saved;
  }

  /** Shows this session to the others on the object, with a state of up to 4 KiB as JSON; `null` shows it no longer. */
  present(state: unknown): void {
    this.#handle((connection) => connection.present(small(state), now()));
  }

  /** Ends the session: the object hears of it at once. The reason has 123 bytes at most. */
  close(reason = ""): void {
    // RFC 6455: what a close frame has room for. A browser would throw when it is too late.
    if (bytesOf(reason) > 123) throw new RangeError("the reason of a close has 123 bytes at most");
    this.#handle((connection) => connection.end(reason));
  }

  /** Hands something to the connection, and does what it says. */
  #handle(happened: (connection: Connection) => void): void {
    try {
      happened(this.#connection);
    } finally {
      this.#actions.push(...this.#connection.take());
      this.#perform();
    }
  }

  /** In order, also when a listener sends something in the middle of it. */
  #perform(): void {
    if (this.#performing) return;
    this.#performing = true;
    try {
      for (let action = this.#actions.shift(); action; action = this.#actions.shift()) this.#do(action);
    } finally {
      this.#performing = false;
      this.#setTimer();
    }
  }

  #do(action: Action): void {
    switch (action.do) {
      case "connect":
        return this.#connect(action.protocols);
      case "write":
        return this.#write(action.data as string | Uint8Array<ArrayBuffer>);
      case "drop":
        return this.#drop(action.code, action.reason);
      case "state":
        this.#state = action.state;
        const { do: _, ...event } = action;
        return this.#events.emit("state", event);
      case "welcome":
        this.#id = action.session;
        this.#protocol = action.protocol;
        return;
      case "deliver":
        return this.#events.emit("message", action.data);
      case "saved":
        for (const { settle } of action.messages) settle?.saved();
        return this.#events.emit("saved", { unsaved: this.unsaved });
      case "presence":
        return this.#presence(() => this.presence.apply(action.message));
      case "problem":
        return this.#events.emit("problem", new AbideError(action.problem));
      case "reset": {
        this.#presence(() => this.presence.clear());
        const unsaved = this.#handBack(action.unsaved, `the session is over (${action.reason})`);
        return this.#events.emit("reset", { reason: action.reason, unsaved });
      }
      case "closed": {
        this.#stopListening();
        const { code, reason } = action;
        const unsaved = this.#handBack(action.unsaved, `the session was closed (${code} ${reason})`);
        const problem = action.problem && new AbideError(action.problem);
        return this.#events.emit("close", { code, reason, problem, unsaved });
      }
    }
  }

  #connect(protocols: string[]): void {
    const socket = new this.#WebSocket(this.#url, protocols);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    // One that was dropped goes on for a while, and is heard no more.
    const hear = (name: string, happened: (event: never) => void) => {
      socket.addEventListener(name, (event) => {
        if (this.#socket === socket) happened(event);
      });
    };
    hear("message", ({ data }: { data: string | ArrayBuffer }) => {
      const message = typeof data === "string" ? data : new Uint8Array(data);
      this.#handle((connection) => connection.message(message, now()));
    });
    hear("close", ({ code, reason }: { code: number; reason: string }) => {
      this.#socket = null;
      this.#handle((connection) => connection.lost(code, reason, now()));
    });
    // A close follows; without a listener it would end a Node process.
    socket.addEventListener("error", () => {});
  }

  /** On a socket that is about to say that it is closed nothing is lost: it goes again with the next one. */
  #write(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.#socket?.readyState === OPEN) this.#socket.send(data);
  }

  #drop(code: number, reason: string): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(code, reason);
  }

  #presence(change: () => PresenceChange): void {
    try {
      this.#events.emit("presence", change());
    } catch (error) {
      // It is only shown: what cannot be read is left out until the next `sync`.
      if (!(error instanceof ProtocolError)) throw error;
    }
  }

  #handBack(messages: (Action & { do: "reset" })["unsaved"], why: string): Unsaved[] {
    return messages.map(({ data, mayHaveTakenEffect, settle }) => {
      settle?.lost(new UnsavedError(why, mayHaveTakenEffect));
      return { data, mayHaveTakenEffect };
    });
  }

  /** One timer, for what is due first. */
  #setTimer(): void {
    clearTimeout(this.#timer);
    const dueAt = this.#connection.dueAt;
    if (dueAt === Infinity) return;
    const ms = Math.min(Math.max(0, dueAt - now()), TIMER_MAX_MS);
    this.#timer = setTimeout(() => this.#handle((connection) => connection.tick(now())), ms);
  }

  /**
   * The page goes. By itself a browser closes with 1001, which ends the session; where it is to be
   * taken up again it is left before that. It is stored only now and taken out when it is used,
   * because a tab that is duplicated has a copy of the storage, and would take the session over.
   */
  #hide(kept: boolean): void {
    const { storage } = this.#options;
    if (!kept && !storage) return;
    const image = this.#connection.image();
    this.#handle((connection) => connection.rest());
    if (!image || !storage) return;
    try {
      storage.setItem(this.#storageKey, JSON.stringify({ form: STORED_FORM, image }));
    } catch {
      // Full or forbidden: then the reload begins a new session, as without a storage.
    }
  }

  #takeStored(): ConnectionImage | undefined {
    const { storage } = this.#options;
    try {
      const stored = storage?.getItem(this.#storageKey);
      storage?.removeItem(this.#storageKey);
      const { form, image } = stored ? JSON.parse(stored) : {};
      return form === STORED_FORM ? (image as ConnectionImage) : undefined;
    } catch {
      return undefined;
    }
  }

  get #storageKey(): string {
    return `abide:${this.#url}`;
  }
}

/** The state, if it is as small as the server wants it: a larger one would end the session. */
function small(state: unknown): unknown {
  if (bytesOf(JSON.stringify(state) ?? "") <= PRESENCE_MAX_BYTES) return state;
  throw new RangeError(`the state of presence has ${PRESENCE_MAX_BYTES} bytes of JSON at most`);
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** A time that only goes forward. */
function now(): number {
  return performance.now();
}
