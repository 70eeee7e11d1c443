// One call: a request, and again while that is safe, until its deadline.

import { pause } from "./backoff.js";
import { AbideError, problemOf } from "./problem.js";

/** What can be said of one call. */
export interface CallOptions {
  /** Gives the call up; it may have taken effect. */
  signal?: AbortSignal;
  /** How long it may take, retries included; the server is told and stops as well. 30 s. */
  deadlineMs?: number;
  /**
   * A word made up for this call. The server lets calls with one word take effect once, for 24 hours.
   * Without it each call that may be retried gets one of its own.
   */
  idempotencyKey?: string;
  /** `false`: one request and no more, and no idempotency key (which costs the server a stored reply). */
  retry?: boolean;
  /** More headers. */
  headers?: Record<string, string>;
}

/** A request that can be made again. */
export interface Request {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly body?: string;
  readonly headers: Record<string, string>;
  /** It changes nothing, so it may be made as often as one likes. */
  readonly reads: boolean;
}

/** The way to the network: `fetch`. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

const DEADLINE_MS = 30_000;
/** The server answers at the deadline, and knows what became of the call; after so much more there is no answer. */
const GRACE_MS = 1_000;

/** Makes the request until it is answered; fails with an `AbideError`, or with the reason of the signal. */
export async function call(fetch: Fetch, request: Request, options: CallOptions): Promise<Response> {
  const until = performance.now() + (options.deadlineMs ?? DEADLINE_MS);
  const mayRetry = options.retry ?? true;
  let key = request.reads ? undefined : (options.idempotencyKey ?? (mayRetry ? randomKey() : undefined));
  for (let attempt = 0; ; attempt += 1) {
    const answer = await once(fetch, request, key, until, options);
    if (!(answer instanceof AbideError)) return answer;
    if (!mayRetry) throw answer;
    if (answer.code === "idempotency-keys-full" && key !== undefined && options.idempotencyKey === undefined) {
      // The object keeps so many replies and no more: better without a key than not at all.
      key = undefined;
      continue;
    }
    if (!isWorthRetrying(answer, request.reads || key !== undefined)) throw answer;
    const wait = Math.max(answer.retryAfterMs ?? 0, pause(attempt, Math.random()));
    if (performance.now() + wait >= until) throw answer;
    await sleep(wait, options.signal);
  }
}

/** One request: its answer, or why there is none that helps. */
async function once(
  fetch: Fetch,
  request: Request,
  key: string | undefined,
  until: number,
  { signal, headers }: CallOptions,
): Promise<Response | AbideError> {
  const left = Math.max(1, Math.ceil(until - performance.now()));
  const abort = new AbortController();
  const cancel = () => abort.abort(signal?.reason);
  if (signal?.aborted) throw signal.reason;
  signal?.addEventListener("abort", cancel);
  const timer = setTimeout(() => abort.abort(), left + GRACE_MS);
  try {
    const response = await fetch(request.url, {
      method: request.method,
      headers: {
        ...request.headers,
        ...headers,
        "abide-deadline-ms": String(left),
        ...(key !== undefined && { "idempotency-key": key }),
      },
      ...(request.body !== undefined && { body: request.body }),
      signal: abort.signal,
    });
    if (response.ok || response.status === 304) return await whole(response);
    return new AbideError(problemOf(await response.json().catch(() => null), response.status));
  } catch (cause) {
    if (signal?.aborted) throw signal.reason;
    const timedOut = abort.signal.aborted;
    const [code, title] = timedOut ? ["timeout", "No answer in time"] : ["network", "No answer"];
    const detail = timedOut ? `no answer within ${left + GRACE_MS} ms` : `no answer: ${(cause as Error)?.message}`;
    return new AbideError({ code, title, detail, status: 0, effect: request.reads ? "none" : "unknown" }, { cause });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
  }
}

/** With the body read: a connection that breaks in the middle of it is a call without an answer. */
async function whole(response: Response): Promise<Response> {
  const { status, headers } = response;
  const empty = status === 204 || status === 304;
  return new Response(empty ? null : await response.arrayBuffer(), { status, headers });
}

/**
 * @param safe making it again cannot make it take effect twice
 */
function isWorthRetrying(error: AbideError, safe: boolean): boolean {
  if (error.code === "timeout") return false;
  if (error.code === "network") return safe;
  // A proxy that could not reach the server, or lost it.
  if (error.code === "not-a-problem") return safe && [502, 503, 504].includes(error.status);
  return error.retryAfterMs !== undefined && (safe || error.effect === "none");
}

/** 128 random bits. */
function randomKey(): string {
  const bytes = new Uint8Array(16);
  // Node 18 has it only behind a flag. The key has to be rare, not secret.
  if (globalThis.crypto) globalThis.crypto.getRandomValues(bytes);
  else bytes.forEach((_, at) => (bytes[at] = Math.floor(Math.random() * 256)));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", cancel);
      resolve();
    }, ms);
    signal?.addEventListener("abort", cancel, { once: true });
  });
}
