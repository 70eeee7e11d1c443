// Reads the JSON Schema of a method's arguments: how to write them down, and a first example.

/** `(key: string, limit?: integer)`. */
export function signature(schema) {
  const required = new Set(schema?.required ?? []);
  const parts = Object.entries(schema?.properties ?? {}).map(([name, property]) =>
    `${name}${required.has(name) ? "" : "?"}: ${typeName(property, schema)}`);
  return `(${parts.join(", ")})`;
}

/** Arguments that the method accepts: what is required, and what has a default. */
export function example(schema) {
  return exampleOf(schema ?? {}, schema ?? {}, "");
}

function typeName(schema, root) {
  const resolved = resolve(schema, root);
  const type = typeOf(resolved);
  if (type === "array") return `${typeName(resolved.items ?? true, root)}[]`;
  return type ?? "any";
}

function exampleOf(schema, root, name) {
  const resolved = resolve(schema, root);
  if ("default" in resolved) return resolved.default;
  if ("const" in resolved) return resolved.const;
  if (resolved.examples?.length) return resolved.examples[0];
  if (resolved.enum?.length) return resolved.enum[0];
  switch (typeOf(resolved)) {
    case "object": return exampleObject(resolved, root);
    case "array": return (resolved.prefixItems ?? []).map((item) => exampleOf(item, root, name));
    case "integer":
    case "number": return Math.max(1, resolved.minimum ?? 1);
    case "boolean": return true;
    case "null": return null;
    default: return name; // a string, or anything at all: its own name explains it best
  }
}

function exampleObject(schema, root) {
  const required = new Set(schema.required ?? []);
  const properties = Object.entries(schema.properties ?? {})
    .filter(([name, property]) => required.has(name) || hasDefault(property, root))
    .map(([name, property]) => [name, exampleOf(property, root, name)]);
  return Object.fromEntries(properties);
}

function hasDefault(schema, root) {
  const { default: value } = resolve(schema, root);
  return value !== undefined && value !== null;
}

/** Follows local references and takes the first alternative that is not null. */
function resolve(schema, root, depth = 0) {
  if (typeof schema !== "object" || schema === null || depth > 8) return {};
  if (typeof schema.$ref === "string" && schema.$ref.startsWith("#/")) {
    const target = schema.$ref.slice(2).split("/").reduce((node, key) => node?.[key], root);
    return resolve(target, root, depth + 1);
  }
  const alternative = (schema.anyOf ?? schema.oneOf)?.find((option) => option.type !== "null");
  return alternative ? { ...schema, ...resolve(alternative, root, depth + 1) } : schema;
}

function typeOf({ type, properties }) {
  if (Array.isArray(type)) return type.find((one) => one !== "null") ?? "null";
  return type ?? (properties ? "object" : undefined);
}
