// The way in: objects by namespace and name, their methods by name.

import type { AnyApi, ApiOf, Client } from "./api.js";
import { call, type CallOptions, type Fetch, type Request } from "./call.js";
import { Etags } from "./etags.js";
import { Feed, type FeedOptions } from "./feed.js";
import { Session, type SessionOptions, type SocketConstructor } from "./session.js";

export interface ClientOptions {
  /** Where the server is: `http://127.0.0.1:7878`. In a page that the server itself serves, `location.origin`. */
  url: string | URL;
  /** More headers for each call, such as `authorization`. */
  headers?: () => Record<string, string> | Promise<Record<string, string>>;
  /** What each call uses where it says nothing else. */
  deadlineMs?: number;
  /** As in `CallOptions`, for each call. */
  retry?: boolean;
  /** Instead of the global one. */
  fetch?: Fetch;
  /** For Node before 22: `import { WebSocket } from "ws"`. */
  WebSocket?: SocketConstructor;
}

/** Longer queries go into a body: servers and proxies bound the length of a URL. */
const URL_MAX_CHARS = 4_000;

/** A client of the server at `url`. `Api` is what `abide types` prints for it; without it anything can be called. */
export function createClient<Api extends ApiOf<Api> = AnyApi>(options: ClientOptions): Client<Api> {
  const caller = new Caller(options);
  return {
    object: (namespace, name) => {
      const url = new URL(`v1/${segment(namespace)}/${segment(name)}`, withSlash(options.url)).href;
      const session = (own: SessionOptions = {}) => {
        const { WebSocket } = options;
        return new Session(new URL(url), { ...(WebSocket && { WebSocket }), ...own });
      };
      const feed = (own: FeedOptions = {}) => new Feed(new URL(url), own);
      const write = (method: string, args?: unknown, own?: CallOptions) => caller.call(`${url}/${segment(method)}`, args, own);
      const read = (method: string, args?: unknown, own?: CallOptions) => caller.read(`${url}/${segment(method)}`, args, own);
      return byName({ url, session, feed, call: write, read: byName({}, read) }, write) as never;
    },
  };
}

type ByMethod = (method: string, args?: unknown, options?: CallOptions) => Promise<unknown>;

/** An object whose other members are methods of the server's. */
function byName(own: Record<string, unknown>, method: ByMethod): object {
  const methods = new Map<string, unknown>();
  return new Proxy(own, {
    get(own, name) {
      // `then` would make it look like a promise to `await`.
      if (typeof name === "symbol" || name === "then") return undefined;
      if (Object.hasOwn(own, name)) return own[name];
      const known = methods.get(name) ?? ((args?: unknown, options?: CallOptions) => method(name, args, options));
      methods.set(name, known);
      return known;
    },
  });
}

/** Makes requests of calls. */
class Caller {
  readonly #options: ClientOptions;
  readonly #fetch: Fetch;
  readonly #etags = new Etags();

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#fetch = options.fetch ?? ((url, init) => fetch(url, init));
  }

  /** A call by POST: it may write. */
  async call(url: string, args: unknown, options: CallOptions = {}): Promise<unknown> {
    const response = await this.#make({ ...post(url, args), reads: false }, options);
    return response.json();
  }

  /** A call by GET, where the arguments have a form in a query; with a tag, if the value is known. */
  async read(url: string, args: unknown, options: CallOptions = {}): Promise<unknown> {
    const query = queryOf(args);
    const whole = query ? `${url}?${query}` : url;
    if (query === undefined || whole.length > URL_MAX_CHARS) {
      const response = await this.#make({ ...post(url, args), reads: true }, options);
      return response.json();
    }
    const known = this.#etags.get(whole);
    const headers: Record<string, string> = known ? { "if-none-match": known.etag } : {};
    const response = await this.#make({ url: whole, method: "GET", headers, reads: true }, options);
    if (response.status === 304 && known) return JSON.parse(known.json);
    const json = await response.text();
    const etag = response.headers.get("etag");
    if (etag) this.#etags.set(whole, etag, json);
    return JSON.parse(json);
  }

  async #make(request: Request, options: CallOptions): Promise<Response> {
    const { deadlineMs, retry } = this.#options;
    const settled = { ...(deadlineMs !== undefined && { deadlineMs }), ...(retry !== undefined && { retry }), ...options };
    const headers = { accept: "application/json", ...(await this.#options.headers?.()), ...request.headers };
    return call(this.#fetch, { ...request, headers }, settled);
  }
}

function post(url: string, args: unknown) {
  const headers = { "content-type": "application/json" };
  return { url, method: "POST" as const, headers, body: JSON.stringify(args ?? {}) };
}

/** The arguments as a query; `undefined` when one of them has no form there. */
function queryOf(args: unknown): string | undefined {
  if (args === undefined || args === null) return "";
  if (typeof args !== "object" || Array.isArray(args)) return undefined;
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(args)) {
    if (value === undefined || value === null) continue;
    if (!["string", "number", "boolean"].includes(typeof value)) return undefined;
    query.set(name, String(value));
  }
  return query.toString();
}

function segment(text: string): string {
  // These two are steps in a path, and no encoding keeps them from being taken as such.
  if (text === "." || text === "..") throw new Error(`'${text}' cannot be named in a URL: address it by its id`);
  return encodeURIComponent(text);
}

function withSlash(url: string | URL): string {
  const text = String(url);
  return text.endsWith("/") ? text : `${text}/`;
}
