// The types of an `Api`, as `abide types` prints it, and of what is called by it.

import type { CallOptions } from "./call.js";
import type { Feed, FeedOptions } from "./feed.js";
import type { Session, SessionOptions } from "./session.js";

/** A method, as `abide types` describes it. */
export interface Method {
  access: "read" | "write";
  arguments: unknown;
  returns: unknown;
}

/** Namespaces with their methods. Interfaces have no index, so it is said of each member. */
export type ApiOf<Api> = { [Namespace in keyof Api]: { [Name in keyof Api[Namespace]]: Method } };

/** What a client without an `Api` knows: that there may be anything. */
export type AnyApi = Record<string, Record<string, { access: "read"; arguments: any; returns: any }>>;

/** Arguments may be left out where none is required. */
type Parameters<M extends Method> = {} extends M["arguments"]
  ? [args?: M["arguments"], options?: CallOptions]
  : [args: M["arguments"], options?: CallOptions];

export type Call<M> = M extends Method ? (...parameters: Parameters<M>) => Promise<M["returns"]> : never;

/** Names that an object of this client has for itself; methods of these names are called by `call`. */
type Own = "call" | "feed" | "read" | "session" | "url" | "then";

type Calls<Methods> = { readonly [Name in keyof Methods as Exclude<Name, Own>]: Call<Methods[Name]> };

type Reads<Methods> = {
  readonly [Name in keyof Methods as Methods[Name] extends { access: "read" } ? Exclude<Name, "then"> : never]: Call<Methods[Name]>;
};

/** One object. Its methods are called by their names. */
export type AbideObject<Methods> = {
  /** Methods that only read, asked by GET: what has not changed since is not sent again (ETag). */
  readonly read: Reads<Methods>;
  /** Opens a session that outlives its connections. */
  session<PresenceState = unknown>(options?: SessionOptions): Session<PresenceState>;
  /** Opens a session that only receives, over server-sent events. */
  feed<PresenceState = unknown>(options?: FeedOptions): Feed<PresenceState>;
  /** Calls a method by its name; for those named like a member of this. */
  call<Name extends keyof Methods>(name: Name, ...parameters: Methods[Name] extends Method ? Parameters<Methods[Name]> : never): ReturnType<Call<Methods[Name]>>;
  /** Where it is. */
  readonly url: string;
} & Calls<Methods>;

/** Objects by namespace and name. */
export interface Client<Api> {
  /** The object of this name; it need not exist yet. `id:` and 64 hex digits address by id. Asks nothing by itself. */
  object<Namespace extends keyof Api & string>(namespace: Namespace, name: string): AbideObject<Api[Namespace]>;
}
