// Markdown, shown as it is written: headings are large, emphasis is emphasised, marks are faint.
import {
  GFM, HighlightStyle, Language, defineLanguageFacet, markdownParser, syntaxHighlighting, tags,
} from "./vendor.js";

const language = new Language(defineLanguageFacet(), markdownParser.configure(GFM), [], "markdown");

const heading = (size) => ({ fontSize: size, fontWeight: "680", lineHeight: "1.35", letterSpacing: "-.02em" });

const style = HighlightStyle.define([
  { tag: tags.heading1, ...heading("1.75em") },
  { tag: tags.heading2, ...heading("1.4em") },
  { tag: tags.heading3, ...heading("1.18em") },
  { tag: [tags.heading4, tags.heading5, tags.heading6], fontWeight: "680" },
  { tag: tags.strong, fontWeight: "700" },
  { tag: tags.emphasis, fontStyle: "italic" },
  { tag: tags.strikethrough, textDecoration: "line-through" },
  { tag: tags.link, color: "var(--accent)" },
  { tag: tags.url, color: "var(--faint)" },
  { tag: tags.monospace, fontFamily: "var(--mono)", fontSize: ".9em", backgroundColor: "var(--sunken)", borderRadius: "4px" },
  { tag: tags.quote, color: "var(--quiet)", fontStyle: "italic" },
  { tag: tags.list, color: "inherit" },
  { tag: [tags.processingInstruction, tags.contentSeparator], color: "var(--faint)", fontWeight: "400" },
]);

export const markdown = [language, syntaxHighlighting(style)];
