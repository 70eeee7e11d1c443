// The carets and selections of the other people, drawn by class names alone: the carets that come
// with y-codemirror.next set style attributes, which a strict content security policy refuses. The
// awareness state has the same form as theirs, so both kinds of editor see each other.
import {
  Decoration, EditorView, ViewPlugin, WidgetType, compareRelativePositions,
  createAbsolutePositionFromRelativePosition, createRelativePositionFromJSON, createRelativePositionFromTypeIndex,
} from "./vendor.js";
import { TONES, toneOf } from "./people.js";

/** Shows where the others are in `text`, and tells them where we are. */
export function carets(text, awareness) {
  const plugin = ViewPlugin.define((view) => new Carets(view, text, awareness), {
    decorations: (carets) => carets.decorations,
  });
  return [plugin, theme];
}

class Carets {
  decorations = Decoration.none;

  constructor(view, text, awareness) {
    this.text = text;
    this.awareness = awareness;
    this.onChange = ({ added, updated, removed }) => {
      const others = [...added, ...updated, ...removed].some((client) => client !== awareness.clientID);
      if (others) view.dispatch({}); // an empty transaction draws them anew
    };
    awareness.on("change", this.onChange);
  }

  destroy() {
    this.awareness.off("change", this.onChange);
  }

  update({ view, state }) {
    this.publish(view, state.selection.main);
    const drawn = [];
    for (const [client, { cursor, user }] of this.awareness.getStates()) {
      if (client === this.awareness.clientID) continue;
      const anchor = this.indexOf(cursor?.anchor, state);
      const head = this.indexOf(cursor?.head, state);
      if (anchor === null || head === null) continue;
      const name = user?.name ?? "Anonymous";
      const tone = `tone-${toneOf(name)}`;
      if (anchor !== head) {
        const selection = Decoration.mark({ class: `remote-selection ${tone}` });
        drawn.push(selection.range(Math.min(anchor, head), Math.max(anchor, head)));
      }
      const caret = Decoration.widget({
        widget: new CaretWidget(name, tone, JSON.stringify(cursor.head)),
        side: head > anchor ? -1 : 1, // inside the selection it ends
      });
      drawn.push(caret.range(head));
    }
    this.decorations = Decoration.set(drawn, true);
  }

  /** Tells the others our selection. A window without focus keeps the place it was left at. */
  publish(view, selection) {
    const state = this.awareness.getLocalState();
    if (state === null || !view.hasFocus) return;
    const anchor = createRelativePositionFromTypeIndex(this.text, selection.anchor);
    const head = createRelativePositionFromTypeIndex(this.text, selection.head);
    const told = state.cursor;
    if (told && same(told.anchor, anchor) && same(told.head, head)) return;
    this.awareness.setLocalStateField("cursor", { anchor, head });
  }

  /** Where a position told by another person lies in our text now; null when it lies nowhere. */
  indexOf(position, state) {
    if (position == null) return null;
    const found = createAbsolutePositionFromRelativePosition(createRelativePositionFromJSON(position), this.text.doc);
    if (found === null || found.type !== this.text) return null;
    return Math.min(found.index, state.doc.length);
  }
}

function same(told, position) {
  return compareRelativePositions(createRelativePositionFromJSON(told), position);
}

class CaretWidget extends WidgetType {
  constructor(name, tone, place) {
    super();
    this.name = name;
    this.tone = tone;
    this.place = place;
  }

  /** A caret that its person moved is another caret: drawn anew, its name shows again for a while. */
  eq(other) {
    return other.name === this.name && other.place === this.place;
  }

  ignoreEvent() {
    return true;
  }

  toDOM() {
    const caret = document.createElement("span");
    caret.className = `remote-caret ${this.tone}`;
    const label = document.createElement("span");
    label.className = "remote-name";
    label.textContent = this.name;
    caret.append(label);
    return caret;
  }
}

const tones = Array.from({ length: TONES }, (_, tone) => [`.tone-${tone}`, { "--tone": `var(--tone-${tone})` }]);

const theme = EditorView.baseTheme({
  ...Object.fromEntries(tones),
  ".remote-selection": { backgroundColor: "color-mix(in srgb, var(--tone) 22%, transparent)" },
  // No width of its own: a caret that comes and goes must not move the text.
  ".remote-caret": {
    position: "relative",
    borderLeft: "2px solid var(--tone)",
    marginLeft: "-1px",
    marginRight: "-1px",
    pointerEvents: "none",
  },
  ".remote-name": {
    position: "absolute",
    bottom: "100%",
    left: "-2px",
    padding: "0 .45em",
    borderRadius: "4px 4px 4px 0",
    backgroundColor: "var(--tone)",
    color: "var(--on-tone)",
    font: "600 .68rem/1.5 var(--sans)",
    whiteSpace: "nowrap",
    userSelect: "none",
    zIndex: "1",
    // Long enough to be read; then it uncovers the line above.
    animation: "remote-name-leaves .4s ease-in 2.6s forwards",
  },
  "@keyframes remote-name-leaves": { to: { opacity: "0" } },
});
