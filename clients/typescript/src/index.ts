export type { AbideObject, AnyApi, ApiOf, Call, Client, Method } from "./api.js";
export type { CallOptions, Fetch } from "./call.js";
export { createClient, type ClientOptions } from "./client.js";
export type { ResetReason, State } from "./connection.js";
export { Feed, type FeedEvents, type FeedOptions, type Source, type SourceConstructor } from "./feed.js";
export { BufferFullError, type OutboxLimits, type Unsaved } from "./outbox.js";
export { Presence, type PresenceChange } from "./presence.js";
export { AbideError, type Effect, type Problem } from "./problem.js";
export {
  Session,
  UnsavedError,
  type CloseEvent,
  type ResetEvent,
  type SessionEvents,
  type SessionOptions,
  type Socket,
  type SocketConstructor,
  type StateEvent,
  type TokenStorage,
} from "./session.js";
export type { Data } from "./wire.js";
