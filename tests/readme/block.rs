//! The fenced blocks of a document, and what an output block allows.

/// One fenced block.
#[derive(Debug, PartialEq)]
pub(crate) struct Block {
    /// Where its text begins, counted from one.
    pub(crate) line: usize,
    /// What follows the backticks.
    pub(crate) fence: String,
    pub(crate) text: String,
}

/// The blocks in their order.
pub(crate) fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(document.lines()) {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(fence), None) => {
                let (line, fence) = (number + 1, fence.trim().to_owned());
                open = Some(Block {
                    line,
                    fence,
                    text: String::new(),
                });
            }
            (None, Some(block)) => block.text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    blocks
}

/// Whether `text` is `pattern`, with `…` for anything.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('…') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(start) else {
        return false;
    };
    let mut cuts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    cuts.any(|at| matches(rest, &text[at..]))
}

#[test]
fn output_may_leave_out_what_changes() {
    assert!(matches("id …, at …!", "id 7, at noon!"));
    assert!(matches("…", ""));
    assert!(!matches("id …, at …!", "id 7, at noon"));
    assert!(!matches("42", "421"));
}

#[test]
fn blocks_know_their_line_and_fence() {
    let found = blocks("# x\n```sh server\nabide serve\n```\n\n```\nshown\n```\n");
    let (first, second) = (&found[0], &found[1]);
    assert_eq!(
        (first.line, first.fence.as_str(), first.text.as_str()),
        (3, "sh server", "abide serve\n")
    );
    assert_eq!(
        (second.line, second.fence.as_str(), second.text.as_str()),
        (7, "", "shown\n")
    );
}
