// What the landing page takes from other people's packages, and nothing else: the bundle holds what
// is reachable from these lines. `@codemirror/commands` is left out on purpose: it brings the
// syntax-tree packages (40 KB), and plain text needs three key bindings, which editor.js writes.
export { EditorState } from "@codemirror/state";
export {
  Decoration,
  EditorView,
  ViewPlugin,
  WidgetType,
  keymap,
  placeholder,
} from "@codemirror/view";
export { yCollab, yUndoManagerKeymap } from "y-codemirror.next";
export { WebsocketProvider } from "y-websocket";
export {
  Doc,
  UndoManager,
  compareRelativePositions,
  createAbsolutePositionFromRelativePosition,
  createRelativePositionFromJSON,
  createRelativePositionFromTypeIndex,
} from "yjs";
