// What the editor takes from other people's packages, and nothing else: the bundle holds what is
// reachable from these lines. Markdown is parsed by @lezer/markdown alone: @codemirror/lang-markdown
// would bring the parsers of HTML, CSS and JavaScript.
export { defaultKeymap } from "@codemirror/commands";
export { HighlightStyle, Language, defineLanguageFacet, syntaxHighlighting } from "@codemirror/language";
export { openSearchPanel, search, searchKeymap } from "@codemirror/search";
export { EditorSelection, EditorState } from "@codemirror/state";
export { Decoration, EditorView, ViewPlugin, WidgetType, keymap, placeholder } from "@codemirror/view";
export { tags } from "@lezer/highlight";
export { GFM, parser as markdownParser } from "@lezer/markdown";
export { readVarUint, readVarUint8Array } from "lib0/decoding";
export { createEncoder, toUint8Array, writeVarUint } from "lib0/encoding";
export { yCollab, yUndoManagerKeymap } from "y-codemirror.next";
export { IndexeddbPersistence } from "y-indexeddb";
export { WebsocketProvider } from "y-websocket";
export {
  Doc,
  UndoManager,
  compareRelativePositions,
  createAbsolutePositionFromRelativePosition,
  createRelativePositionFromJSON,
  createRelativePositionFromTypeIndex,
  decodeStateVector,
  encodeStateVector,
} from "yjs";
