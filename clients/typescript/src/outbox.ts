// What the client sent and must keep: messages that no acknowledgement has counted yet, and those
// that wait for a connection. One queue, because both leave in the same order and share a bound.

import { ProtocolError, sizeAtMost, type Data } from "./wire.js";

/** A message of the application, until it is durable. */
export interface Outgoing {
  readonly data: Data;
  /** Told when it is durable, or when that is no longer to be known. */
  readonly settle?: { saved(): void; lost(error: Error): void };
}

/** A message that is handed back: no acknowledgement came for it. */
export interface Unsaved {
  readonly data: Data;
  /** It was written to a connection, so it may have taken effect. Otherwise it has surely not. */
  readonly mayHaveTakenEffect: boolean;
}

/** More is waiting than the buffer takes. Nothing was sent. */
export class BufferFullError extends Error {
  override readonly name = "BufferFullError";
}

/** Bounds of what is kept. */
export interface OutboxLimits {
  readonly messages: number;
  readonly bytes: number;
}

/** What a reload of the page takes along. Bytes as numbers, because it becomes JSON. */
export interface OutboxImage {
  readonly saved: number;
  readonly written: number;
  readonly kept: readonly (string | readonly number[])[];
}

/** The messages from number `saved + 1` on, in order. */
export class Outbox {
  readonly #limits: OutboxLimits;
  #kept: Outgoing[] = [];
  #bytes = 0;
  #saved = 0;
  /** Of the kept ones, how many have been written to a connection; only these may have taken effect. */
  #written = 0;

  constructor(limits: OutboxLimits) {
    this.#limits = limits;
  }

  /** How many of the session's messages are durable. */
  get saved(): number {
    return this.#saved;
  }

  /** How many are kept. */
  get size(): number {
    return this.#kept.length;
  }

  /** Takes a message, or throws `BufferFullError` and takes nothing. */
  push(message: Outgoing): void {
    const bytes = sizeAtMost(message.data);
    const { messages: messagesMax, bytes: bytesMax } = this.#limits;
    if (this.#kept.length >= messagesMax) throw new BufferFullError(`${messagesMax} messages wait already`);
    if (this.#bytes + bytes > bytesMax) {
      throw new BufferFullError(`a message of up to ${bytes} bytes on top of ${this.#bytes} is more than ${bytesMax}`);
    }
    this.#kept.push(message);
    this.#bytes += bytes;
  }

  /** The messages that were never written; they count as written from now on. */
  takeWaiting(): Outgoing[] {
    const waiting = this.#kept.slice(this.#written);
    this.#written = this.#kept.length;
    return waiting;
  }

  /** All that is kept, for a new connection, to which nothing has been written. */
  takeAll(): Outgoing[] {
    this.#written = 0;
    return this.takeWaiting();
  }

  /** The first `total` messages of the session are durable: gives back those that are news. */
  acknowledge(total: number): Outgoing[] {
    const sent = this.#saved + this.#written;
    if (total > sent) throw new ProtocolError(`${total} messages acknowledged, ${sent} sent`);
    // An older count that came late says nothing new.
    const news = Math.max(0, total - this.#saved);
    const settled = this.#kept.splice(0, news);
    this.#saved += news;
    this.#written -= news;
    for (const { data } of settled) this.#bytes -= sizeAtMost(data);
    return settled;
  }

  /** The session is over: gives back everything, and begins a new count. */
  handBack(): (Outgoing & Unsaved)[] {
    const written = this.#written;
    const all = this.#kept.map((message, at) => ({ ...message, mayHaveTakenEffect: at < written }));
    this.#kept = [];
    this.#bytes = this.#saved = this.#written = 0;
    return all;
  }

  image(): OutboxImage {
    const kept = this.#kept.map(({ data }) => (typeof data === "string" ? data : [...data]));
    return { saved: this.#saved, written: this.#written, kept };
  }

  restore({ saved, written, kept }: OutboxImage): void {
    this.#saved = saved;
    this.#written = written;
    this.#kept = kept.map((data) => ({ data: typeof data === "string" ? data : Uint8Array.from(data) }));
    this.#bytes = this.#kept.reduce((sum, { data }) => sum + sizeAtMost(data), 0);
  }
}
