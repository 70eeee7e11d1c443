// Errors of the server: problem+json (RFC 9457) as a class.

/** Whether the object may have changed although the call failed. */
export type Effect = "none" | "unknown";

/** The members of a problem, as the server sends them. */
export interface Problem {
  readonly code: string;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly effect: Effect;
  readonly retry_after_ms?: number;
  /** Names the request in the server's log. */
  readonly instance?: string;
  /** More, from the object. */
  readonly data?: unknown;
}

/** A call, a read or a session that the server refused, or that it could not be asked. */
export class AbideError extends Error {
  override readonly name: string = "AbideError";
  /** A stable word: that of the server's page `/errors/{code}`, or `network`, `timeout`, `not-a-problem`. */
  readonly code: string;
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** `none`: the object did not change, the call may be made again. `unknown`: it may have taken effect. */
  readonly effect: Effect;
  /** When to come again, if the server said so. */
  readonly retryAfterMs: number | undefined;
  /** The server's name for the request. */
  readonly instance: string | undefined;
  /** What the object said beside the message. */
  readonly data: unknown;

  constructor(problem: Problem, options?: { cause?: unknown }) {
    super(problem.detail || problem.title, options);
    this.code = problem.code;
    this.status = problem.status;
    this.effect = problem.effect;
    this.retryAfterMs = problem.retry_after_ms;
    this.instance = problem.instance;
    this.data = problem.data;
  }
}

/** The problem in a value that should be one, as in the body of a response; its members may be missing. */
export function problemOf(value: unknown, status: number): Problem {
  const fields = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const text = (name: string, otherwise: string) => (typeof fields[name] === "string" ? fields[name] : otherwise);
  return {
    // A proxy on the way answers with pages of its own.
    code: text("code", "not-a-problem"),
    status: typeof fields["status"] === "number" ? fields["status"] : status,
    title: text("title", "The answer is no problem of the server"),
    detail: text("detail", `status ${status}, without a problem`),
    effect: fields["effect"] === "none" ? "none" : "unknown",
    ...(typeof fields["retry_after_ms"] === "number" && { retry_after_ms: fields["retry_after_ms"] }),
    ...(typeof fields["instance"] === "string" && { instance: fields["instance"] }),
    ...("data" in fields && { data: fields["data"] }),
  };
}
