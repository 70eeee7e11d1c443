//! Documentation of Rust, carried over as comments.

/// The text as a comment of its own lines; nothing when there is no text.
pub(super) fn comment(text: &str) -> String {
    // The end of a comment must not come from within.
    let text = text.replace("*/", "*\\/");
    let lines: Vec<&str> = text.trim().lines().map(str::trim_end).collect();
    match lines[..] {
        [] => String::new(),
        [line] => format!("/** {line} */\n"),
        _ => {
            let lines: String = lines
                .iter()
                .map(|line| format!(" * {line}").trim_end().to_owned() + "\n")
                .collect();
            format!("/**\n{lines} */\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::comment;

    #[test]
    fn lines_are_kept_and_nothing_ends_the_comment_early() {
        assert_eq!(comment(" \n"), "");
        assert_eq!(comment("One."), "/** One. */\n");
        assert_eq!(
            comment("A */ b\n\nc\r\n"),
            "/**\n * A *\\/ b\n *\n * c\n */\n"
        );
    }
}
