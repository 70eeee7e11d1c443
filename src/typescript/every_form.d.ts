// Printed by `abide types` (abide 0.0.0).

/** What can be asked: `createClient<Api>({ url })`. */
export interface Api {
  forms: {
    /**
     * Takes all collections,
     * in two lines.
     */
    collections: { access: "write"; arguments: { all: Collections; empty: Empty }; returns: Page };
    enums: {
      access: "write";
      arguments: {
        adjacent: Adjacent;
        explained?: ExplainedWords | null;
        external: External;
        internal: Internal;
        untagged: Untagged;
      };
      returns: Untagged[];
    };
    flattened: { access: "read"; arguments: { one: Flattened; rest: WithRest }; returns: null };
    opaque: { access: "read"; arguments: Record<string, never>; returns: unknown };
    /** Reads a struct. */
    plain: { access: "read"; arguments: Record<string, never>; returns: Plain | null };
    recursive: { access: "read"; arguments: { tree: Tree }; returns: Page2 };
  };
  "other-kind": {
    get: { access: "read"; arguments: Record<string, never>; returns: Plain2 };
  };
  silent: {};
}

export type Adjacent = { t: "Unit" } | { c: number; t: "Newtype" } | { c: { x: number }; t: "Struct" };

/** Collections. */
export interface Collections {
  by_name: { [key: string]: number[] };
  by_number: { [key: string]: Words };
  list: Plain[];
  many: number[];
  nested: { [key: string]: { [key: string]: Plain | null } };
  optional_items: (Newtype | null)[];
  pair: [number, string | null];
  point: [number, number, number];
}

export type Empty = { [key: string]: unknown };

/** Words of which one is explained. */
export type ExplainedWords =
  | "Second"
  /** The first. */
  | "First";

/** Tagged from outside, as serde does by itself. */
export type External =
  | "Unit"
  | { Newtype: number }
  | { Tuple: [number, string] }
  /** With documentation. */
  | { Struct: { id: number; note?: string | null } };

export type Flattened = ({ type: "unit" } | Plain & { type: "newtype" } | { type: "struct"; x: number; y: number }) & { id: number; inner: string };

export type Internal = { type: "unit" } | Plain & { type: "newtype" } | { type: "struct"; x: number; y: number };

export type Newtype = string;

export interface Page {
  items: Newtype[];
  next?: string | null;
}

export interface Page2 {
  items: Tree[];
  next?: string | null;
}

/**
 * What a plain struct looks like.
 *
 * Its second paragraph holds the end of a comment: *\/
 */
export interface Plain {
  anything: unknown;
  /** A member with documentation. */
  count: number;
  letter: string;
  maybe?: boolean | null;
  nothing: null;
  ratio: number;
  text: string;
  "two words": string;
  with_default?: number;
}

export interface Plain2 {
  other: boolean;
}

/** Refers to itself. */
export interface Tree {
  children: Tree[];
  parent?: Tree | null;
  value: number;
}

export type Untagged = number | string | { number: number; text: string };

export interface WithRest {
  id: number;
  [key: string]: unknown;
}

/** Words only. */
export type Words = "one" | "two-words";
