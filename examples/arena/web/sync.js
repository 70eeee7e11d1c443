// The client's side of `abide::sync`: tables of which the server sends what changed. The format is in docs/games.md.
// Nothing here knows the game.

const SNAPSHOT = 0;
const PATCH = 1;
const END = 2;

/** What this session sees of the tables it watches: rows by topic and id, fields by name. */
export class Replica {
  /** topic → { tick, fields: [[name, per_unit]…], rows: Map id → row } */
  topics = new Map();

  /**
   * @param {object} heard `row(topic, id, row, tick)` for each row that is new or changed,
   *   `gone(topic, id, row, tick)` for each that left its topic, `forgotten(topic, id)` for each that is only
   *   no longer watched
   */
  constructor(heard) {
    this.heard = heard;
  }

  /** Takes in a binary frame. Answers its topic and tick, or null when it was ignored. */
  apply(buffer) {
    const [kind, topic, tick, ...rest] = decode(buffer);
    if (kind === END) {
      this.#forget(topic);
      return null;
    }
    if (kind === SNAPSHOT) {
      const [named, rows, gone] = rest;
      const before = this.topics.get(topic)?.rows ?? new Map();
      const fields = [];
      for (let at = 0; at < named.length; at += 2) fields.push([named[at], named[at + 1]]);
      this.topics.set(topic, { tick, fields, rows: new Map() });
      this.#take(topic, tick, rows, gone);
      const { rows: after } = this.topics.get(topic);
      for (const id of before.keys()) if (!after.has(id)) this.heard.forgotten(topic, id);
      return { topic, tick };
    }
    // A patch of a topic without a snapshot was on its way when the topic was asked for.
    if (kind !== PATCH || !this.topics.has(topic)) return null;
    this.#take(topic, tick, rest[0], rest[1]);
    return { topic, tick };
  }

  #take(topic, tick, rows, gone) {
    const view = this.topics.get(topic);
    view.tick = tick;
    for (const [id, mask, ...values] of rows) {
      const row = view.rows.get(id) ?? {};
      let next = 0;
      view.fields.forEach(([name, perUnit], at) => {
        if (!(mask & (1 << at))) return;
        const value = values[next++];
        row[name] = perUnit > 0 && typeof value === "number" ? value / perUnit : value;
      });
      view.rows.set(id, row);
      this.heard.row(topic, id, row, tick);
    }
    for (const id of gone) {
      const row = view.rows.get(id);
      if (row && view.rows.delete(id)) this.heard.gone(topic, id, row, tick);
    }
  }

  #forget(topic) {
    const view = this.topics.get(topic);
    this.topics.delete(topic);
    for (const id of view?.rows.keys() ?? []) this.heard.forgotten(topic, id);
  }
}

const text = new TextDecoder();

/** One MessagePack value: nil, booleans, numbers, texts and arrays, which is all that tables send. */
export function decode(buffer) {
  const view = new DataView(buffer);
  let at = 0;
  const take = (size) => (at += size) - size;
  const array = (length) => Array.from({ length }, read);
  const string = (length) => text.decode(new Uint8Array(buffer, take(length), length));
  function read() {
    const marker = view.getUint8(take(1));
    if (marker < 0x80) return marker;
    if (marker >= 0xe0) return marker - 0x100;
    if ((marker & 0xf0) === 0x90) return array(marker & 0x0f);
    if ((marker & 0xe0) === 0xa0) return string(marker & 0x1f);
    switch (marker) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xca: return view.getFloat32(take(4));
      case 0xcb: return view.getFloat64(take(8));
      case 0xcc: return view.getUint8(take(1));
      case 0xcd: return view.getUint16(take(2));
      case 0xce: return view.getUint32(take(4));
      case 0xcf: return Number(view.getBigUint64(take(8)));
      case 0xd0: return view.getInt8(take(1));
      case 0xd1: return view.getInt16(take(2));
      case 0xd2: return view.getInt32(take(4));
      case 0xd3: return Number(view.getBigInt64(take(8)));
      case 0xd9: return string(view.getUint8(take(1)));
      case 0xda: return string(view.getUint16(take(2)));
      case 0xdb: return string(view.getUint32(take(4)));
      case 0xdc: return array(view.getUint16(take(2)));
      case 0xdd: return array(view.getUint32(take(4)));
      default: throw new Error(`MessagePack of a kind that tables do not send: 0x${marker.toString(16)}`);
    }
  }
  return read();
}
