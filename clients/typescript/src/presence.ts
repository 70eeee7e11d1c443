// Who is on the object, as far as the server lists them.

import { count, ProtocolError, type Control } from "./wire.js";

/** What one message changed. */
export interface PresenceChange {
  /** Members there are, exactly; the list may be shorter. */
  readonly count: number;
  readonly joined: readonly string[];
  readonly updated: readonly string[];
  readonly left: readonly string[];
}

/** The members that are listed, with what they say of themselves. */
export class Presence<State = unknown> implements Iterable<[member: string, state: State]> {
  #members = new Map<string, State>();
  #count = 0;

  /** How many members there are. Always exact, while only the first of very many are listed. */
  get count(): number {
    return this.#count;
  }

  /** What a member says of itself. */
  get(member: string): State | undefined {
    return this.#members.get(member);
  }

  [Symbol.iterator](): Iterator<[string, State]> {
    return this.#members[Symbol.iterator]();
  }

  /** @internal Takes in what the server says. */
  apply(message: Control): PresenceChange {
    const total = count(message, "count");
    const change = message["sync"] === undefined ? this.#change(message) : this.#replace(entries(message, "sync"));
    this.#count = total;
    return { count: total, ...change };
  }

  /** @internal A new session: nobody is known until the server says who is here. */
  clear(): PresenceChange {
    this.#count = 0;
    return { count: 0, ...this.#replace([]) };
  }

  #change(message: Control) {
    const joined = entries(message, "joined");
    const updated = entries(message, "updated");
    const left = list(message, "left").map((member) => String(member));
    for (const member of left) this.#members.delete(member);
    for (const [member, state] of [...joined, ...updated]) this.#members.set(member, state as State);
    return { joined: joined.map(([member]) => member), updated: updated.map(([member]) => member), left };
  }

  #replace(all: [string, unknown][]) {
    const before = this.#members;
    this.#members = new Map(all as [string, State][]);
    const [joined, updated]: [string[], string[]] = [[], []];
    for (const [member] of all) (before.has(member) ? updated : joined).push(member);
    const left = [...before.keys()].filter((member) => !this.#members.has(member));
    return { joined, updated, left };
  }
}

function entries(message: Control, member: string): [string, unknown][] {
  return list(message, member).map((entry) => {
    if (Array.isArray(entry) && typeof entry[0] === "string") return [entry[0], entry[1]];
    throw new ProtocolError(`'${member}' of presence lists something that is no member`);
  });
}

function list(message: Control, member: string): unknown[] {
  const value = message[member] ?? [];
  if (Array.isArray(value)) return value;
  throw new ProtocolError(`'${member}' of presence is no list`);
}
