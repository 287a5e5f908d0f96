//! What makes a name or value of the source harmless in each format.
//!
//! Two steps: [`visible`] replaces what does not show or changes how its neighbours show (control characters,
//! direction overrides, zero-width marks), then the format's own escape follows.

use std::fmt::Write as _;

/// The text on one line, with characters that cannot be seen spelled out: a line break as ↵, a tab as ⇥,
/// others as ⟨U+202E⟩.
pub fn visible(text: &str) -> String {
    spelled(text, false)
}

/// The same with line breaks kept.
pub fn visible_lines(text: &str) -> String {
    spelled(text, true)
}

fn spelled(text: &str, keep_lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' if keep_lines => out.push(c),
            '\n' => out.push('↵'),
            '\t' => out.push('⇥'),
            c if is_hidden(c) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "⟨U+{:04X}⟩", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Characters without a shape of their own that change the text around them or hide in it. ZWJ and ZWNJ are
/// not among them: several scripts and emoji need them.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// At most `limit` characters, the last an ellipsis where something was cut.
pub fn short(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some(_) => {
            let kept: String = text.chars().take(limit.saturating_sub(1)).collect();
            format!("{kept}…")
        }
    }
}

/// Text and attribute values of HTML and SVG, on one line.
pub fn html(text: &str) -> String {
    html_of(&visible(text))
}

/// The same with line breaks kept, for elements that show them.
pub fn html_lines(text: &str) -> String {
    html_of(&visible_lines(text))
}

fn html_of(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A name or value in Markdown, anywhere in a line and in a table's cell: a code span, in which nothing is
/// markup, no name is a link and nobody is mentioned.
///
/// A pipe would end the cell even there, and its escape reads differently from one Markdown to the next; so
/// what has a pipe, a backtick or HTML's characters becomes a `<code>` element of character references.
pub fn markdown_code(text: &str) -> String {
    let text = visible(text);
    if text.is_empty() {
        return "<code></code>".to_owned();
    }
    let is_plain = !text.contains(['`', '|', '<', '>', '&', '\\']) && text.trim() == text;
    if is_plain { format!("`{text}`") } else { format!("<code>{}</code>", references(&text)) }
}

/// A sentence in Markdown, not at the beginning of a line: characters that could begin markup become
/// character references.
pub fn markdown_text(text: &str) -> String {
    references(&visible(text))
}

/// Writes what could be markup as character references: a colon only where a link could be made of it, an
/// underscore not within a word, where it marks nothing up.
fn references(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied().unwrap_or(' ');
        let is_markup = match c {
            ':' => next == '/',
            '_' => !(before.is_alphanumeric() && next.is_alphanumeric()),
            _ => matches!(c, '&' | '<' | '>' | '`' | '*' | '[' | ']' | '\\' | '|' | '~' | '@' | '$'),
        };
        if is_markup {
            // Writing to a String cannot fail.
            let _ = write!(out, "&#{};", u32::from(c));
        } else {
            out.push(c);
        }
        before = c;
    }
    // Where "www." begins a word, it becomes a link of itself.
    if out.to_ascii_lowercase().contains("www.") { out.replace('.', "&#46;") } else { out }
}
