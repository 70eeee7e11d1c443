// A session that only receives, over server-sent events (docs/sse.md): for where a WebSocket cannot
// go. `EventSource` connects again and resumes by itself; what it leaves open is done here.

import { pause } from "./backoff.js";
import { Events } from "./events.js";
import { Presence, type PresenceChange } from "./presence.js";
import type { Control, Data } from "./wire.js";

/** What of an `EventSource` is used: the browser's, or that of the package `eventsource`. */
export interface Source {
  readonly readyState: number;
  close(): void;
  addEventListener(name: string, listener: (event: never) => void): void;
}

export type SourceConstructor = new (url: string) => Source;

export interface FeedOptions {
  /** Reaches the object's `connected`. */
  query?: Record<string, string | number | boolean>;
  /** For Node: `import { EventSource } from "eventsource"`. */
  EventSource?: SourceConstructor;
}

export interface FeedEvents {
  message: Data;
  /** The server took the feed up; `resumed: false` is a new session, which gets what newcomers get. */
  welcome: { readonly session: string; readonly resumed: boolean };
  presence: PresenceChange;
  close: { readonly code: number; readonly reason: string };
}

const GAVE_UP = 2;
/** The server restarts, or the client was too slow: the only ends after which it makes sense to come again. */
const AGAIN = new Set([1012, 1013]);

/** A session that only receives. It goes on until the object ends it, or `close`. */
export class Feed<PresenceState = unknown> {
  /** Who is on the object. */
  readonly presence = new Presence<PresenceState>();
  readonly #url: string;
  readonly #EventSource: SourceConstructor;
  readonly #events = new Events<FeedEvents>();
  #source: Source | null = null;
  #failed = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @internal Made by `client.object(…).feed()`. */
  constructor(url: URL, options: FeedOptions) {
    for (const [name, value] of Object.entries(options.query ?? {})) url.searchParams.set(name, String(value));
    const EventSource = options.EventSource ?? (globalThis as { EventSource?: SourceConstructor }).EventSource;
    if (!EventSource) throw new Error('there is no EventSource here, give one: `import { EventSource } from "eventsource"`');
    this.#url = url.href;
    this.#EventSource = EventSource;
    this.#open();
  }

  /** Calls the listener at each such event; the function that comes back takes it off. */
  on<Name extends keyof FeedEvents>(name: Name, listener: (event: FeedEvents[Name]) => void): () => void {
    return this.#events.on(name, listener);
  }

  /** Ends it. */
  close(): void {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #open(): void {
    const source = new this.#EventSource(this.#url);
    this.#source = source;
    const hear = (name: string, happened: (data: string) => void) => {
      source.addEventListener(name, ({ data }: { data: string }) => {
        if (this.#source === source) happened(data);
      });
    };
    hear("message", (data) => this.#events.emit("message", data));
    hear("text-base64", (data) => this.#events.emit("message", new TextDecoder().decode(bytes(data))));
    hear("binary", (data) => this.#events.emit("message", bytes(data)));
    hear("welcome", (data) => {
      this.#failed = 0;
      const { session, resumed } = JSON.parse(data) as FeedEvents["welcome"];
      this.#events.emit("welcome", { session, resumed });
    });
    hear("control", (data) => {
      const control = JSON.parse(data) as Control;
      if (control.type === "presence") this.#events.emit("presence", this.presence.apply(control));
    });
    hear("close", (data) => {
      const { code, reason } = JSON.parse(data) as FeedEvents["close"];
      if (AGAIN.has(code)) return;
      this.close();
      this.#events.emit("close", { code, reason });
    });
    // It gives up for good at any status but 200, such as the 503 of a server that is busy.
    hear("error", () => {
      if (source.readyState !== GAVE_UP) return;
      this.#source = null;
      this.#timer = setTimeout(() => this.#open(), pause(this.#failed, Math.random()));
      this.#failed += 1;
    });
  }
}

function bytes(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}
