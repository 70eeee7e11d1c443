// The messages of `abide.v1` (docs/protocol.md): which are data, which are control, and their forms.

/** What an application sends and gets: text, or bytes. */
export type Data = string | Uint8Array;

/** A message between client and server, which the object never sees. */
export interface Control {
  readonly type: string;
  readonly [member: string]: unknown;
}

/** The other side sent what the protocol does not allow. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

/** Text that begins with it is no plain data: U+0010, Data Link Escape. */
const ESCAPE = "\u0010";

const SUBPROTOCOL = "abide.v1";

/** What a client offers: a new session, or one to resume with the count of what it has got. */
export function offers(session: { token: string; got: number } | null, own: readonly string[]): string[] {
  const resume = session ? [`abide.resume.${session.token}.${session.got}`] : [];
  return [SUBPROTOCOL, ...resume, ...own];
}

/** Text as it goes over the wire. */
export function escaped(data: Data): Data {
  return typeof data === "string" && data.startsWith(ESCAPE) ? ESCAPE + data : data;
}

/** A control message as it goes over the wire. */
export function control(message: Control): string {
  return ESCAPE + JSON.stringify(message);
}

/** A message of the other side: data as the application sees it, or control. */
export function read(message: Data): { data: Data } | { control: Control } {
  if (typeof message !== "string" || !message.startsWith(ESCAPE)) return { data: message };
  const rest = message.slice(ESCAPE.length);
  if (rest.startsWith(ESCAPE)) return { data: rest };
  if (rest.startsWith("{")) return { control: parse(rest) };
  throw new ProtocolError("an escape with nothing behind it that has a meaning");
}

/** A member that must be a count: an integer from 0 to 2^53 - 1. */
export function count(message: Control, member: string): number {
  const value = message[member];
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new ProtocolError(`the member '${member}' of '${message.type}' is no count`);
}

/** A member that must be text. */
export function text(message: Control, member: string): string {
  const value = message[member];
  if (typeof value === "string") return value;
  throw new ProtocolError(`the member '${member}' of '${message.type}' is no text`);
}

/** At least as many as the message has: text is not encoded only to be counted. */
export function sizeAtMost(data: Data): number {
  return typeof data === "string" ? data.length * 3 : data.byteLength;
}

function parse(json: string): Control {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    throw new ProtocolError("a control message that is no JSON");
  }
  if (typeof (parsed as Control).type === "string") return parsed as Control;
  throw new ProtocolError("a control message without a type");
}
