// What the compiler must accept and refuse of a typed client. It is compiled, never run.
import { createClient, type AbideError, type Session } from "abide-client";

interface Api {
  counter: {
    /** Adds. */
    increment: { access: "write"; arguments: { by: number }; returns: number };
    get: { access: "read"; arguments: Record<string, never>; returns: number };
    session: { access: "read"; arguments: { id?: string | null }; returns: string[] };
  };
  "other-kind": {};
}

const client = createClient<Api>({ url: "http://127.0.0.1:7878" });
const visits = client.object("counter", "visits");

export const results: [Promise<number>, Promise<number>, Promise<string[]>, Promise<string[]>] = [
  visits.increment({ by: 2 }),
  visits.read.get(),
  visits.call("session", { id: null }),
  visits.call("session"),
];
export const session: Session = visits.session({ query: { name: "Ada" } });
export const typed: Session<{ x: number }> = visits.session();
visits.increment({ by: 2 }, { deadlineMs: 100, idempotencyKey: "k" });
visits.get();
client.object("other-kind", "x").session();

// @ts-expect-error there is no such namespace
client.object("countr", "visits");
// @ts-expect-error there is no such method
visits.incremnt({ by: 1 });
// @ts-expect-error an argument is missing
visits.increment();
// @ts-expect-error an argument of another type
visits.increment({ by: "two" });
// @ts-expect-error an argument too many
visits.increment({ by: 2, twice: true });
// @ts-expect-error a method that writes is no read
visits.read.increment({ by: 2 });
// @ts-expect-error a name of the object's own is called by `call`
visits.session({ id: null });
// @ts-expect-error the value is a number
visits.get().then((value: string) => value);

session.on("message", (data: string | Uint8Array) => data);
session.on("close", ({ code, problem }) => [code satisfies number, problem satisfies AbideError | undefined]);
// @ts-expect-error there is no such event
session.on("messages", () => {});
for (const [member, state] of typed.presence) [member satisfies string, state.x satisfies number];

const any = createClient({ url: "http://127.0.0.1:7878" }).object("whatever", "x");
export const anything: Promise<unknown> = any.whatever?.({ a: 1 });
any.session().send("x");
